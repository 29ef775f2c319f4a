//! The channel server: process `channel-server`.

use serde_json::{Map, Value, json};

use super::super::{Base, Kind, Setup, files, never, whole, with_files};
use super::{BRANCH, world};
use crate::replay::case::{Case, Judge, Result};
use crate::replay::drive::{Outcome, Task};
use crate::replay::judge::Faults;
use crate::replay::seed;

/// The kind.
pub(in super::super) const KIND: Kind = Kind {
    names: &["k3s-channel-stable", "k3s-channel-minor", "k3s-channel-guard"],
    process: "channel-server",
    set,
    check,
    rerun: with_files,
    taken: never,
};

fn set(case: &Case, base: Base) -> Result<Setup> {
    let mut world = world(case)?;
    world.repositories.push(seed::plain(&case.data.repo, BRANCH, &files(case, base)?)?);
    let mut inputs = Map::new();
    inputs.insert("repository".into(), json!(case.data.repo));
    inputs.insert("stable".into(), json!(case.input("stable_to")));
    inputs.insert("channels".into(), json!(case.texts("add_channels")));
    if case.data.inputs.get("allow_backwards") == Some(&Value::Bool(true)) {
        inputs.insert("reason".into(), json!("as history has it"));
    }
    let task = Task { process: KIND.process.into(), inputs, only: vec!["propose".into()], ..Task::default() };
    Ok(Setup::new(world, task, case))
}

fn check(case: &Case, setup: &Setup, outcome: &Outcome) -> Result<Faults> {
    if case.data.judge != Judge::MustRefuse {
        return whole(case, setup, outcome, &std::collections::BTreeSet::new());
    }
    let why = outcome.refusal().unwrap_or_default();
    let named = [case.need("stable_from")?, case.need("stable_to")?, "backwards"];
    Ok(named
        .iter()
        .filter(|word| !why.contains(*word))
        .map(|word| format!("it does not say {word:?}: {why}"))
        .collect())
}
