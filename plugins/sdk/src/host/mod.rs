//! The host as steps see it: traits over the capabilities, so that a step is a plain function and runs in a native test.
//!
//! A step takes what it needs: `fn propose(host: &impl Host, inputs: &Inputs) -> Result<Outcome, Error>`, or less, such as
//! `&(impl Git + Log)`. The component calls it with [`Wit`], the real imports; a test with `fake::World`, a world in
//! memory. The traits have the verbs of `wit/` under the same names (with the capability in the name where two would be
//! the same), and the same [`Error`].
//!
//! They hold what processes need every day. What is not here is a function of [`git`](crate::git),
//! [`github`](crate::github), [`http`](crate::http), [`scratch`](crate::scratch), [`command`](crate::command),
//! [`mail`](crate::mail) and [`logging`](crate::logging), which only a component can call.

#[cfg(not(target_arch = "wasm32"))]
pub mod fake;
mod wit;

pub use wit::Wit;

use crate::Error;
use crate::command::{Command, Finished};
use crate::git::{BranchRule, Commit, CommitSpec, RefSpec, Reference, TreeEntry};
use crate::github::{Check, Issue, IssueSpec, PullFilter, PullRequest, PullSpec, Release, ReleaseSpec};
use crate::http::{Probe, Request, Response};
use crate::logging::Level;
use crate::mail::{Letter, Message};
use crate::step::{conflict, not_found};
use crate::version::TagSet;

/// All capabilities.
pub trait Host: Git + Forge + Http + Files + Programs + Outbox + Log {}

impl<T: Git + Forge + Http + Files + Programs + Outbox + Log> Host for T {}

/// `castoff:git`.
pub trait Git {
    /// Authority over one remote.
    type Repository: Repository;

    /// Opens the remote repository `owner/name`, as it is now.
    ///
    /// # Errors
    /// `denied`, `not-found`, `unavailable`.
    fn open(&self, repository: &str) -> Result<Self::Repository, Error>;
}

/// A remote repository, as of its opening.
pub trait Repository {
    /// Name of the default branch.
    ///
    /// # Errors
    /// What the host says.
    fn default_branch(&self) -> Result<String, Error>;

    /// Refs that match a glob on their full name (`*` within a component, `**` across), sorted by name.
    ///
    /// # Errors
    /// What the host says.
    fn references(&self, glob: &str) -> Result<Vec<Reference>, Error>;

    /// The commit that a full ref name or an object id names; none when there is none.
    ///
    /// # Errors
    /// What the host says.
    fn resolve(&self, revision: &str) -> Result<Option<Commit>, Error>;

    /// Commits reached from `to` by first parents, newest first, down to but without `since`, at most `limit`.
    ///
    /// # Errors
    /// `not-found` for an unknown commit.
    fn first_parents(&self, since: Option<&str>, to: &str, limit: u32) -> Result<Vec<Commit>, Error>;

    /// Whether `ancestor` is `descendant` or reached from it.
    ///
    /// # Errors
    /// `not-found` for an unknown commit.
    fn is_ancestor(&self, ancestor: &str, descendant: &str) -> Result<bool, Error>;

    /// Bytes of the file at a path of a commit; none when there is none.
    ///
    /// # Errors
    /// `not-found` for an unknown commit.
    fn read(&self, commit: &str, path: &str) -> Result<Option<Vec<u8>>, Error>;

    /// Entries below a path of a commit (empty: the root), sorted by path; with `recursive` all files below, without
    /// directories.
    ///
    /// # Errors
    /// `not-found` for an unknown commit or path.
    fn entries(&self, commit: &str, path: &str, recursive: bool) -> Result<Vec<TreeEntry>, Error>;

    /// Builds a commit. Nothing leaves the host.
    ///
    /// # Errors
    /// `not-found` for an unknown parent and for the removal of what is absent, `invalid` for an odd path.
    fn build_commit(&self, spec: &CommitSpec) -> Result<Commit, Error>;

    /// Makes a branch of the remote name a commit, under a rule.
    ///
    /// # Errors
    /// `denied`; `conflict` when the rule forbids it.
    fn ensure_branch(&self, name: &str, commit: &str, rule: &BranchRule) -> Result<(), Error>;

    /// Makes a tag of the remote name a commit; with a text an annotated one. A tag is never moved.
    ///
    /// # Errors
    /// `denied`; `conflict` when it is at another commit.
    fn ensure_tag(&self, name: &str, commit: &str, annotation: Option<&str>) -> Result<(), Error>;

    /// Creates several refs, all of them or none.
    ///
    /// # Errors
    /// `denied`; `conflict` when one is at another commit.
    fn ensure_refs(&self, refs: &[RefSpec]) -> Result<(), Error>;

    /// A file of a commit as text; none when there is none.
    ///
    /// # Errors
    /// As [`Repository::read`]; `conflict` when it is not UTF-8.
    fn text(&self, commit: &str, path: &str) -> Result<Option<String>, Error> {
        let Some(bytes) = self.read(commit, path)? else { return Ok(None) };
        String::from_utf8(bytes).map(Some).map_err(|_| conflict(format!("{path} is no text")))
    }

    /// A branch with the commit at its head; the default branch when none is named.
    ///
    /// # Errors
    /// `not-found` when there is no such branch.
    fn head(&self, branch: Option<&str>) -> Result<(String, Commit), Error> {
        let branch = match branch {
            Some(branch) => branch.to_owned(),
            None => self.default_branch()?,
        };
        let head = self.resolve(&format!("refs/heads/{branch}"))?;
        let head = head.ok_or_else(|| not_found(format!("there is no branch {branch}")))?;
        Ok((branch, head))
    }

    /// All tags, sorted into versions and others.
    ///
    /// # Errors
    /// As [`Repository::references`].
    fn tags(&self) -> Result<TagSet, Error> {
        let found = self.references("refs/tags/**")?;
        let named = found.into_iter().filter_map(|reference| {
            let name = reference.name.strip_prefix("refs/tags/")?.to_owned();
            Some((name, reference.commit))
        });
        Ok(TagSet::new(named))
    }
}

/// `castoff:github`.
pub trait Forge {
    /// Login of the account behind the run.
    ///
    /// # Errors
    /// What the host says.
    fn viewer(&self) -> Result<String, Error>;

    /// Pull requests by repository and number. One that is not there is left out of the answer.
    ///
    /// # Errors
    /// What the host says.
    fn pull_requests(&self, wanted: &[(String, u64)]) -> Result<Vec<(String, PullRequest)>, Error>;

    /// Pull requests of a repository that match a filter, newest first, at most `limit`.
    ///
    /// # Errors
    /// What the host says.
    fn find_pull_requests(
        &self,
        repository: &str,
        filter: &PullFilter,
        limit: u32,
    ) -> Result<Vec<PullRequest>, Error>;

    /// Makes sure that a pull request exists and reads as given; a merged one is returned as it is.
    ///
    /// # Errors
    /// `denied`; `invalid` when head or base is not there.
    fn ensure_pull_request(&self, repository: &str, spec: &PullSpec) -> Result<PullRequest, Error>;

    /// Merges a pull request whose head is still `head_commit`; `method` is `merge`, `squash` or `rebase`. Returns the
    /// merge commit.
    ///
    /// # Errors
    /// `denied`; `conflict` when it cannot be merged or its head moved.
    fn merge_pull_request(
        &self,
        repository: &str,
        number: u64,
        head_commit: &str,
        method: &str,
    ) -> Result<String, Error>;

    /// Makes sure that an issue or pull request carries one comment with this key and text. Returns its address.
    ///
    /// # Errors
    /// `denied`, `not-found`.
    fn ensure_comment(&self, repository: &str, number: u64, key: &str, body: &str) -> Result<String, Error>;

    /// Makes sure that an issue with this key exists and reads as given.
    ///
    /// # Errors
    /// `denied`.
    fn ensure_issue(&self, repository: &str, spec: &IssueSpec) -> Result<Issue, Error>;

    /// The published release of a tag, or a draft that names it; none when there is none.
    ///
    /// # Errors
    /// What the host says.
    fn release_of_tag(&self, repository: &str, tag: &str) -> Result<Option<Release>, Error>;

    /// Makes sure that a release exists as given, with its tag.
    ///
    /// # Errors
    /// `denied`; `conflict` when the tag is at another commit.
    fn ensure_release(&self, repository: &str, spec: &ReleaseSpec) -> Result<Release, Error>;

    /// All check runs and statuses of a commit, the newest of each name.
    ///
    /// # Errors
    /// What the host says.
    fn checks(&self, repository: &str, commit: &str) -> Result<Vec<Check>, Error>;
}

/// `castoff:http`.
pub trait Http {
    /// Sends a request that changes nothing: `GET` or `HEAD`.
    ///
    /// # Errors
    /// `denied`, `unavailable`; a status of 4xx is an answer.
    fn fetch(&self, request: &Request) -> Result<Response, Error>;

    /// Sends a request that may change something, at most once for this key in this step.
    ///
    /// # Errors
    /// `denied`, `unavailable`.
    fn send(&self, key: &str, request: &Request) -> Result<Response, Error>;

    /// Makes sure that the effect of a request is there, which the probe finds.
    ///
    /// # Errors
    /// `denied`, `unavailable`; a status from 400 and the refusal of the probe.
    fn ensure(&self, key: &str, request: &Request, probe: &Probe) -> Result<Response, Error>;
}

/// `castoff:files`: the scratch directory of the step and the documents of the run.
pub trait Files {
    /// Reads a file of the scratch directory.
    ///
    /// # Errors
    /// `not-found`.
    fn read_scratch(&self, path: &str) -> Result<Vec<u8>, Error>;

    /// Writes a file of the scratch directory, which is gone when the step ends.
    ///
    /// # Errors
    /// `invalid` for a path outside.
    fn write_scratch(&self, path: &str, content: &[u8]) -> Result<(), Error>;

    /// Paths of all files below a path of the scratch directory (empty: all), sorted.
    ///
    /// # Errors
    /// `invalid` for a path outside.
    fn scratch_files(&self, path: &str) -> Result<Vec<String>, Error>;

    /// Keeps a document with the run, for people.
    ///
    /// # Errors
    /// `denied`.
    fn publish(&self, name: &str, media_type: &str, content: &[u8]) -> Result<(), Error>;
}

/// `castoff:command`. [`Program`](crate::command::Program) builds commands.
pub trait Programs {
    /// Runs a program without a network.
    ///
    /// # Errors
    /// `denied`, `unavailable`; an exit code other than 0 is none.
    fn run_program(&self, command: &Command) -> Result<Finished, Error>;

    /// Runs a program with a network, to read only.
    ///
    /// # Errors
    /// As [`Programs::run_program`].
    fn fetch_program(&self, command: &Command) -> Result<Finished, Error>;

    /// Runs a program that may change the world, once for its key.
    ///
    /// # Errors
    /// As [`Programs::run_program`].
    fn send_program(&self, key: &str, command: &Command) -> Result<Finished, Error>;
}

/// `castoff:mail`.
pub trait Outbox {
    /// Keeps a message for a person to send.
    ///
    /// # Errors
    /// `denied`.
    fn draft_mail(&self, key: &str, message: &Message) -> Result<Letter, Error>;

    /// Delivers a message, once for its key.
    ///
    /// # Errors
    /// `denied`, `unavailable`, `invalid`.
    fn send_mail(&self, key: &str, message: &Message) -> Result<Letter, Error>;
}

/// `castoff:log`.
pub trait Log {
    /// Says one thing to the person who watches.
    fn log(&self, level: Level, message: &str);

    /// How far the step is: `done` of `total` pieces (`total` 0: unknown).
    fn progress(&self, done: u32, total: u32, what: &str);

    /// Says what is going on.
    fn info(&self, message: &str) {
        self.log(Level::Info, message);
    }

    /// Says what a person should look at; kept as a remark of the step.
    fn warn(&self, message: &str) {
        self.log(Level::Warn, message);
    }
}
