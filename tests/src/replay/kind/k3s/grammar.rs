//! Malformed tags: process `check-tags`.

use serde_json::{Map, json};

use super::super::{Base, Kind, Setup, never};
use super::world;
use crate::replay::case::{Case, Result};
use crate::replay::drive::{Outcome, Task};
use crate::replay::judge::Faults;

/// The kind. Malformed tags are refused; the second run is told the good ones, and goes through.
pub(in super::super) const KIND: Kind = Kind {
    names: &["trap-version-grammar"],
    process: "check-tags",
    set,
    check,
    rerun: |_| true,
    taken: never,
};

fn set(case: &Case, base: Base) -> Result<Setup> {
    let list = if base == Base::Before { "invalid" } else { "valid" };
    let mut inputs = Map::new();
    inputs.insert("tags".into(), json!(case.texts(list)));
    let task = Task { process: KIND.process.into(), inputs, ..Task::default() };
    Ok(Setup::new(world(case)?, task, case))
}

fn check(case: &Case, _: &Setup, outcome: &Outcome) -> Result<Faults> {
    let why = outcome.refusal().ok_or("malformed tags were taken")?;
    let mut faults = Faults::new();
    for tag in case.texts("invalid") {
        let line = why.lines().find(|line| line.contains(&format!("{tag:?} is not")));
        if !line.is_some_and(|line| line.contains("did you mean v1.") && line.contains("+k3s")) {
            faults.push(format!("{tag} is not refused with a proposal: {why}"));
        }
    }
    Ok(faults)
}
