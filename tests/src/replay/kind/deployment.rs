//! Deployment files: image tags (process `deploy-images`) and deployments for a new Kubernetes version (process
//! `hostpath-deployment`).

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{Base, Kind, Setup, never, whole, with_files};
use crate::replay::case::{Case, Entry, Judge, Result, Tree};
use crate::replay::drive::{Outcome, Task};
use crate::replay::judge::{self, Faults};
use crate::replay::seed;

/// Image tags.
pub(super) const BUMP: Kind = Kind {
    names: &["hostpath-deploy-bump", "sidecar-own-deploy-image-sync"],
    process: "deploy-images",
    set: set_bump,
    check: |case, setup, outcome| whole(case, setup, outcome, &BTreeSet::new()),
    rerun: with_files,
    taken: never,
};

/// A deployment for a new Kubernetes version.
pub(super) const NEW: Kind = Kind {
    names: &["hostpath-new-deployment", "hostpath-new-deployment-trap"],
    process: "hostpath-deployment",
    set: set_new,
    check: check_new,
    rerun: with_files,
    taken: never,
};

fn setup(case: &Case, process: &str, tree: &Tree, inputs: Map<String, Value>) -> Result<Setup> {
    let mut world = seed::empty(case)?;
    world.repositories.push(seed::plain(&case.data.repo, "master", tree)?);
    let only = vec!["propose".to_owned()];
    let task = Task { process: process.into(), inputs, only, ..Task::default() };
    Ok(Setup::new(world, task, case))
}

fn input(case: &Case, name: &str) -> Value {
    case.data.inputs.get(name).or_else(|| case.data.rest.get(name)).cloned().unwrap_or(Value::Null)
}

fn set_bump(case: &Case, base: Base) -> Result<Setup> {
    let mut inputs = Map::new();
    inputs.insert("repository".into(), json!(case.data.repo));
    inputs.insert("images".into(), input(case, "images"));
    inputs.insert("files".into(), input(case, "files"));
    inputs.insert("per-file".into(), input(case, "per_file"));
    setup(case, BUMP.process, &super::files(case, base)?, inputs)
}

/// The wanted tree of a new deployment: the published files, with the right links.
fn wanted_new(case: &Case) -> Result<Tree> {
    let mut tree = super::wanted(case)?;
    let links = case.data.expect.get("symlinks").and_then(Value::as_object);
    if let Some(links) = links {
        tree.retain(|_, entry| matches!(entry, Entry::File(_)));
        for (path, text) in links {
            tree.insert(path.clone(), Entry::Link(text.as_str().unwrap_or_default().to_owned()));
        }
    }
    Ok(tree)
}

/// The Kubernetes version in a path: `kubernetes-1.30-test` has 1.30.
fn version(path: &str) -> Option<String> {
    let rest = path.split("kubernetes-").nth(1)?;
    rest.split(['-', '/']).next().map(str::to_owned)
}

/// The deployment that takes another version, old and new, and whether the old one stays: by the renames that git found, else by
/// the folders before and after.
fn renamed(case: &Case) -> Option<(String, String, bool)> {
    let folders = |name: &str| -> BTreeSet<String> {
        case.texts(name).iter().filter_map(|name| version(name)).collect()
    };
    let (before, after) = (folders("base_dirs"), folders("target_dirs"));
    let renames = case.data.inputs.get("renames").and_then(Value::as_array);
    let first = renames.and_then(|all| all.first()).and_then(Value::as_array);
    let side = |at: usize| first?.get(at).and_then(Value::as_str).and_then(version);
    if let (Some(from), Some(to)) = (side(0), side(1)) {
        let stays = after.contains(&from);
        return Some((from, to, stays));
    }
    let newest = |versions: Vec<&String>| -> Option<String> {
        let number = |version: &&&String| {
            version.split('.').filter_map(|part| part.parse().ok()).collect::<Vec<u64>>()
        };
        versions.iter().max_by_key(|version| number(version)).map(|version| (*version).clone())
    };
    let to = newest(after.difference(&before).collect())?;
    let gone = newest(before.difference(&after).collect());
    let stays = gone.is_none();
    Some((gone.or_else(|| newest(before.iter().collect()))?, to, stays))
}

fn set_new(case: &Case, base: Base) -> Result<Setup> {
    let tree = if base == Base::Before { case.tree("base")? } else { wanted_new(case)? };
    let mut links = Map::new();
    for (path, text) in case.data.expect.get("symlinks").and_then(Value::as_object).into_iter().flatten() {
        let plain = path.matches('/').count() == 1 && !path.contains("latest") && !path.ends_with("-test");
        let to = text.as_str().and_then(|text| text.strip_prefix("kubernetes-"));
        if let (true, Some(from), Some(to)) = (plain, version(path), to) {
            links.insert(from, json!(to));
        }
    }
    let mut inputs = Map::new();
    inputs.insert("repository".into(), json!(case.data.repo));
    if let Some((from, to, stays)) = renamed(case) {
        inputs.insert("renames".into(), json!({ from: to }));
        inputs.insert("keep-old".into(), json!(stays));
    }
    inputs.insert("links".into(), Value::Object(links));
    inputs.insert("per-file".into(), json!(case.data.image_tags_by_file));
    setup(case, NEW.process, &tree, inputs)
}

fn check_new(case: &Case, setup: &Setup, outcome: &Outcome) -> Result<Faults> {
    let made = judge::applied(&case.tree("base")?, &outcome.changes(&setup.repository)?);
    let skip: BTreeSet<String> = case.data.edited_beyond_image_tags.iter().cloned().collect();
    let mut faults = judge::trees(&made, &wanted_new(case)?, &skip);
    if case.data.judge == Judge::MustDiffer {
        let nested = made.iter().filter(|(path, entry)| {
            let inside = path.rsplit_once('/').is_some_and(|(folder, _)| matches!(made.get(folder), Some(Entry::Link(_))));
            inside || matches!(entry, Entry::Link(text) if path.matches('/').count() > 1 && text.starts_with("kubernetes-"))
        });
        faults.extend(nested.map(|(path, _)| format!("{path} is a nested link")));
    }
    Ok(faults)
}
