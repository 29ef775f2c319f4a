//! Digests into the promotion list: process `promote`.

use std::collections::BTreeSet;

use castoff::forge::world::Image;
use serde_json::{Map, Value, json};

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

/// The registry of users.
const PRODUCTION: &str = "registry.k8s.io/sig-storage";

fn set(case: &Case, base: Base) -> Result<Setup> {
    let mut world = seed::empty(case)?;
    world.repositories.push(seed::plain(&case.data.repo, "main", &files(case, base)?)?);
    let mut inputs = Map::new();
    inputs.insert("repository".into(), json!(case.data.repo));
    inputs.insert("file".into(), json!(case.need("file")?));
    let entries = case.data.inputs.get("entries").cloned().unwrap_or_default();
    if case.data.judge == Judge::MustRefuse && base == Base::Before {
        world.images = published(&entries);
    }
    inputs.insert("entries".into(), entries);
    let only = vec!["promote".to_owned()];
    let task = Task { process: KIND.process.into(), inputs, only, ..Task::default() };
    Ok(Setup::new(world, task, case))
}

/// What a promotion that must be refused meets: its tags are in production already, with other content. A list alone
/// does not always tell, since entries were dropped from it by hand.
fn published(entries: &Value) -> Vec<Image> {
    let entries = entries.as_array().into_iter().flatten();
    let text =
        |entry: &Value, key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    entries
        .map(|entry| Image {
            name: format!("{PRODUCTION}/{}", text(entry, "image")),
            tags: vec![text(entry, "tag")],
            ..Image::default()
        })
        .collect()
}

fn check(case: &Case, setup: &Setup, outcome: &Outcome) -> Result<Faults> {
    if case.data.judge == Judge::MustRefuse {
        return Ok(Faults::new());
    }
    whole(case, setup, outcome, &BTreeSet::new())
}
