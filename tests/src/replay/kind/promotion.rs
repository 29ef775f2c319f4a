//! Digests into the promotion list: process `promote`.

use std::collections::BTreeSet;

use serde_json::{Map, json};

use super::{Base, Kind, Setup, files, never, whole, with_files};
use crate::replay::case::{Case, Judge, Result};
use crate::replay::drive::{Outcome, Task};
use crate::replay::judge::Faults;
use crate::replay::seed;

/// The kind.
pub(super) const KIND: Kind = Kind {
    names: &["images-yaml-promotion", "images-yaml-promotion-ok", "images-yaml-promotion-trap"],
    process: "promote",
    set,
    check,
    rerun: with_files,
    taken: never,
};

fn set(case: &Case, base: Base) -> Result<Setup> {
    let mut world = seed::empty(case)?;
    world.repositories.push(seed::plain(&case.data.repo, "main", &files(case, base)?)?);
    let mut inputs = Map::new();
    inputs.insert("repository".into(), json!(case.data.repo));
    inputs.insert("file".into(), json!(case.need("file")?));
    inputs.insert("entries".into(), case.data.inputs.get("entries").cloned().unwrap_or_default());
    // The case has digests and no registry to look them up in.
    inputs.insert("verify".into(), json!(false));
    let only = vec!["promote".to_owned()];
    let task = Task { process: KIND.process.into(), inputs, only, ..Task::default() };
    Ok(Setup::new(world, task, case))
}

fn check(case: &Case, setup: &Setup, outcome: &Outcome) -> Result<Faults> {
    if case.data.judge == Judge::MustRefuse {
        return Ok(Faults::new());
    }
    whole(case, setup, outcome, &BTreeSet::new())
}
