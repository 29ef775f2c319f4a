//! `kubernetes-support`: CI for a new Kubernetes release. Its jobs are made, optional at first; a trial pull request runs them; the
//! shared scripts change and go to every repository; then the jobs become required.

mod input;
mod jobs;
mod plan;
mod trial;

use castoff_sdk::Error;
use castoff_sdk::process::{Context, Graph, InputKind, Outcome, Process, Profile, Step, StepKind};
use castoff_sdk::step::{approval, done, invalid, words};
use castoff_sdk::testgrid;
use serde_json::{Value, json};

use input::Inputs;
use plan::Plan;

use crate::core::ci_health::{self, Cluster};
use crate::step::input as text_input;
use crate::step::world::{list, publish};

pub(super) const NAME: &str = "kubernetes-support";

/// Steps of the process itself.
const HEALTH: &str = "health";
const TRY: &str = "try";
const TRIED: &str = "tried";
const GATE: &str = "drop-experimental";
const SUMMARY: &str = "summary";

/// Describes the process.
pub(super) fn describe() -> Process {
    use InputKind::{Flag, Table, Text, Texts};
    let optional = |name: &str, kind, summary: &str| text_input(name, kind, false, summary);
    let inputs = vec![
        text_input("kubernetes", Text, true, "the new Kubernetes minor, `1.36`"),
        optional(
            "repositories",
            Texts,
            "repositories that take the shared scripts over, `owner/name`; none when left out",
        ),
        optional(
            "trial-repository",
            Text,
            "repository of the trial pull request; the first of `repositories` when left out",
        ),
        optional(
            "trial-jobs",
            Texts,
            "jobs that the trial runs; the pull job of the new version when left out",
        ),
        optional(
            "kubernetes-release",
            Text,
            "release the trial runs on; `X.Y.0` of the new minor when left out",
        ),
        optional("kind-version", Text, "new version of kind with images for it: `v0.31.0`"),
        optional("kind-images", Texts, "pre-built images: `kindest/node:v1.36.0@sha256:\u{2026}`"),
        optional("values", Table, "further defaults of prow.sh: `CSI_PROW_DRIVER_VERSION = \"v1.18.0\"`"),
        optional("required-jobs", Flag, "ask for the jobs to become required at the end; true when left out"),
        optional("dashboard", Text, "testgrid board; sig-storage-csi-ci when left out"),
        optional("test-infra", Text, "repository of gen-jobs.sh; kubernetes/test-infra when left out"),
        optional(
            "release-tools",
            Text,
            "repository of prow.sh; kubernetes-csi/csi-release-tools when left out",
        ),
        optional("fork", Text, "owner of the forks that branches are pushed to; no forks when left out"),
    ];
    let profile = Profile {
        name: "current".to_owned(),
        since: "2021-04".to_owned(),
        summary: "Practice of the kubernetes-csi organisation".to_owned(),
    };
    Process {
        name: NAME.to_owned(),
        summary: "Support a new Kubernetes release: CI jobs, kind, shared scripts in every repository"
            .to_owned(),
        inputs,
        profiles: vec![profile],
    }
}

/// Lays the process out.
pub(super) fn graph(text: &str) -> Result<Graph, Error> {
    let inputs = Inputs::read(text)?;
    let plan = Plan::new();
    let row = |number: &str| format!("seed 000, Adding support for a new Kubernetes release {number}");
    let own = |id: &str, title: String, kind, needs: &[&str], source: &str| -> Step {
        crate::step::step(id, &title, kind, needs, source)
    };
    let minor = &inputs.kubernetes;
    let mut steps = vec![own(
        HEALTH,
        "Look at the CI jobs, master first".to_owned(),
        StepKind::Work,
        &[],
        "seed 000, Updating CI Jobs 1 and 2",
    )];
    steps.extend(plan.experimental.steps(&plan::experimental(&inputs), &[HEALTH])?);
    steps.extend(plan.trial.steps(&plan::trial(&inputs), &["experimental-merged"])?.into_iter().take(1));
    steps.push(own(
        TRY,
        format!("Start the jobs for Kubernetes {minor}"),
        StepKind::Work,
        &["trial-propose"],
        &row("2"),
    ));
    let tried = format!("Wait for the jobs on Kubernetes {minor}");
    steps.push(own(TRIED, tried, StepKind::Wait, &["trial-propose", TRY], &row("2")));
    let mut before = vec![TRIED.to_owned()];
    if inputs.changes_scripts() {
        steps.extend(plan.scripts.steps(&plan::scripts(&inputs), &[TRIED])?);
        before = vec!["scripts-merged".to_owned()];
    }
    if !inputs.repositories.is_empty() {
        let needs: Vec<&str> = before.iter().map(String::as_str).collect();
        let tools = plan.tools.steps(&plan::tools(&inputs), &needs)?;
        before =
            tools.iter().filter(|step| step.kind == StepKind::Wait).map(|step| step.id.clone()).collect();
        steps.extend(tools);
    }
    let needs: Vec<&str> = before.iter().map(String::as_str).collect();
    if inputs.required_jobs {
        let title = format!("Decide whether Kubernetes {minor} is no longer experimental");
        steps.push(own(GATE, title, StepKind::Gate, &needs, &row("5")));
        steps.extend(plan.required.steps(&plan::required(&inputs), &[GATE])?);
        steps.push(own(SUMMARY, "Sum up".to_owned(), StepKind::Work, &["required-merged"], &row("5")));
    } else {
        steps.push(own(SUMMARY, "Sum up".to_owned(), StepKind::Work, &needs, &row("4")));
    }
    Ok(Graph { title: format!("Support Kubernetes {minor}"), steps })
}

/// Runs a step.
pub(super) fn run(context: &Context) -> Result<Outcome, Error> {
    let inputs = Inputs::read(&context.inputs)?;
    match context.step.as_str() {
        HEALTH => return health(&inputs),
        TRY => return trial::start(context, &inputs),
        TRIED => return trial::wait(context, &inputs),
        GATE => return drop_experimental(context, &inputs),
        SUMMARY => return summary(context, &inputs),
        _ => {}
    }
    for (part, told) in Plan::new().parts() {
        if part.inner(&context.step).is_some() {
            return part.run(context, &told(&inputs));
        }
    }
    Err(invalid(format!("the process {NAME} has no step {}", context.step)))
}

/// Step `health`: the board as it is; a board that cannot be read stops nobody.
fn health(inputs: &Inputs) -> Result<Outcome, Error> {
    let text = match testgrid::dashboard(&inputs.dashboard) {
        Ok(tabs) => ci_health::report(&inputs.dashboard, &tabs),
        Err(error) => {
            format!("# CI jobs of {}\n\nThe board could not be read: {}\n", inputs.dashboard, words(&error))
        }
    };
    publish("ci-health.md", &text)?;
    done(&json!({ "report": text }))
}

/// Gate G6: question `verified`, with the jobs on the new version as the board has them now.
fn drop_experimental(context: &Context, inputs: &Inputs) -> Result<Outcome, Error> {
    if let Some(answer) = context.approved("verified")? {
        return done(&json!({ "by": answer.by, "comment": answer.comment }));
    }
    let tabs = testgrid::dashboard(&inputs.dashboard);
    let lines: Vec<String> = match (&tabs, Cluster::parse(&inputs.kubernetes)) {
        (Ok(tabs), Some(cluster)) => ci_health::on(tabs, cluster).into_iter().map(ci_health::line).collect(),
        (Err(error), _) => vec![format!("{} could not be read: {}", inputs.dashboard, words(error))],
        (Ok(_), None) => Vec::new(),
    };
    let none = if lines.is_empty() { "\nThe board shows no job on that version.\n" } else { "" };
    let tried: trial::Tried = context.needed_output(TRIED)?;
    let prompt = format!(
        "Do the jobs on Kubernetes {} work in all repositories? Then they become required for every pull request.\n{}{}{none}",
        inputs.kubernetes,
        list("The trial:", &tried.lines()),
        list("On the board:", &lines),
    );
    Ok(approval("verified", prompt, None))
}

fn summary(context: &Context, inputs: &Inputs) -> Result<Outcome, Error> {
    let mut lines = Vec::new();
    for output in &context.outputs {
        let value: Value = serde_json::from_str(&output.value).unwrap_or_default();
        let url = value.get("url").and_then(Value::as_str);
        lines.extend(
            url.filter(|_| value.get("number").is_some()).map(|url| format!("{}: {url}", output.step)),
        );
    }
    let tried: trial::Tried = context.needed_output(TRIED)?;
    let close =
        tried.url.iter().map(|url| format!("close {url}: it was for trying only")).collect::<Vec<_>>();
    let text = format!(
        "# Kubernetes {}\n{}{}",
        inputs.kubernetes,
        list("Done:", &lines),
        list("Left to do:", &close)
    );
    publish("kubernetes-support.md", &text)?;
    done(&json!({ "kubernetes": inputs.kubernetes, "summary": text }))
}

#[cfg(test)]
mod tests;
