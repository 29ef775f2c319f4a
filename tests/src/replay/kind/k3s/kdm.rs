//! Rancher's metadata: processes `kdm`, `regsync` and `kdm-lint`.

use std::collections::{BTreeMap, BTreeSet};

use castoff::forge::World;
use castoff::forge::world::{Branch, Person, Repository, SeedCommit};
use serde_json::{Map, Value, json};

use super::super::{Base, Kind, Setup, files, never, whole};
use super::{BRANCH, world};
use crate::replay::case::{Case, Judge, Result, Tree};
use crate::replay::drive::{Outcome, Task};
use crate::replay::judge::{self, Faults};
use crate::replay::seed;

/// Edits of `channels.yaml`, on one branch or several.
pub(in super::super) const EDIT: Kind = Kind {
    names: &[
        "kdm-channels-add-derived",
        "kdm-channels-add-explicit",
        "kdm-channels-add-eofnl",
        "kdm-channels-rename",
        "kdm-channels-remove",
        "kdm-multi-branch-bundle",
    ],
    process: "kdm",
    set: set_edit,
    check: check_edit,
    rerun: |_| true,
    taken: never,
};

/// `data/data.json`.
pub(in super::super) const GENERATE: Kind = Kind {
    names: &["kdm-gogenerate-datajson"],
    process: "kdm",
    set: |case, base| plain(case, base, "kdm", Map::new()),
    check: |case, setup, outcome| whole(case, setup, outcome, &BTreeSet::new()),
    rerun: |_| true,
    taken: never,
};

/// `regsync.yaml`.
pub(in super::super) const REGSYNC: Kind = Kind {
    names: &["kdm-gogenerate-regsync", "kdm-gogenerate-regsync-needs-images"],
    process: "regsync",
    set: set_regsync,
    check: |case, setup, outcome| whole(case, setup, outcome, &BTreeSet::new()),
    rerun: |_| true,
    taken: never,
};

/// Faults of `channels.yaml`.
pub(in super::super) const LINT: Kind = Kind {
    names: &["kdm-lint"],
    process: "kdm-lint",
    set: |case, base| plain(case, base, "kdm-lint", Map::new()),
    check: check_lint,
    rerun: |_| false,
    taken: never,
};

fn plain(case: &Case, base: Base, process: &str, inputs: Map<String, Value>) -> Result<Setup> {
    let mut world = world(case)?;
    world.repositories.push(seed::plain(&case.data.repo, BRANCH, &files(case, base)?)?);
    with(case, world, process, inputs)
}

fn with(case: &Case, world: World, process: &str, mut inputs: Map<String, Value>) -> Result<Setup> {
    inputs.insert("repository".into(), json!(case.data.repo));
    let step = if process == "kdm-lint" { "lint" } else { "propose" };
    let task = Task { process: process.into(), inputs, only: vec![step.into()], ..Task::default() };
    Ok(Setup::new(world, task, case))
}

/// The edit as the process takes it: notes about the case left out.
fn edit(told: &Value) -> Value {
    let of = |key: &str| told.get(key).cloned().unwrap_or_else(|| json!([]));
    json!({ "rename": of("rename"), "remove": of("remove"), "add": of("add") })
}

fn set_edit(case: &Case, base: Base) -> Result<Setup> {
    let found =
        |key: &str| case.data.rest.get(key).and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    let mut inputs = Map::new();
    inputs.insert("lint".into(), json!(!found("lint_findings_in_base") && !found("lint_findings_in_target")));
    let Some(told) = case.data.inputs.get("branches").and_then(Value::as_object) else {
        let told = Value::Object(case.data.inputs.clone());
        inputs.insert("branches".into(), json!({ BRANCH: { "edit": edit(&told) } }));
        return plain(case, base, "kdm", inputs);
    };
    let branches: Map<String, Value> = told
        .iter()
        .map(|(name, told)| (name.clone(), json!({ "edit": edit(told), "folder": name })))
        .collect();
    inputs.insert("branches".into(), Value::Object(branches));
    let mut world = world(case)?;
    world.repositories.push(branched(case, told.keys(), &files(case, base)?)?);
    with(case, world, "kdm", inputs)
}

/// A repository whose branches hold the files below the folder of their name.
fn branched<'a>(case: &Case, names: impl Iterator<Item = &'a String>, tree: &Tree) -> Result<Repository> {
    let mut repository = Repository { name: case.data.repo.clone(), ..Repository::default() };
    for name in names {
        let prefix = format!("{name}/");
        let own: Tree = tree
            .iter()
            .filter(|(path, _)| path.starts_with(&prefix))
            .map(|(path, entry)| (path.clone(), entry.clone()))
            .collect();
        repository.commits.push(SeedCommit {
            id: name.clone(),
            message: format!("Files of {name}\n"),
            author: Some(Person { name: "Somebody".into(), email: "somebody@example.org".into() }),
            files: seed::specs(&own)?,
            ..SeedCommit::default()
        });
        repository.branches.push(Branch { name: name.clone(), at: name.clone() });
        repository.default_branch = Some(name.clone());
    }
    Ok(repository)
}

fn check_edit(case: &Case, setup: &Setup, outcome: &Outcome) -> Result<Faults> {
    if case.data.judge == Judge::Bytes {
        return whole(case, setup, outcome, &BTreeSet::new());
    }
    // The end of the file is history's accident.
    let ends = |tree: &Tree| -> BTreeMap<String, String> {
        tree.iter()
            .map(|(path, entry)| (path.clone(), entry.text().trim_end_matches('\n').to_owned()))
            .collect()
    };
    let made = ends(&judge::applied(&case.tree("base")?, &outcome.changes(&setup.repository)?));
    let wanted = ends(&super::super::wanted(case)?);
    let differs = wanted.iter().filter(|(path, text)| made.get(*path) != Some(*text));
    let faults = differs.map(|(path, text)| {
        format!("{path}: {}", judge::lines(made.get(path).map_or("", String::as_str), text))
    });
    Ok(faults.collect())
}

fn set_regsync(case: &Case, base: Base) -> Result<Setup> {
    let mut inputs = Map::new();
    for (name, key) in [
        ("add-tags", "add_tags"),
        ("remove-tags", "remove_tags"),
        ("add-images", "extra_images"),
        ("remove-images", "removed_images"),
    ] {
        if let Some(value) = case.data.inputs.get(key) {
            inputs.insert(name.into(), value.clone());
        }
    }
    plain(case, base, "regsync", inputs)
}

fn check_lint(case: &Case, _: &Setup, outcome: &Outcome) -> Result<Faults> {
    let why = outcome.refusal().unwrap_or_default();
    let findings = case.data.rest.get("findings").and_then(Value::as_array).cloned().unwrap_or_default();
    let told = findings.iter().map(|finding| {
        let of = |key: &str| finding.get(key).and_then(Value::as_str).unwrap_or_default();
        format!("{} {}", of("code"), of("what"))
    });
    let missing = told.filter(|told| !why.contains(told.as_str()));
    Ok(missing.map(|told| format!("it does not report {told:?}: {why}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::case::Entry;

    #[test]
    fn a_branch_holds_its_own_folder() {
        let case = Case {
            folder: std::path::PathBuf::new(),
            data: crate::replay::case::Data::default(),
            world: None,
        };
        let file = |text: &str| Entry::File(text.as_bytes().to_vec());
        let tree = Tree::from([("a/x".into(), file("1")), ("b/x".into(), file("2"))]);
        let names = ["a".to_owned(), "b".to_owned()];
        let made = branched(&case, names.iter(), &tree).expect("texts");
        let files: Vec<Vec<&String>> =
            made.commits.iter().map(|commit| commit.files.keys().collect()).collect();
        assert_eq!(files, [["a/x"], ["b/x"]]);
    }
}
