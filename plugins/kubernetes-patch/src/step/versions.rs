//! The process `versions`: which tags a cut would create.

use castoff_sdk::Error;
use castoff_sdk::process::{Context, Graph, InputKind, Outcome, Process, StepKind};
use castoff_sdk::step::{done, inputs as read_inputs, invalid};
use serde::Deserialize;

use super::{current, optional, required, step};
use crate::core::version::{Cut, Kind, Tags, tags};

/// Name of the process.
pub(super) const NAME: &str = "versions";

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Inputs {
    r#type: Kind,
    branch: String,
    build_version: String,
    #[serde(default)]
    new_branch: bool,
    #[serde(default)]
    next_rc0: bool,
}

impl Inputs {
    fn tags(&self) -> Result<Tags, Error> {
        let cut = Cut {
            kind: self.r#type,
            build_version: &self.build_version,
            branch: &self.branch,
            new_branch: self.new_branch,
            next_rc0: self.next_rc0,
        };
        tags(&cut).map_err(invalid)
    }
}

pub(super) fn describe() -> Process {
    let inputs = vec![
        required("type", InputKind::Text, "`alpha`, `beta`, `rc` or `official`"),
        required("branch", InputKind::Text, "`master` or `release-1.35`"),
        required("build-version", InputKind::Text, "for example `v1.35.0-47+1c8457462e868c`"),
        optional(
            "new-branch",
            InputKind::Flag,
            "whether the branch is not there yet: the first release candidate",
        ),
        optional(
            "next-rc0",
            InputKind::Flag,
            "the rule before November 2022: the rc.0 of the next patch is tagged, too",
        ),
    ];
    Process {
        name: NAME.to_owned(),
        summary: "Tell the tags that a cut would create".to_owned(),
        inputs,
        profiles: current(),
    }
}

pub(super) fn graph(_: &str, inputs: &str) -> Result<Graph, Error> {
    let inputs: Inputs = read_inputs(inputs)?;
    let prime = inputs.tags()?.prime;
    let steps = vec![step("versions", "Compute the tags", StepKind::Work, &[], "seed 002, 5 and 6")];
    Ok(Graph { title: format!("Tags of {prime}"), steps })
}

pub(super) fn run(context: &Context) -> Result<Outcome, Error> {
    done(&context.read_inputs::<Inputs>()?.tags()?)
}
