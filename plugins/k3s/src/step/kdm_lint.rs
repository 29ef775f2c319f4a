//! `kdm-lint`: faults of `channels.yaml` of Rancher's metadata.

use castoff_sdk::Error;
use castoff_sdk::process::{Context, Graph, InputKind, Outcome, Process, StepKind};
use castoff_sdk::step::{conflict, done, inputs as read_inputs};
use serde::Deserialize;

use super::input::{self, optional};
use super::step;
use super::tree::Checkout;
use crate::core::lint::{lint, told};

pub(super) const NAME: &str = "kdm-lint";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Inputs {
    #[serde(default = "input::kdm")]
    repository: String,
    base: Option<String>,
}

pub(super) fn describe() -> Process {
    let inputs = vec![
        optional(
            "repository",
            InputKind::Text,
            "Repository; rancher/kontainer-driver-metadata when left out",
        ),
        optional("base", InputKind::Text, "Branch; the default branch when left out"),
    ];
    input::process(NAME, "Name the faults of channels.yaml", inputs)
}

pub(super) fn steps(text: &str) -> Result<Graph, Error> {
    let inputs: Inputs = read_inputs(text)?;
    let title = format!("Lint channels.yaml of {}", inputs.repository);
    Ok(Graph {
        title,
        steps: vec![step("lint", "Read channels.yaml", StepKind::Work, &[], "Update Rancher KDM")],
    })
}

pub(super) fn run(context: &Context) -> Result<Outcome, Error> {
    let inputs: Inputs = context.read_inputs()?;
    let checkout = Checkout::open(&inputs.repository, inputs.base.as_deref())?;
    let found = lint(&checkout.need("channels.yaml")?);
    if found.is_empty() {
        done(&serde_json::json!({ "findings": found }))
    } else {
        Err(conflict(format!("channels.yaml of {}: {}", checkout.base, told(&found))))
    }
}
