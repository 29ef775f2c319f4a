//! Component tables of release notes: process `components`.

use castoff::forge::world::{Repository, Tag};
use serde_json::{Map, Value, json};

use super::super::{Base, Kind, Setup, never};
use super::{BRANCH, world};
use crate::replay::case::{Case, Entry, Result, Tree};
use crate::replay::drive::{Outcome, Task};
use crate::replay::judge::Faults;
use crate::replay::seed;

/// The kind.
pub(in super::super) const KIND: Kind = Kind {
    names: &["k3s-release-notes-components"],
    process: "components",
    set,
    check,
    rerun: |_| false,
    taken: never,
};

const CARRIER: &str = "mattn/go-sqlite3";

fn set(case: &Case, _: Base) -> Result<Setup> {
    let mut world = world(case)?;
    world.repositories.push(seed::plain(&case.data.repo, BRANCH, &case.tree("base")?)?);
    world.repositories.push(carrier(case)?);
    let mut inputs = Map::new();
    inputs.insert("repository".into(), json!(case.data.repo));
    inputs.insert("tag".into(), json!(case.data.version));
    inputs.insert("revision".into(), json!(format!("refs/heads/{BRANCH}")));
    let task = Task { process: KIND.process.into(), inputs, ..Task::default() };
    Ok(Setup::new(world, task, case))
}

/// The module that carries SQLite, at the version that the case names.
fn carrier(case: &Case) -> Result<Repository> {
    let known = case.data.inputs.get("sqlite_version_of_module").and_then(Value::as_object);
    let (module, version) = known.and_then(|map| map.iter().next()).ok_or("the case names no SQLite")?;
    let tag = module.split_whitespace().last().unwrap_or_default();
    let header = format!("#define SQLITE_VERSION        \"{}\"\n", version.as_str().unwrap_or_default());
    let files = Tree::from([("sqlite3-binding.h".to_owned(), Entry::File(header.into_bytes()))]);
    let tags = vec![Tag { name: tag.into(), at: BRANCH.into(), ..Tag::default() }];
    Ok(Repository { tags, ..seed::plain(CARRIER, BRANCH, &files)? })
}

fn check(case: &Case, _: &Setup, outcome: &Outcome) -> Result<Faults> {
    let found = outcome.outputs("components").ok_or("there are no components")?;
    let wanted =
        case.data.rest.get("expected").and_then(Value::as_object).ok_or("the case expects nothing")?;
    let differs = wanted.iter().filter(|(name, version)| found.get(name.as_str()) != Some(version));
    Ok(differs
        .map(|(name, version)| format!("{name} is {:?}, expected {version}", found.get(name.as_str())))
        .collect())
}
