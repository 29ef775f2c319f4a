//! Commits carried from one base to another, as `git rebase --onto` does it: authors, their dates and messages stay, the
//! committer is the run's, so that the same inputs give the same ids. What a person has to settle is handed out path by
//! path, and taken in again.

use serde::{Deserialize, Serialize};

use super::{Change, Commit, CommitSpec, Git, Identity};
use crate::capability::{CapabilityError, Result, Slug};

/// Most commits that one rebase carries.
const MOST: usize = 2000;

/// What is carried where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RebaseSpec {
    /// The new base.
    pub onto: String,
    /// The commit below the first one that is carried.
    pub since: String,
    /// The last commit that is carried.
    pub last: String,
    /// Whether what a carried commit deletes stays deleted, whatever became of it on the new base.
    pub deletions_win: bool,
    /// Conflicts that a person has settled.
    pub resolutions: Vec<Resolution>,
    /// Committer.
    pub identity: Identity,
    /// Committer's time, seconds since 1970-01-01 UTC.
    pub time: i64,
}

/// A path as a person settled it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolution {
    /// The commit that met the conflict.
    pub commit: String,
    /// The path.
    pub path: String,
    /// Its content; none: it is gone.
    pub content: Option<Vec<u8>>,
}

/// One commit to be put on another tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pick {
    /// Its parent.
    pub base: String,
    /// The commit it goes on top of.
    pub ours: String,
    /// The commit itself.
    pub theirs: String,
    /// As in [`RebaseSpec::deletions_win`].
    pub deletions_win: bool,
    /// Paths that are settled, with their content.
    pub settled: Vec<(String, Option<Vec<u8>>)>,
}

/// A path that both sides changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConflictedPath {
    /// The path.
    pub path: String,
    /// What each side did, in words.
    pub reason: String,
    /// The text with conflict markers, or the side that is left; none where it is no text or very large.
    pub content: Option<Vec<u8>>,
}

/// What became of a [`Pick`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Picked {
    /// The resulting tree.
    Tree(String),
    /// A person has to settle these.
    Conflicts(Vec<ConflictedPath>),
}

/// What became of a rebase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rebased {
    /// All commits are carried.
    Done {
        /// The last of them, or the new base where nothing was left.
        commit: Commit,
        /// How many were carried.
        carried: usize,
        /// Commits that the new base holds already.
        dropped: Vec<String>,
    },
    /// It stopped at a commit.
    Stopped {
        /// That commit.
        commit: Commit,
        /// The commit it was to go on top of.
        tip: Commit,
        /// What is to be settled.
        paths: Vec<ConflictedPath>,
    },
}

/// Carries the commits; returns also what was built, oldest first, with its id.
///
/// # Errors
/// [`CapabilityError::NotFound`] for a commit that is not there, [`CapabilityError::Conflict`] for a merge among the commits,
/// [`CapabilityError::Invalid`] for too many.
pub async fn rebase(
    git: &dyn Git,
    repository: &Slug,
    spec: &RebaseSpec,
) -> Result<(Rebased, Vec<(CommitSpec, String)>)> {
    let mut tip = need(git, repository, &spec.onto).await?;
    let mut commits = git.log(repository, Some(&spec.since), &spec.last, MOST + 1).await?;
    if commits.len() > MOST {
        return Err(CapabilityError::invalid(format!("more than {MOST} commits are too many to carry")));
    }
    commits.reverse();
    let (mut built, mut dropped, mut carried) = (Vec::new(), Vec::new(), 0);
    for commit in commits {
        let [parent] = commit.parents.as_slice() else {
            return Err(CapabilityError::conflict(format!("{} is a merge and cannot be carried", commit.id)));
        };
        if *parent == tip.id {
            // It is where it belongs, as git leaves it.
            carried += 1;
            tip = commit;
            continue;
        }
        let settled = spec.resolutions.iter().filter(|settled| settled.commit == commit.id);
        let pick = Pick {
            base: parent.clone(),
            ours: tip.id.clone(),
            theirs: commit.id.clone(),
            deletions_win: spec.deletions_win,
            settled: settled.map(|settled| (settled.path.clone(), settled.content.clone())).collect(),
        };
        let tree = match git.pick(repository, &pick).await? {
            Picked::Tree(tree) => tree,
            Picked::Conflicts(paths) => return Ok((Rebased::Stopped { commit, tip, paths }, built)),
        };
        // What became empty is dropped, what was empty from the beginning stays.
        if tree == tip.tree && commit.tree != need(git, repository, parent).await?.tree {
            dropped.push(commit.id);
            continue;
        }
        let put = CommitSpec {
            parents: vec![tip.id.clone()],
            changes: vec![Change::Graft { path: String::new(), tree }],
            message: commit.message.clone(),
            identity: spec.identity.clone(),
            time: spec.time,
            author_of: Some(commit.id.clone()),
        };
        tip = git.build_commit(repository, &put).await?;
        built.push((put, tip.id.clone()));
        carried += 1;
    }
    Ok((Rebased::Done { commit: tip, carried, dropped }, built))
}

async fn need(git: &dyn Git, repository: &Slug, revision: &str) -> Result<Commit> {
    let found = git.resolve(repository, revision).await?;
    found.ok_or_else(|| CapabilityError::not_found(format!("commit {revision} of {repository}")))
}
