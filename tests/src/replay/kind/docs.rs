//! Version tables of the documentation: process `docs`.

use std::collections::{BTreeMap, BTreeSet};

use castoff::forge::world::{Repository, SeedCommit, Tag};
use chrono::DateTime;
use serde_json::{Map, Value, json};

use super::{Base, Kind, Setup, files, never, whole, with_files};
use crate::replay::case::{Case, Entry, Judge, Result, Tree, texts};
use crate::replay::drive::{Outcome, Task};
use crate::replay::judge::{self, Faults};
use crate::replay::seed;

/// The kind.
pub(super) const KIND: Kind =
    Kind { names: &["docs-version-table"], process: "docs", set, check, rerun: with_files, taken: never };

fn rows(case: &Case) -> Vec<&Map<String, Value>> {
    let rows = case.data.inputs.get("rows").and_then(Value::as_array).into_iter().flatten();
    rows.filter_map(Value::as_object).collect()
}

fn field<'r>(row: &'r Map<String, Value>, name: &str) -> &'r str {
    row.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn set(case: &Case, base: Base) -> Result<Setup> {
    let mut world = seed::empty(case)?;
    world.repositories.push(seed::plain(&case.data.repo, "master", &files(case, base)?)?);
    for (name, dates) in case.data.inputs.get("tag_dates").and_then(Value::as_object).into_iter().flatten() {
        if let Some(dates) = dates.as_object() {
            world.repositories.push(tagged(&format!("kubernetes-csi/{name}"), dates)?);
        }
    }
    let wanted = rows(case).into_iter().map(|row| {
        let mut wanted = Map::new();
        wanted.insert("page".into(), json!(field(row, "page")));
        wanted.insert("version".into(), json!(field(row, "version")));
        // A row that is itself to be mended is no pattern before that.
        let from = field(row, "row_of_version_to_substitute");
        let mended = rows(case)
            .iter()
            .any(|other| field(other, "page") == field(row, "page") && field(other, "version") == from);
        match from {
            from if !from.is_empty() && !mended => wanted.insert("substitute-from".into(), json!(from)),
            _ => wanted.insert("cells".into(), json!(texts(row.get("cells")))),
        };
        Value::Object(wanted)
    });
    let mut inputs = Map::new();
    inputs.insert("repository".into(), json!(case.data.repo));
    inputs.insert("rows".into(), wanted.collect());
    if let Some(dates) = case.data.inputs.get("tag_dates") {
        inputs.insert("tag-dates".into(), dates.clone());
    }
    let only = vec!["propose".to_owned()];
    let task = Task { process: KIND.process.into(), inputs, only, ..Task::default() };
    Ok(Setup::new(world, task, case))
}

/// A repository with a commit for every tag, made when the tag was.
fn tagged(name: &str, dates: &Map<String, Value>) -> Result<Repository> {
    let mut commits = Vec::new();
    let mut tags = Vec::new();
    for (tag, date) in dates {
        let date = date.as_str().unwrap_or_default();
        let date = DateTime::parse_from_rfc3339(date).map_err(|error| format!("{name} {tag}: {error}"))?;
        commits.push((date, tag.clone()));
        tags.push(Tag { name: tag.clone(), at: tag.clone(), ..Tag::default() });
    }
    commits.sort();
    let mut parent: Option<String> = None;
    let mut chain = Vec::new();
    for (date, tag) in commits {
        chain.push(SeedCommit {
            id: tag.clone(),
            parents: parent.into_iter().collect(),
            message: format!("Release {tag}\n"),
            date: Some(date),
            ..SeedCommit::default()
        });
        parent = Some(tag);
    }
    let head = parent.into_iter().map(|at| castoff::forge::world::Branch { name: "master".into(), at });
    let branches = head.collect();
    Ok(Repository {
        name: name.into(),
        default_branch: Some("master".into()),
        commits: chain,
        tags,
        branches,
        ..Repository::default()
    })
}

fn check(case: &Case, setup: &Setup, outcome: &Outcome) -> Result<Faults> {
    if case.data.judge == Judge::Bytes {
        return whole(case, setup, outcome, &BTreeSet::new());
    }
    let base = case.tree("base")?;
    let made = judge::applied(&base, &outcome.changes(&setup.repository)?);
    let mut faults = Faults::new();
    for row in rows(case) {
        let (page, version) = (field(row, "page"), field(row, "version"));
        let wanted = texts(row.get("cells"));
        let found = made.get(page).map(|entry| table_rows(&entry.text())).unwrap_or_default();
        if !found.contains(&wanted) {
            let same = found.iter().find(|cells| cells.iter().any(|cell| cell.contains(version)));
            faults.push(format!("{page}: no row {wanted:?}; the one of {version} is {same:?}"));
        }
    }
    faults.extend(others(case, &base, &made)?);
    Ok(faults)
}

/// Rows that are not asked for are neither changed nor dropped, unless the published change did so too.
fn others(case: &Case, base: &Tree, made: &Tree) -> Result<Faults> {
    let target = case.tree("target")?;
    let mut faults = Faults::new();
    let lines = |tree: &Tree, page: &str| -> BTreeMap<Vec<String>, usize> {
        let rows = tree.get(page).map(|entry| table_rows(&Entry::text(entry))).unwrap_or_default();
        let mut counted = BTreeMap::new();
        rows.into_iter().for_each(|row| *counted.entry(row).or_default() += 1);
        counted
    };
    for page in base.keys() {
        let (before, after, published) = (lines(base, page), lines(made, page), lines(&target, page));
        let lost = before.keys().filter(|row| !after.contains_key(*row) && published.contains_key(*row));
        faults.extend(lost.map(|row| format!("{page}: the row {row:?} is gone")));
    }
    Ok(faults)
}

/// Cells of all rows of all tables.
fn table_rows(page: &str) -> Vec<Vec<String>> {
    let rows = page.lines().filter(|line| line.trim_start().starts_with('|') || line.contains(" | "));
    rows.map(|line| {
        let line = line.trim().trim_start_matches('|').trim_end_matches('|');
        line.split('|').map(|cell| cell.trim().to_owned()).collect()
    })
    .collect()
}
