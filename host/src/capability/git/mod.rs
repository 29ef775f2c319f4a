//! Git repositories: plain types and what a back end must do.
//!
//! Reads come from a local copy that [`Git::open`] brings up to date; effects go to the remote and are probed there.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{Probe, Result, Slug};

mod backend;
pub(crate) mod handles;
mod rebase;
mod wit;

pub(crate) use backend::check_reference;
pub use backend::{Credential, GitBackend, GitConfig, TimeLimits};
pub use rebase::{ConflictedPath, Pick, Picked, RebaseSpec, Rebased, Resolution, rebase};

/// A commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Object id, 40 hexadecimal digits.
    pub id: String,
    /// Object id of its tree.
    pub tree: String,
    /// Object ids of its parents, first parent first.
    pub parents: Vec<String>,
    /// The whole message.
    pub message: String,
    /// Author's name.
    pub author: String,
    /// Committer's time, seconds since 1970-01-01 UTC.
    pub time: i64,
}

impl Commit {
    /// First line of the message.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.message.lines().next().unwrap_or_default()
    }
}

/// A ref of the remote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// Full name.
    pub name: String,
    /// The object it names: for an annotated tag, the tag object.
    pub object: String,
    /// The commit behind it.
    pub commit: String,
}

/// Kinds of tree entries, by their mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryKind {
    /// 100644
    File,
    /// 100755
    Executable,
    /// 120000
    Symlink,
    /// 040000
    Directory,
    /// 160000
    Submodule,
}

/// An entry of a tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeEntry {
    /// Path from the root of the repository.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
    /// Object id.
    pub id: String,
}

/// A change to a tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Puts a file or link; `content` is its bytes or the link's text.
    Put {
        /// Path from the root of the repository.
        path: String,
        /// `File`, `Executable` or `Symlink`.
        kind: EntryKind,
        /// Bytes.
        content: Vec<u8>,
    },
    /// Removes a file, a link or a directory with all below; [`super::CapabilityError::NotFound`] when absent.
    Remove {
        /// Path from the root of the repository.
        path: String,
    },
    /// Puts a tree object known to the repository at a path, replacing what is there.
    Graft {
        /// Path from the root of the repository.
        path: String,
        /// Object id of the tree.
        tree: String,
    },
}

/// Author or committer, pinned by the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Name.
    pub name: String,
    /// E-mail address.
    pub email: String,
}

/// A commit to be built; everything that enters its id is here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitSpec {
    /// Parents, first parent first; the tree starts as the first parent's (empty without parents).
    pub parents: Vec<String>,
    /// What differs.
    pub changes: Vec<Change>,
    /// The message as it shall be, trailers included.
    pub message: String,
    /// Author and committer.
    pub identity: Identity,
    /// Author's and committer's time, seconds since 1970-01-01 UTC, written with offset +0000.
    pub time: i64,
    /// A commit of the local copy whose author and author's date are kept instead: it is this one, carried elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author_of: Option<String>,
}

/// How a branch may be moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BranchRule {
    /// Only created.
    Create,
    /// Created or moved to a descendant.
    FastForward,
    /// Created or moved from exactly this commit.
    Replace(String),
}

/// A ref to be set on the remote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefUpdate {
    /// Full name.
    pub name: String,
    /// The object it shall name (commit, or tag object made by [`Git::build_tag`]).
    pub object: String,
    /// What the remote must hold now: an object id, or `None` for "must not exist". The push fails otherwise.
    pub expected: Option<String>,
}

/// A git back end. Implementations must be safe to call from several steps at once.
///
/// All ids are 40 lower-case hexadecimal digits. `commit` arguments also take full ref names (as of the last
/// [`Git::open`]); a revision that does not exist is [`super::CapabilityError::NotFound`].
#[async_trait]
pub trait Git: Send + Sync {
    /// Brings the local copy of the remote up to date (clones it the first time): all branches and tags, pruned.
    async fn open(&self, repository: &Slug) -> Result<()>;

    /// The remote's default branch, without `refs/heads/`.
    async fn default_branch(&self, repository: &Slug) -> Result<String>;

    /// Branches and tags as of the last open, sorted by name.
    async fn references(&self, repository: &Slug) -> Result<Vec<Reference>>;

    /// The commit a full ref name, an id or an unambiguous abbreviation (7 digits or more) names.
    async fn resolve(&self, repository: &Slug, revision: &str) -> Result<Option<Commit>>;

    /// First-parent walk from `to`, newest first, down to but without `since`.
    async fn first_parents(
        &self,
        repository: &Slug,
        since: Option<&str>,
        to: &str,
        limit: usize,
    ) -> Result<Vec<Commit>>;

    /// Commits reached from `to` and not from `since`, newest first (topological, then by time).
    async fn log(
        &self,
        repository: &Slug,
        since: Option<&str>,
        to: &str,
        limit: usize,
    ) -> Result<Vec<Commit>>;

    /// Best common ancestor.
    async fn merge_base(&self, repository: &Slug, a: &str, b: &str) -> Result<Option<String>>;

    /// Whether `ancestor` is `descendant` or reached from it.
    async fn is_ancestor(&self, repository: &Slug, ancestor: &str, descendant: &str) -> Result<bool>;

    /// Bytes of a file or text of a link; `None` when nothing (or a directory) is at the path. Larger than
    /// `limit` bytes is invalid.
    async fn read(
        &self,
        repository: &Slug,
        commit: &str,
        path: &str,
        limit: usize,
    ) -> Result<Option<Vec<u8>>>;

    /// Entries below a path (empty: the root), sorted by path; recursive: files and links only.
    async fn entries(
        &self,
        repository: &Slug,
        commit: &str,
        path: &str,
        recursive: bool,
    ) -> Result<Vec<TreeEntry>>;

    /// Unified diff of two commits below `paths` (empty: all), at most `limit` bytes (else invalid).
    async fn diff(
        &self,
        repository: &Slug,
        a: &str,
        b: &str,
        paths: &[String],
        limit: usize,
    ) -> Result<String>;

    /// Builds a commit in the local copy. The same spec gives the same id, everywhere, always.
    async fn build_commit(&self, repository: &Slug, spec: &CommitSpec) -> Result<Commit>;

    /// Builds an annotated tag object in the local copy and returns its id.
    async fn build_tag(
        &self,
        repository: &Slug,
        name: &str,
        commit: &str,
        message: &str,
        identity: &Identity,
        time: i64,
    ) -> Result<String>;

    /// Merges `theirs` into `ours` in the local copy and returns the id of the resulting tree. With `base`, what lies
    /// between that commit and `theirs` is put on top of `ours` (a cherry-pick, when `base` is its parent); without,
    /// the best common ancestors are the base. [`super::CapabilityError::Conflict`] lists the paths both sides change.
    async fn merge_trees(
        &self,
        repository: &Slug,
        base: Option<&str>,
        ours: &str,
        theirs: &str,
    ) -> Result<String>;

    /// Puts what a commit changes on top of another, as `git cherry-pick` does, and names what a person has to settle.
    async fn pick(&self, repository: &Slug, pick: &Pick) -> Result<Picked>;

    /// Builds the commit that merges `theirs` into `ours` in the local copy, a content conflict being a
    /// [`super::CapabilityError::Conflict`] that lists the paths.
    async fn merge(
        &self,
        repository: &Slug,
        (ours, theirs): (&str, &str),
        message: &str,
        identity: &Identity,
        time: i64,
    ) -> Result<Commit> {
        let tree = self.merge_trees(repository, None, ours, theirs).await?;
        let spec = CommitSpec {
            parents: vec![ours.to_owned(), theirs.to_owned()],
            changes: vec![Change::Graft { path: String::new(), tree }],
            message: message.to_owned(),
            identity: identity.clone(),
            time,
            author_of: None,
        };
        self.build_commit(repository, &spec).await
    }

    /// Makes a commit of one local copy, with all it reaches, available in the local copy of another repository.
    /// Touches no remote.
    async fn share(&self, from: &Slug, to: &Slug, commit: &str) -> Result<()>;

    /// What the remote holds for these full ref names right now (asks the remote): name, object, commit behind it.
    async fn remote_references(&self, repository: &Slug, names: &[String]) -> Result<Vec<Reference>>;

    /// Refuses updates that could never be pushed, whatever the remote holds: wrong names and ids, objects that the
    /// local copy lacks or that a ref of the kind cannot name. Asks no remote.
    async fn check_updates(&self, repository: &Slug, updates: &[RefUpdate]) -> Result<()>;

    /// Pushes all updates in one atomic push. A ref the remote refuses makes the whole push a
    /// [`super::CapabilityError::Conflict`] (or `Forbidden`) naming the ref and the remote's words; a lost
    /// connection is `Unavailable` with an unknown outcome. Never forces beyond `expected`; never moves a tag.
    async fn push(&self, repository: &Slug, updates: &[RefUpdate]) -> Result<()>;
}

/// Looks whether refs name their commits already: all of them → `Present`, some or all absent → `Absent`.
///
/// # Errors
/// [`super::CapabilityError::Conflict`] naming the first ref that stands at another commit.
pub async fn probe_refs(git: &dyn Git, repository: &Slug, wanted: &[(String, String)]) -> Result<Probe<()>> {
    let names: Vec<String> = wanted.iter().map(|(name, _)| name.clone()).collect();
    let found = git.remote_references(repository, &names).await?;
    let mut present = 0;
    for (name, commit) in wanted {
        match found.iter().find(|reference| &reference.name == name) {
            Some(reference) if &reference.commit == commit => present += 1,
            Some(reference) => {
                return Err(super::CapabilityError::conflict(format!(
                    "{name} of {repository} stands at {}, not at {commit}; it is never moved",
                    reference.commit
                )));
            }
            None => {}
        }
    }
    Ok(if present == wanted.len() { Probe::Present(()) } else { Probe::Absent })
}
