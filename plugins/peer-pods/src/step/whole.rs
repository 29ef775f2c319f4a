//! Process `whole`: pre-release, release and post-release in a row, in one run. The freeze of the first is the freeze of the
//! second.

use castoff_sdk::Error;
use castoff_sdk::process::{Context, Graph, InputKind, Outcome, Process, Step, StepOutput};
use castoff_sdk::step::{inputs as read_inputs, invalid};
use serde_json::{Map, Value};

use super::input::{Inputs, optional};
use super::{post_release, pre_release, profiles, release};
use crate::core::version::ReleaseVersion;

/// Its name.
pub(crate) const NAME: &str = "whole";

/// A process as a part of this one: prefix of its steps, its name, its graph and its steps.
struct Part {
    prefix: &'static str,
    name: &'static str,
    graph: fn(&str, &str) -> Result<Graph, Error>,
    run: fn(&Context) -> Result<Outcome, Error>,
}

const PARTS: [Part; 3] = [
    Part { prefix: "pre-", name: pre_release::NAME, graph: pre_release::graph, run: pre_release::run },
    Part { prefix: "cut-", name: release::NAME, graph: release::graph, run: release::run },
    Part { prefix: "post-", name: post_release::NAME, graph: post_release::graph, run: post_release::run },
];

/// Describes the process.
pub(crate) fn describe() -> Process {
    let mut inputs = release::describe().inputs;
    inputs.extend(super::input::lock_inputs());
    inputs.push(optional(
        "alpha",
        InputKind::Integer,
        "N of the pre-release vX.Y.Z-alpha.N; 1 when left out",
    ));
    Process {
        name: NAME.to_owned(),
        summary: "Pre-release, release and what follows, in one run".to_owned(),
        inputs,
        profiles: profiles(),
    }
}

/// Lays it out: every part after the one before.
pub(crate) fn graph(profile: &str, text: &str) -> Result<Graph, Error> {
    let inputs: Inputs = read_inputs(text)?;
    let mut steps: Vec<Step> = Vec::new();
    for part in &PARTS {
        let before: Option<String> = steps.last().map(|step| step.id.clone());
        let own = (part.graph)(profile, &part_inputs(part, text)?)?;
        for step in own.steps {
            let mut needs: Vec<String> =
                step.needs.iter().map(|need| format!("{}{need}", part.prefix)).collect();
            if needs.is_empty() {
                needs.extend(before.clone());
            }
            steps.push(Step { id: format!("{}{}", part.prefix, step.id), needs, ..step });
        }
    }
    Ok(Graph {
        title: format!("Pre-release, release and post-release of {} {}", inputs.repository, inputs.version),
        steps,
    })
}

/// Runs a step of a part, which sees only its own.
pub(crate) fn run(context: &Context) -> Result<Outcome, Error> {
    let part = PARTS.iter().find(|part| context.step.starts_with(part.prefix));
    let part = part.ok_or_else(|| invalid(format!("the process {NAME} has no step {}", context.step)))?;
    let mut inner = context.clone();
    inner.process = part.name.to_owned();
    inner.step = context.step.strip_prefix(part.prefix).unwrap_or_default().to_owned();
    inner.inputs = part_inputs(part, &context.inputs)?;
    let own = context.outputs.iter().filter_map(|output| {
        let step = output.step.strip_prefix(part.prefix)?.to_owned();
        Some(StepOutput { step, value: output.value.clone() })
    });
    inner.outputs = own.collect();
    // The freeze of the pre-release holds until the release is out.
    if part.name == release::NAME {
        let frozen = context.outputs.iter().find(|output| output.step == "pre-freeze");
        inner.outputs.extend(
            frozen.map(|output| StepOutput { step: "freeze".to_owned(), value: output.value.clone() }),
        );
    }
    (part.run)(&inner)
}

/// The pre-release has its own version, and follows components; the release has already done so.
fn part_inputs(part: &Part, text: &str) -> Result<String, Error> {
    let mut inputs: Map<String, Value> = read_inputs(text)?;
    let alpha = inputs.remove("alpha").and_then(|alpha| alpha.as_u64()).unwrap_or(1);
    if part.name == pre_release::NAME {
        let version = inputs.get("version").and_then(Value::as_str).unwrap_or_default();
        let version = ReleaseVersion::parse(version).map_err(invalid)?;
        let pre = ReleaseVersion { alpha: Some(alpha), ..version };
        inputs.insert("version".to_owned(), Value::String(pre.to_string()));
    }
    Ok(Value::Object(inputs).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pre_release_has_a_version_of_its_own() {
        let text = r#"{"version": "v0.9.0", "alpha": 3}"#;
        let versions: Vec<String> = PARTS
            .iter()
            .filter_map(|part| part_inputs(part, text).ok())
            .filter_map(|inputs| read_inputs::<Inputs>(&inputs).ok())
            .map(|inputs| inputs.version)
            .collect();
        assert_eq!(versions, ["v0.9.0-alpha.3", "v0.9.0", "v0.9.0"]);
    }
}
