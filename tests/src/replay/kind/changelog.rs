//! Changelogs of minor and patch releases, false notes among them: process `release` up to step `changelog`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Base, Kind, Setup, files, never, with_files};
use crate::replay::case::{Case, Entry, Judge, Result, Tree};
use crate::replay::drive::{Outcome, Task};
use crate::replay::judge::{self, Faults, Note};
use crate::replay::seed::{self, Story};

/// The kind.
pub(super) const KIND: Kind = Kind {
    names: &["changelog-minor", "changelog-patch", "changelog-patch-deps-only", "changelog-trap-false-note"],
    process: "release",
    set,
    check,
    rerun: with_files,
    taken: never,
};

fn set(case: &Case, base: Base) -> Result<Setup> {
    let told = case.world.as_ref().ok_or("the case has no world.json")?;
    let branch = case.need("branch")?.to_owned();
    let since_sha = case.need("since_sha")?.to_owned();
    let merge_base = case.input("merge_base").unwrap_or(&since_sha).to_owned();
    let head = told.commits.last().map_or_else(|| case.data.base.clone(), |commit| commit.sha.clone());
    let mut before = case.tree("base")?;
    before.extend(case.tree("since")?);
    let story = Story {
        before,
        whole: BTreeMap::from([(head.clone(), files(case, base)?)]),
        branches: BTreeMap::from([(branch, head)]),
        default_branch: case.input("default_branch").unwrap_or("master").to_owned(),
        tags: vec![(case.need("since_tag")?.to_owned(), since_sha.clone(), false, String::new())],
        aside: (since_sha != merge_base).then_some(since_sha),
        anchor: Some(merge_base),
        ..Story::default()
    };
    let mut world = seed::empty(case)?;
    world.repositories.push(seed::told(&case.data.repo, told, &story)?);
    let mut inputs = Map::new();
    inputs.insert("repository".into(), json!(case.data.repo));
    inputs.insert("version".into(), json!(case.data.version));
    let only = vec!["changelog".to_owned()];
    let task = Task { process: KIND.process.into(), inputs, only, ..Task::default() };
    Ok(Setup::new(world, task, case))
}

fn check(case: &Case, setup: &Setup, outcome: &Outcome) -> Result<Faults> {
    let path = case.need("changelog_file")?;
    let changes = outcome.changes(&setup.repository)?;
    let other = changes.written.keys().chain(&changes.deleted).filter(|changed| *changed != path);
    let mut faults: Faults = other.map(|path| format!("{path} should not change")).collect();
    let Some(file) = changes.written.get(path).map(Entry::text) else {
        faults.push(format!("{path} was not written"));
        return Ok(faults);
    };
    let old = case.tree("base")?.get(path).map(Entry::text).unwrap_or_default();
    let Some(entry) = file.strip_suffix(old.as_str()) else {
        faults.push(format!("{path} does not end with the entries it had"));
        return Ok(faults);
    };
    let made = judge::split(entry);
    let parts = case.tree("parts")?;
    let part = |name: &str| text(&parts, name).unwrap_or_default();
    let judged = |name: &str| case.data.judge_parts.get(name).copied().unwrap_or(Judge::Subset);
    faults.extend(judge::header(judged("header"), &made.header, &part("header.md")));
    let wanted = text(&parts, "notes.expected.md").unwrap_or_else(|| part("notes.md"));
    let expected = notes(case.data.expect.get("notes"));
    faults.extend(judge::note_parts(judged("notes"), &made.notes, &wanted, &expected));
    faults.extend(judge::dependencies(judged("dependencies"), &made.dependencies, &part("dependencies.md")));
    Ok(faults)
}

fn text(tree: &Tree, path: &str) -> Option<String> {
    tree.get(path).map(Entry::text)
}

fn notes(value: Option<&Value>) -> Vec<Note> {
    let list = value.and_then(Value::as_array).into_iter().flatten();
    let text = |note: &Value, key: &str| note.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    list.map(|note| Note {
        kind: text(note, "kind"),
        pull: note.get("pr").and_then(Value::as_u64).unwrap_or_default(),
        author: text(note, "author"),
        text: judge::folded(&text(note, "text")),
    })
    .collect()
}
