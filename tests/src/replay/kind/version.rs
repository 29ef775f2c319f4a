//! Tags of a cut: process `versions`.

use serde_json::{Map, json};

use super::{Base, Kind, Setup, never};
use crate::replay::case::{Case, Judge, Result, texts};
use crate::replay::drive::{Outcome, Task};
use crate::replay::judge::Faults;
use crate::replay::seed;

/// The kind.
pub(super) const KIND: Kind =
    Kind { names: &["version-compute"], process: "versions", set, check, rerun: |_| false, taken: never };

fn set(case: &Case, _: Base) -> Result<Setup> {
    let mut inputs = Map::new();
    inputs.insert("type".into(), json!(case.need("type")?));
    inputs.insert("branch".into(), json!(case.need("branch")?));
    inputs.insert("build-version".into(), json!(case.need("build_version")?));
    let flags = [("branch_needs_creation", "new-branch"), ("next_rc0", "next-rc0")];
    for (told, name) in flags {
        if let Some(value) = case.data.inputs.get(told) {
            inputs.insert(name.into(), value.clone());
        }
    }
    let task = Task { process: KIND.process.into(), inputs, ..Task::default() };
    Ok(Setup::new(seed::idle(case), task, case))
}

fn check(case: &Case, _: &Setup, outcome: &Outcome) -> Result<Faults> {
    if case.data.judge == Judge::MustRefuse {
        return Ok(Faults::new());
    }
    let made = texts(outcome.outputs("versions").and_then(|outputs| outputs.get("ordered")));
    let wanted = texts(case.data.expect.get("tags"));
    Ok(if made == wanted {
        Faults::new()
    } else {
        vec![format!("the tags are {made:?}, expected {wanted:?}")]
    })
}
