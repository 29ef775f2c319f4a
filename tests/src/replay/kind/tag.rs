//! Tags and release branches, wrong ones among them: process `tag`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Base, Kind, Setup};
use crate::replay::case::{Case, Judge, Result, Tree, World as Told, texts};
use crate::replay::drive::{Outcome, Task};
use crate::replay::judge::Faults;
use crate::replay::seed::{self, Story};

/// The kind.
pub(super) const KIND: Kind = Kind {
    names: &[
        "tag-and-release-branch",
        "trap-wrong-branch-tag",
        "trap-wrong-version-tag",
        "trap-retag-same-commit",
    ],
    process: "tag",
    set,
    check,
    rerun: |case| !wanted(case).is_empty(),
    taken: |case| wanted(case).len(),
};

/// A ref that must appear.
struct Wanted {
    name: String,
    sha: String,
    annotated: bool,
}

fn wanted(case: &Case) -> Vec<Wanted> {
    if case.data.judge == Judge::MustRefuse {
        return Vec::new();
    }
    let refs = case.data.expect.get("create_refs").and_then(Value::as_object).into_iter().flatten();
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    refs.filter_map(|(name, value)| {
        let annotated = text(value, "type").as_deref() == Some("annotated");
        Some(Wanted { name: name.clone(), sha: text(value, "sha")?, annotated })
    })
    .collect()
}

fn set(case: &Case, base: Base) -> Result<Setup> {
    let told = case.world.as_ref().ok_or("the case has no world.json")?;
    let mut story = story(case, told)?;
    match base {
        Base::Before => {}
        Base::After => wanted(case).into_iter().for_each(|wanted| put(&mut story, wanted)),
        Base::Taken(nth) => {
            let other = story.anchor.clone().ok_or("there is no other commit")?;
            let all = wanted(case).into_iter().nth(nth);
            all.into_iter().for_each(|wanted| put(&mut story, Wanted { sha: other.clone(), ..wanted }));
        }
    }
    let mut world = seed::empty(case)?;
    world.repositories.push(seed::told(&case.data.repo, told, &story)?);
    let commit = case.need("requested_commit")?;
    let mut inputs = Map::new();
    inputs.insert("repository".into(), json!(case.data.repo));
    inputs.insert("version".into(), json!(case.need("version")?));
    inputs.insert("commit".into(), json!(format!("seeded:{}:{commit}", case.data.repo)));
    let task = Task { process: KIND.process.into(), inputs, ..Task::default() };
    Ok(Setup::new(world, task, case))
}

fn story(case: &Case, told: &Told) -> Result<Story> {
    let base = case.tree("base")?;
    let target = case.tree("target")?;
    let mut changed: BTreeMap<String, Tree> = BTreeMap::new();
    for (sha, at) in &told.changelog_at {
        if *sha == case.data.base || at.has_heading {
            changed.insert(sha.clone(), base.clone());
        } else if *sha == case.data.target {
            changed.insert(sha.clone(), target.clone());
        }
    }
    changed.entry(case.data.base.clone()).or_insert(base);
    let tags = told.tags.iter();
    let tags: Vec<_> = tags
        .map(|(name, tag)| (name.clone(), tag.sha.clone(), tag.kind == "annotated", tag.date.clone()))
        .collect();
    let previous = case.input("previous_tag").and_then(|name| told.tags.get(name));
    let is_told =
        |sha: &String| told.commits.iter().chain(&told.side_commits).any(|commit| commit.sha == *sha);
    Ok(Story {
        changed,
        branches: told.branches.clone(),
        default_branch: case.input("default_branch").unwrap_or("master").to_owned(),
        tags,
        anchor: previous.map(|tag| tag.sha.clone()).filter(|sha| !is_told(sha)),
        ..Story::default()
    })
}

fn put(story: &mut Story, wanted: Wanted) {
    if let Some(name) = wanted.name.strip_prefix("refs/tags/") {
        story.tags.retain(|(known, ..)| known != name);
        story.tags.push((name.to_owned(), wanted.sha, wanted.annotated, String::new()));
    } else if let Some(name) = wanted.name.strip_prefix("refs/heads/") {
        story.branches.insert(name.to_owned(), wanted.sha);
    }
}

fn check(case: &Case, setup: &Setup, outcome: &Outcome) -> Result<Faults> {
    if case.data.judge == Judge::MustRefuse {
        return refused(case, outcome);
    }
    let mut faults = Faults::new();
    let git = git2::Repository::open_bare(outcome.repository_dir(&setup.repository))
        .map_err(|error| error.to_string())?;
    let mut made = outcome.new_refs(&setup.repository);
    for wanted in wanted(case) {
        let commit = outcome.seeded(&setup.repository, &wanted.sha);
        let Some(id) = made.remove(&wanted.name) else {
            faults.push(format!("{} was not made", wanted.name));
            continue;
        };
        let object = git.revparse_single(&id).map_err(|error| error.to_string())?;
        let annotated = object.as_tag().is_some();
        let at = object.peel_to_commit().map_err(|error| error.to_string())?.id().to_string();
        if Some(&at) != commit.as_ref() {
            faults.push(format!("{} is at {at}, expected {commit:?}", wanted.name));
        }
        if annotated && !wanted.annotated && wanted.name.starts_with("refs/tags/") {
            faults.push(format!("{} is annotated, expected a lightweight tag", wanted.name));
        }
    }
    faults.extend(made.keys().map(|name| format!("{name} should not have been touched")));
    Ok(faults)
}

/// The refusal says why, and what would be right.
fn refused(case: &Case, outcome: &Outcome) -> Result<Faults> {
    let why = outcome.refusal().ok_or("nothing was refused")?;
    let reasons = texts(case.data.expect.get("refuse"));
    let unsaid = reasons.iter().filter(|reason| !why.contains(reason.as_str()));
    let mut faults: Faults = unsaid.map(|reason| format!("it does not say {reason:?} but {why:?}")).collect();
    let right = |key: &str| case.data.expect.get(key).and_then(Value::as_str);
    let commit = right("right_commit").and_then(|sha| outcome.seeded(&case.data.repo, sha));
    for right in commit.iter().map(String::as_str).chain(right("right_version")) {
        if !why.contains(right) {
            faults.push(format!("it does not name {right}: {why:?}"));
        }
    }
    Ok(faults)
}
