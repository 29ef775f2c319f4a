//! `check-tags`: are these tags of k3s? Nothing is read or written.

use castoff_sdk::Error;
use castoff_sdk::inputs::Inputs;
use castoff_sdk::process::{Context, Graph, Outcome, Process, StepKind};
use castoff_sdk::step::{conflict, done};

use super::input;
use super::step;
use crate::core::version::Tag;

pub(super) const NAME: &str = "check-tags";

#[derive(Debug, Inputs)]
struct Told {
    /// Tags to check, `v1.34.3-rc1+k3s1`
    tags: Vec<String>,
}

pub(super) fn describe() -> Process {
    input::process(NAME, "Refuse malformed tags, and propose the right ones", Told::describe())
}

pub(super) fn steps(text: &str) -> Result<Graph, Error> {
    let inputs = Told::read(text)?;
    let title = format!("Check {} tags", inputs.tags.len());
    Ok(Graph {
        title,
        steps: vec![step("check", "Read every tag", StepKind::Work, &[], "Create a Release Candidate")],
    })
}

pub(super) fn run(context: &Context) -> Result<Outcome, Error> {
    let inputs = Told::of(context)?;
    let faults = inputs.tags.iter().filter_map(|tag| Tag::parse(tag).err()).map(|error| error.to_string());
    let faults: Vec<String> = faults.collect();
    if faults.is_empty() {
        done(&serde_json::json!({ "tags": inputs.tags.len() }))
    } else {
        Err(conflict(faults.join("\n")))
    }
}
