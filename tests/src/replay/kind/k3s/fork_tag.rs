//! Tags of the Kubernetes fork: process `tag-fork`.

use std::collections::{BTreeMap, BTreeSet};

use castoff::forge::world::{Repository, Tag};
use serde_json::{Map, Value, json};

use super::super::{Base, Kind, Setup};
use super::{BRANCH, world};
use crate::replay::case::{Case, Entry, Result, texts};
use crate::replay::drive::{Outcome, Task};
use crate::replay::judge::Faults;
use crate::replay::seed;

/// The kind.
pub(in super::super) const KIND: Kind =
    Kind { names: &["k8s-tagsh-commit"], process: "tag-fork", set, check, rerun: |_| false, taken: |_| 1 };

fn set(case: &Case, base: Base) -> Result<Setup> {
    let mut files = case.tree("base")?;
    for module in case.texts("staging_modules") {
        files.insert(format!("staging/src/k8s.io/{module}/LICENSE"), Entry::File(b"Apache\n".to_vec()));
    }
    let tag = case.need("tag")?;
    let module = case.texts("staging_modules").first().cloned().unwrap_or_default();
    let taken = matches!(base, Base::Taken(_));
    let tags = taken.then(|| Tag {
        name: format!("staging/src/k8s.io/{module}/{tag}"),
        at: BRANCH.into(),
        ..Tag::default()
    });
    let mut world = world(case)?;
    let repository = seed::plain(&case.data.repo, BRANCH, &files)?;
    world.repositories.push(Repository { tags: tags.into_iter().collect(), ..repository });
    let mut inputs = Map::new();
    inputs.insert("repository".into(), json!(case.data.repo));
    inputs.insert("tag".into(), json!(tag));
    inputs.insert("commit".into(), json!(format!("refs/heads/{BRANCH}")));
    inputs.insert("build-date".into(), json!(case.need("build_date")?));
    let task = Task { process: KIND.process.into(), inputs, ..Task::default() };
    Ok(Setup::new(world, task, case))
}

fn check(case: &Case, setup: &Setup, outcome: &Outcome) -> Result<Faults> {
    let said = |error: git2::Error| error.to_string();
    let git = git2::Repository::open_bare(outcome.repository_dir(&setup.repository)).map_err(said)?;
    let made = outcome.new_refs(&setup.repository);
    let wanted: BTreeSet<String> =
        texts(case.data.rest.get("expected").and_then(|expected| expected.get("tags"))).into_iter().collect();
    let names: BTreeSet<String> =
        made.keys().map(|name| name.trim_start_matches("refs/tags/").to_owned()).collect();
    let mut faults: Faults =
        names.symmetric_difference(&wanted).map(|name| format!("the tag {name}")).collect();
    let objects: BTreeSet<&String> = made.values().collect();
    let [id] = objects.into_iter().collect::<Vec<_>>()[..] else {
        faults.push("the tags name several objects".into());
        return Ok(faults);
    };
    let commit =
        git.revparse_single(id).map_err(said)?.into_commit().map_err(|_| "the tags are not lightweight")?;
    let subject = case.data.rest.get("commit_subject").and_then(Value::as_str);
    if commit.summary().ok().flatten() != subject {
        faults.push(format!("the commit is called {:?}", commit.summary()));
    }
    let parent = commit.parent_id(0).map_err(said)?.to_string();
    let tree = commit.tree().map_err(said)?;
    let target = case.tree("target")?;
    for path in &case.data.files {
        let entry = tree.get_path(std::path::Path::new(path)).map_err(said)?;
        let blob = git.find_blob(entry.id()).map_err(said)?;
        let found = constants(&String::from_utf8_lossy(blob.content()));
        let mut right = constants(&target.get(path).map(Entry::text).unwrap_or_default());
        right.insert("gitCommit".into(), parent.clone());
        if found != right {
            faults.push(format!("{path} says {found:?}, expected {right:?}"));
        }
    }
    Ok(faults)
}

/// `gitMinor = "14"`, by name.
fn constants(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter_map(|line| line.trim().split_once('='));
    lines.map(|(name, value)| (name.trim().to_owned(), value.trim().trim_matches('"').to_owned())).collect()
}
