//! The shared release tools pulled into a repository: process `release-tools`.
//!
//! The files of the upstream commits are programs and no part of the data: every commit gets a file of its own, so
//! that every one has another tree. The last update is found by its trailers, as it is in the published history.

use std::collections::BTreeMap;

use castoff::forge::world::{Branch, Repository, SeedCommit};
use chrono::{DateTime, FixedOffset};
use git2::{Oid, Repository as Git};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::{Base, Kind, Setup, never};
use crate::replay::case::{Case, Commit, Entry, Result, Tree, World as Told};
use crate::replay::drive::{Outcome, Task};
use crate::replay::judge::Faults;
use crate::replay::seed;

/// The kind.
pub(super) const KIND: Kind = Kind {
    names: &["release-tools-subtree-update"],
    process: "release-tools",
    set,
    check,
    rerun: |_| true,
    taken: never,
};

/// A file of the upstream repository that tells its commits apart.
const FILE: &str = "VERSION";

/// The upstream repository, built before the world so that the trailers of the last update can name its commits.
struct Upstream {
    name: String,
    folder: TempDir,
    ids: BTreeMap<String, String>,
}

impl Upstream {
    fn build(case: &Case, told: &Told) -> Result<Self> {
        let name =
            told.upstream.as_deref().or_else(|| case.input("upstream")).ok_or("no upstream is named")?;
        let folder = TempDir::new().map_err(|error| error.to_string())?;
        let git = Git::init_bare(folder.path()).map_err(said)?;
        let mut ids = BTreeMap::new();
        let before = case.need("split_before")?;
        let at = seed::now(case)? - chrono::Duration::days(365);
        let first = commit(&git, &[], "Earlier work\n", "before\n", at.fixed_offset())?;
        ids.insert(before.to_owned(), first);
        let mut open: Vec<_> = told.commits.iter().collect();
        while !open.is_empty() {
            let known = |commit: &&Commit| {
                let inside = |parent: &String| told.commits.iter().any(|commit| commit.sha == *parent);
                commit.parents.iter().all(|parent| ids.contains_key(parent) || !inside(parent))
            };
            let next = open.iter().position(known).ok_or("the upstream commits go in a circle")?;
            let told = open.remove(next);
            let parent = |sha: &String| ids.get(sha).or_else(|| ids.get(before)).cloned();
            let parents: Vec<String> = told.parents.iter().filter_map(parent).collect();
            let date = DateTime::parse_from_rfc3339(&told.date).map_err(|error| error.to_string())?;
            let id = commit(&git, &parents, &told.message, &format!("{}\n", told.sha), date)?;
            ids.insert(told.sha.clone(), id);
        }
        let after = ids.get(case.need("split_after")?).ok_or("split_after is no upstream commit")?;
        let after = Oid::from_str(after).map_err(said)?;
        git.reference("refs/heads/master", after, true, "").map_err(said)?;
        Ok(Self { name: name.to_owned(), folder, ids })
    }

    fn id(&self, sha: &str) -> Result<&str> {
        self.ids.get(sha).map(String::as_str).ok_or_else(|| format!("upstream has no {sha}"))
    }
}

fn commit(
    git: &Git,
    parents: &[String],
    message: &str,
    text: &str,
    date: DateTime<FixedOffset>,
) -> Result<String> {
    let make = || {
        let mut tree = git.treebuilder(None)?;
        tree.insert(FILE, git.blob(text.as_bytes())?, 0o100_644)?;
        let tree = git.find_tree(tree.write()?)?;
        let time = git2::Time::new(date.timestamp(), date.offset().local_minus_utc() / 60);
        let by = git2::Signature::new("Somebody", "somebody@example.org", &time)?;
        let parents: Vec<git2::Commit<'_>> = parents
            .iter()
            .map(|parent| git.find_commit(Oid::from_str(parent)?))
            .collect::<std::result::Result<_, _>>()?;
        git.commit(None, &by, &by, message, &tree, &parents.iter().collect::<Vec<_>>())
    };
    make().map(|id| id.to_string()).map_err(said)
}

fn said(error: git2::Error) -> String {
    error.to_string()
}

/// The text of the file at one of the upstream commits.
fn version(case: &Case, told: &Told, sha: &str) -> Result<String> {
    if told.commits.iter().any(|commit| commit.sha == *sha) {
        return Ok(format!("{sha}\n"));
    }
    if case.need("split_before")? == sha { Ok("before\n".into()) } else { Err(format!("no commit {sha}")) }
}

fn set(case: &Case, base: Base) -> Result<Setup> {
    let told = case.world.as_ref().ok_or("the case has no world.json")?;
    let upstream = Upstream::build(case, told)?;
    let prefix = case.need("prefix")?;
    let held = case.need(if base == Base::Before { "split_before" } else { "split_after" })?;
    let split = upstream.id(held)?.to_owned();
    let date = Some((seed::now(case)? - chrono::Duration::days(30)).fixed_offset());
    let text = version(case, told, held)?;
    let tree = |path: String| Tree::from([(path, Entry::File(text.clone().into_bytes()))]);
    let squash = SeedCommit {
        id: "squash".into(),
        message: format!(
            "Squashed '{prefix}/' content from commit {}\n\ngit-subtree-dir: {prefix}\ngit-subtree-split: {split}\n",
            split.get(..8).unwrap_or(&split)
        ),
        date,
        files: seed::specs(&tree(FILE.into()))?,
        ..SeedCommit::default()
    };
    let begin = SeedCommit {
        id: "begin".into(),
        message: "Begin\n".into(),
        date,
        files: seed::specs(&Tree::from([("README.md".into(), Entry::File(b"# Sidecar\n".to_vec()))]))?,
        ..SeedCommit::default()
    };
    let merge = SeedCommit {
        id: case.data.base.clone(),
        parents: vec!["begin".into(), "squash".into()],
        message: format!("Merge commit 'squash' as '{prefix}'\n"),
        date,
        files: seed::specs(&tree(format!("{prefix}/{FILE}")))?,
        ..SeedCommit::default()
    };
    let mut world = seed::empty(case)?;
    world.repositories.push(Repository {
        name: upstream.name.clone(),
        default_branch: Some("master".into()),
        source: Some(upstream.folder.path().to_owned()),
        ..Repository::default()
    });
    world.repositories.push(Repository {
        name: case.data.repo.clone(),
        default_branch: Some("master".into()),
        commits: vec![begin, squash, merge],
        branches: vec![Branch { name: "master".into(), at: case.data.base.clone() }],
        ..Repository::default()
    });
    let mut inputs = Map::new();
    inputs.insert("repository".into(), json!(case.data.repo));
    inputs.insert("upstream".into(), json!(upstream.name));
    inputs.insert("prefix".into(), json!(prefix));
    inputs.insert("revision".into(), json!(upstream.id(case.need("split_after")?)?));
    let own = case.data.repo.rsplit('/').next().unwrap_or_default().to_lowercase();
    let only = vec![format!("update-{own}")];
    let task = Task { process: KIND.process.into(), inputs, only, ..Task::default() };
    let (ids, keep) = (upstream.ids, Some(upstream.folder));
    Ok(Setup { ids, keep, ..Setup::new(world, task, case) })
}

fn check(case: &Case, setup: &Setup, outcome: &Outcome) -> Result<Faults> {
    let mut faults = Faults::new();
    let told = case.world.as_ref().ok_or("the case has no world.json")?;
    let upstream_name = told.upstream.as_deref().or_else(|| case.input("upstream")).ok_or("no upstream")?;
    let prefix = case.need("prefix")?;
    let git = Git::open_bare(outcome.repository_dir(&setup.repository)).map_err(said)?;
    let heads = outcome.new_heads(&setup.repository)?;
    let [head] = heads.as_slice() else {
        return Ok(vec![format!("{} proposals, expected one", heads.len())]);
    };
    let merge = git.revparse_single(head).and_then(|object| object.peel_to_commit()).map_err(said)?;
    let Ok(squash) = merge.parent(1) else { return Ok(vec!["the proposal is no merge of a squash".into()]) };
    let message = squash.message().unwrap_or_default().to_owned();
    let ours = |sha: &str| setup.ids.get(sha).cloned().unwrap_or_else(|| sha.to_owned());
    let (before, after) = (case.need("split_before")?, case.need("split_after")?);
    let short = |sha: &str| sha.chars().take(8).collect::<String>();
    if let Some(subject) = case.data.expect.get("subject").and_then(Value::as_str) {
        let subject = [before, after]
            .iter()
            .fold(subject.to_owned(), |text, sha| text.replace(&short(sha), &short(&ours(sha))));
        if message.lines().next() != Some(subject.as_str()) {
            faults.push(format!("the subject is {:?}, expected {subject:?}", message.lines().next()));
        }
    }
    let trailers = case.data.expect.get("trailers").and_then(Value::as_object).into_iter().flatten();
    for (name, value) in trailers {
        let line = format!("{name}: {}", ours(value.as_str().unwrap_or_default()));
        if !message.lines().any(|found| found == line) {
            faults.push(format!("no trailer {line:?} in {message:?}"));
        }
    }
    let upstream = Git::open_bare(outcome.repository_dir(upstream_name)).map_err(said)?;
    let wanted =
        upstream.revparse_single(&ours(after)).and_then(|object| object.peel_to_commit()).map_err(said)?;
    let tree = merge.tree().map_err(said)?;
    let found = tree.get_path(std::path::Path::new(prefix)).map(|entry| entry.id()).ok();
    if found != Some(wanted.tree_id()) || squash.tree_id() != wanted.tree_id() {
        faults.push(format!("the tree of {prefix} is {found:?}, expected {}", wanted.tree_id()));
    }
    if let Some(pattern) = case.data.expect.get("message_must_not_match").and_then(Value::as_str) {
        let pattern = regex::Regex::new(pattern).map_err(|error| error.to_string())?;
        if pattern.is_match(&message) {
            faults.push(format!("the message reads as a list of pull requests: {message:?}"));
        }
    }
    let other = tree.iter().filter(|entry| entry.name().ok() != Some(prefix)).count();
    let before = merge.parent(0).and_then(|parent| parent.tree()).map_err(said)?;
    if other + 1 != before.len() {
        faults.push("files beside the subtree changed".into());
    }
    Ok(faults)
}
