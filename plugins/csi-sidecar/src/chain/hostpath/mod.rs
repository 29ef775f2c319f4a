//! `hostpath`: once all sidecars are out, the driver that deploys them: its deployments, its version, its release, its own image, and
//! the copies and defaults elsewhere that name it.

mod describe;
mod input;
mod plan;
mod sidecars;
mod version;

use castoff_sdk::Error;
use castoff_sdk::process::{Context, Graph, Outcome, StepKind};
use castoff_sdk::step::{done, invalid};
use serde_json::Value;

pub(super) use describe::{NAME, describe};
use input::Inputs;
use plan::{Follow, Plan};
use sidecars::Taken;
use version::Decided;

use crate::step::pull::Proposed;
use crate::step::step;
use crate::step::world::{list, publish};

/// Steps of the process itself.
const SIDECARS: &str = "sidecars";
const VERSION: &str = "version";
const SUMMARY: &str = "summary";

/// Lays the process out. What is found out on the way (images, version) does not change the steps.
pub(super) fn graph(profile: &str, text: &str) -> Result<Graph, Error> {
    let inputs = Inputs::read(text)?;
    let plan = Plan::new(profile);
    let source = "seed 000, Adding support for a new Kubernetes release 6";
    let mut steps = vec![step(
        SIDECARS,
        "Wait for the images of all sidecars in production",
        StepKind::Wait,
        &[],
        source,
    )];
    steps.extend(
        plan.deploy(&inputs).steps(&plan::deploy(&inputs, &Taken::placeholder(&inputs)), &[SIDECARS])?,
    );
    let decide = "Decide the driver's version by the greatest change of its sidecars";
    steps.push(step(VERSION, decide, StepKind::Work, &["deploy-merged"], "seed 001, Versioning"));
    let version = inputs.version.clone().unwrap_or_else(|| "v0.0.1".to_owned());
    steps.extend(plan.release.steps(&plan::release(&inputs, &version), &[VERSION])?);
    let mut last = vec!["release-summary".to_owned()];
    for follow in Follow::wanted(&inputs) {
        steps.extend(follow.part.steps(&follow.inputs(&inputs, &version), follow.after)?);
        last.push(follow.part.outer("merged"));
    }
    let last: Vec<&str> = last.iter().map(String::as_str).collect();
    steps.push(step(SUMMARY, "Sum up", StepKind::Work, &last, source));
    Ok(Graph { title: format!("Release {} with all sidecars", inputs.repository), steps })
}

/// Runs a step.
pub(super) fn run(context: &Context) -> Result<Outcome, Error> {
    let inputs = Inputs::read(&context.inputs)?;
    let plan = Plan::new(&context.profile);
    match context.step.as_str() {
        SIDECARS => return sidecars::run(&inputs),
        VERSION => return version::run(&inputs),
        SUMMARY => return summary(context, &inputs),
        _ => {}
    }
    let deploy = plan.deploy(&inputs);
    if deploy.inner(&context.step).is_some() {
        let taken: Taken = context.needed_output(SIDECARS)?;
        return deploy.run(context, &plan::deploy(&inputs, &taken));
    }
    let decided: Decided = context.needed_output(VERSION)?;
    if plan.release.inner(&context.step).is_some() {
        return plan.release.run(context, &plan::release(&inputs, &decided.version));
    }
    for follow in Follow::wanted(&inputs) {
        if follow.part.inner(&context.step).is_some() {
            return follow.part.run(context, &follow.inputs(&inputs, &decided.version));
        }
    }
    Err(invalid(format!("the process {NAME} has no step {}", context.step)))
}

fn summary(context: &Context, inputs: &Inputs) -> Result<Outcome, Error> {
    let decided: Decided = context.needed_output(VERSION)?;
    let mut lines = vec![format!("{} {} after {}", inputs.repository, decided.version, decided.previous)];
    lines.extend(decided.raises.iter().map(|raise| format!("sidecar {raise}")));
    let steps = ["deploy-propose".to_owned(), "release-changelog".to_owned(), "release-promote".to_owned()];
    let follows = Follow::wanted(inputs).map(|follow| follow.part.outer("propose"));
    for step in steps.into_iter().chain(follows) {
        let Some(output) = context.outputs.iter().find(|output| output.step == step) else { continue };
        let url = page(&output.value).unwrap_or_else(|| "nothing to change".to_owned());
        lines.push(format!("{step}: {url}"));
    }
    let text = format!("# {} {}\n{}", inputs.repository, decided.version, list("Done:", &lines));
    publish("hostpath.md", &text)?;
    done(&serde_json::json!({ "version": decided.version, "summary": text }))
}

/// Page of the pull request that a step opened.
fn page(output: &str) -> Option<String> {
    let proposed: Option<Proposed> = serde_json::from_str(output).ok();
    let url = proposed.and_then(|proposed| proposed.url);
    url.or_else(|| {
        let value: Value = serde_json::from_str(output).ok()?;
        Some(value.get("url")?.as_str()?.to_owned())
    })
}

#[cfg(test)]
mod tests;
