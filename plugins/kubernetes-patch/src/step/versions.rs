//! The process `versions`: which tags a cut would create.

use castoff_sdk::Error;
use castoff_sdk::inputs::Inputs;
use castoff_sdk::process::{Context, Graph, Outcome, Process, StepKind};
use castoff_sdk::step::{done, invalid};

use super::{current, step};
use crate::core::version::{Cut, Kind, Tags, tags};

/// Name of the process.
pub(super) const NAME: &str = "versions";

#[derive(Inputs)]
struct Told {
    /// `alpha`, `beta`, `rc` or `official`
    r#type: Kind,
    /// `master` or `release-1.35`
    branch: String,
    /// for example `v1.35.0-47+1c8457462e868c`
    build_version: String,
    /// whether the branch is not there yet: the first release candidate
    #[input(default)]
    new_branch: bool,
    /// the rule before November 2022: the rc.0 of the next patch is tagged, too
    #[input(default)]
    next_rc0: bool,
}

impl Told {
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
    Process {
        name: NAME.to_owned(),
        summary: "Tell the tags that a cut would create".to_owned(),
        inputs: Told::describe(),
        profiles: current(),
    }
}

pub(super) fn graph(_: &str, inputs: &str) -> Result<Graph, Error> {
    let inputs = Told::read(inputs)?;
    let prime = inputs.tags()?.prime;
    let steps = vec![step("versions", "Compute the tags", StepKind::Work, &[], "seed 002, 5 and 6")];
    Ok(Graph { title: format!("Tags of {prime}"), steps })
}

pub(super) fn run(context: &Context) -> Result<Outcome, Error> {
    done(&Told::of(context)?.tags()?)
}
