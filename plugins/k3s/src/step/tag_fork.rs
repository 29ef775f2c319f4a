//! `tag-fork`: the work of the fork's `tag.sh` on a commit: version files, the commit named like the tag, and the tags of the
//! root and of every staging module in the tree, all of them in one push or none.

use std::collections::BTreeMap;

use castoff_sdk::git::{self, CommitSpec, EntryKind, RefSpec, Repository};
use castoff_sdk::inputs::Inputs;
use castoff_sdk::process::{Context, Graph, Outcome, Process};
use castoff_sdk::step::{conflict, done, invalid, not_found};
use castoff_sdk::{Error, scratch};
use serde::{Deserialize, Serialize};

use super::input;
use super::irreversible;
use super::tree::{put, text_at};
use crate::core::fork_tag::{self, STAGING, Stamp, VERSION_FILES};

pub(super) const NAME: &str = "tag-fork";

#[derive(Debug, Inputs)]
struct Told {
    /// Tag of the fork, `v1.34.3-k3s1`
    tag: String,
    /// Commit to tag
    commit: String,
    /// Date written into the version files; the beginning of the run when left out
    build_date: Option<String>,
    /// The Kubernetes fork; k3s-io/kubernetes when left out
    #[input(default = input::FORK)]
    repository: String,
}

/// What was tagged.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ForkTags {
    /// The commit named like the tag.
    pub(super) commit: String,
    /// Every tag, the root's last.
    pub(super) tags: Vec<String>,
}

pub(super) fn describe() -> Process {
    let summary = "Write the version and tag every module of the Kubernetes fork";
    input::process(NAME, summary, Told::describe())
}

pub(super) fn steps(text: &str) -> Result<Graph, Error> {
    let inputs = Told::read(text)?;
    fork_tag::check(&inputs.tag).map_err(invalid)?;
    Ok(Graph {
        title: format!("{}: tag {}", inputs.repository, inputs.tag),
        steps: vec![irreversible(
            "tag",
            "Commit the version and push all tags at once",
            &[],
            "Push tags to k3s-io remote",
        )],
    })
}

pub(super) fn run(context: &Context) -> Result<Outcome, Error> {
    let inputs = Told::of(context)?;
    fork_tag::check(&inputs.tag).map_err(invalid)?;
    let repository = git::open(&inputs.repository)?;
    let commit = repository.resolve(&inputs.commit)?;
    let commit =
        commit.ok_or_else(|| not_found(format!("{} has no commit {}", inputs.repository, inputs.commit)))?;
    let date = inputs.build_date.clone().unwrap_or_else(|| fork_tag::rfc3339(context.pinned));
    let stamped = stamp(&repository, &commit.id, &inputs.tag, &date)?;
    push(&repository, &inputs.tag, &stamped)?;
    done(&stamped)
}

/// Builds the commit that carries the version.
pub(super) fn stamp(repository: &Repository, commit: &str, tag: &str, date: &str) -> Result<ForkTags, Error> {
    let mut present = BTreeMap::new();
    for path in VERSION_FILES {
        if let Some(text) = text_at(repository, commit, path)? {
            present.insert(path.to_owned(), text);
        }
    }
    if present.is_empty() {
        return Err(conflict(format!(
            "none of {} is at {commit}: this is no tree of the fork",
            VERSION_FILES.join(", ")
        )));
    }
    let files = fork_tag::version_files(&present, Stamp { tag, commit, date });
    let stamped = repository.build_commit(&CommitSpec {
        parents: vec![commit.to_owned()],
        changes: files.iter().map(|(path, text)| put(path, text)).collect(),
        message: format!("{tag}\n"),
        sign_off: false,
    })?;
    let staged = repository.entries(commit, STAGING, false)?;
    let modules: Vec<String> = staged
        .iter()
        .filter(|entry| entry.kind == EntryKind::Directory)
        .filter_map(|entry| entry.path.rsplit('/').next().map(str::to_owned))
        .collect();
    Ok(ForkTags { commit: stamped.id, tags: fork_tag::tags(tag, &modules) })
}

/// Pushes all tags at once; one that is elsewhere refuses them all.
pub(super) fn push(repository: &Repository, tag: &str, stamped: &ForkTags) -> Result<(), Error> {
    let specs: Vec<RefSpec> = stamped
        .tags
        .iter()
        .map(|tag| RefSpec {
            name: format!("refs/tags/{tag}"),
            commit: stamped.commit.clone(),
            annotation: None,
        })
        .collect();
    scratch::publish(
        &format!("push-{tag}.sh"),
        "text/x-shellscript",
        fork_tag::push_script(&stamped.tags).as_bytes(),
    )?;
    repository.ensure_refs(&specs)
}
