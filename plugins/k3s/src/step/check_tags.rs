//! `check-tags`: are these tags of k3s? Nothing is read or written.

use castoff_sdk::Error;
use castoff_sdk::process::{Context, Graph, InputKind, Outcome, Process, StepKind};
use castoff_sdk::step::{conflict, done, inputs as read_inputs};
use serde::Deserialize;

use super::input::{self, required};
use super::step;
use crate::core::version::Tag;

pub(super) const NAME: &str = "check-tags";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Inputs {
    tags: Vec<String>,
}

pub(super) fn describe() -> Process {
    let inputs = vec![required("tags", InputKind::Texts, "Tags to check, `v1.34.3-rc1+k3s1`")];
    input::process(NAME, "Refuse malformed tags, and propose the right ones", inputs)
}

pub(super) fn steps(text: &str) -> Result<Graph, Error> {
    let inputs: Inputs = read_inputs(text)?;
    let title = format!("Check {} tags", inputs.tags.len());
    Ok(Graph {
        title,
        steps: vec![step("check", "Read every tag", StepKind::Work, &[], "Create a Release Candidate")],
    })
}

pub(super) fn run(context: &Context) -> Result<Outcome, Error> {
    let inputs: Inputs = context.read_inputs()?;
    let faults = inputs.tags.iter().filter_map(|tag| Tag::parse(tag).err()).map(|error| error.to_string());
    let faults: Vec<String> = faults.collect();
    if faults.is_empty() {
        done(&serde_json::json!({ "tags": inputs.tags.len() }))
    } else {
        Err(conflict(faults.join("\n")))
    }
}
