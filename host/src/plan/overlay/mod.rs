//! A world for plans: reads are live, effects land in memory, and later reads see them.
//!
//! The live back ends are only ever read. Objects are built in the local copy of git, which is no part of the world,
//! so that a plan shows the very ids that a run of the same inputs will push. What only the forge can invent (numbers,
//! ids, addresses, merge commits) stands in as a [`Symbol`] whose digits occur nowhere else.
//!
//! The first [`Git::open`](crate::capability::git::Git::open) of a repository pins its refs: a plan rests on one moment
//! of each repository, whatever happens there meanwhile.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::capability::command::Command;
use crate::capability::files::{ArtefactLimits, Artefacts};
use crate::capability::git::{CommitSpec, Identity};
use crate::capability::http::Request;
use crate::capability::mail::Composed;
use crate::capability::{CapabilityError, Result, Slug};
use crate::gate::Capabilities;

mod assume;
mod git;
mod github;
mod http;
mod push;
mod state;
#[cfg(test)]
mod tests;
mod tool;

use git::PlannedGit;
use github::PlannedGitHub;
use http::PlannedHttp;
use state::State;
use tool::{PlannedMail, PlannedPrograms};

/// Numbers and ids that a plan invents are greater than this: no forge has come so far.
pub const INVENTED: u64 = 9_000_000_000;

/// What a plan's back ends are made of.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The time at which everything in the plan happens.
    pub pinned: DateTime<Utc>,
    /// Login of the account that will act; the live account is asked when absent.
    pub login: Option<String>,
}

/// The world of a plan. Clones share it.
#[derive(Clone)]
pub struct Overlay {
    shared: Arc<Shared>,
}

/// A value that only the forge can invent, as the plan has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Symbol {
    /// The number of a pull request.
    PullRequest {
        /// Repository it is opened in.
        repository: Slug,
        /// `branch`, or `owner:branch` from a fork.
        head: String,
        /// Branch it is to be merged into.
        base: String,
        /// Title.
        title: String,
        /// Invented number.
        number: u64,
        /// Its page, number included.
        url: String,
    },
    /// The commit that merges a pull request.
    MergeCommit {
        /// Repository of the pull request.
        repository: Slug,
        /// Its number, perhaps invented.
        number: u64,
        /// Id of the commit as the plan built it.
        commit: String,
    },
    /// The id of a release.
    Release {
        /// Repository.
        repository: Slug,
        /// Tag.
        tag: String,
        /// Invented id.
        id: u64,
        /// Its page as the step was told it; a draft's holds the id.
        url: String,
    },
    /// The moment at which a release was published.
    Publication {
        /// Repository.
        repository: Slug,
        /// Tag.
        tag: String,
        /// Its page from then on.
        url: String,
        /// The pinned time, seconds since 1970-01-01 UTC.
        at: i64,
    },
    /// The number of an issue.
    Issue {
        /// Repository.
        repository: Slug,
        /// Marker that finds it again.
        marker: String,
        /// Invented number.
        number: u64,
        /// Its page, number included.
        url: String,
    },
    /// The address of a comment.
    Comment {
        /// Repository.
        repository: Slug,
        /// Issue or pull request, perhaps with an invented number.
        number: u64,
        /// Marker that finds it again.
        marker: String,
        /// Its address, invented id included.
        url: String,
    },
}

/// What a plan read of a ref.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Observation {
    /// Repository.
    pub repository: Slug,
    /// Full name.
    pub name: String,
    /// Commit behind it; none: there was no such ref.
    pub commit: Option<String>,
}

/// An object built for the plan, with everything that enters its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Built {
    /// A commit.
    Commit {
        /// Repository whose local copy holds it.
        repository: Slug,
        /// Object id.
        id: String,
        /// What it was built from.
        spec: CommitSpec,
    },
    /// An annotated tag object.
    Tag {
        /// Repository whose local copy holds it.
        repository: Slug,
        /// Object id.
        id: String,
        /// Name of the tag as it was given.
        name: String,
        /// The commit it names.
        commit: String,
        /// Message.
        message: String,
        /// Tagger.
        identity: Identity,
        /// Tagger's time, seconds since 1970-01-01 UTC.
        time: i64,
    },
}

/// Something sent that leaves no trace a later read could see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// An HTTP request; secrets are still names.
    Request(Request),
    /// A program that may change the world; secrets are still names.
    Command(Command),
    /// A message.
    Mail(Composed),
    /// A `repository_dispatch` event.
    Dispatch {
        /// Repository.
        repository: Slug,
        /// Event type.
        event: String,
        /// Payload, a JSON object.
        payload: serde_json::Value,
    },
}

/// A document kept with the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// File name.
    pub name: String,
    /// Media type.
    pub media_type: String,
    /// Bytes.
    pub content: Vec<u8>,
}

/// How many calls went to the live back ends. One call may take several requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requests {
    /// Calls that asked a git remote; the local copy does not count.
    pub git: u64,
    /// Calls of GitHub.
    pub github: u64,
    /// HTTP reads.
    pub http: u64,
}

impl Requests {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.git + self.github + self.http
    }
}

/// What became of a condition that a plan assumes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Assumed {
    /// The plan's world holds it now.
    Done,
    /// It held already.
    AlreadyTrue,
    /// Nobody here can know what the world would hold then: the plan of this step ends, for the reason given.
    Unknowable(String),
}

/// What all parts of an overlay have in common.
struct Shared {
    live: Capabilities,
    settings: Settings,
    artefacts: Arc<Artefacts>,
    /// Where the artefacts are; removed with the overlay.
    _folder: tempfile::TempDir,
    state: Mutex<State>,
    /// Held by every effect, from its look to its landing.
    turn: tokio::sync::Mutex<()>,
    counter: Counter,
}

#[derive(Default)]
struct Counter {
    git: AtomicU64,
    github: AtomicU64,
    http: AtomicU64,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn git(self: &Arc<Self>) -> PlannedGit {
        PlannedGit { shared: Arc::clone(self) }
    }

    fn github(self: &Arc<Self>) -> PlannedGitHub {
        PlannedGitHub { shared: Arc::clone(self) }
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Overlay {
    /// An overlay in which nothing has happened yet.
    ///
    /// # Errors
    /// [`CapabilityError::Unavailable`] when there is no room for the plan's artefacts.
    pub fn new(live: Capabilities, settings: Settings) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("castoff-plan-")
            .tempdir()
            .map_err(|error| CapabilityError::unavailable(format!("a folder for the plan: {error}")))?;
        let artefacts = Arc::new(Artefacts::open(folder.path(), ArtefactLimits::default())?);
        let shared = Shared {
            live,
            settings,
            artefacts,
            _folder: folder,
            state: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            counter: Counter::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Back ends for a gate: reads are live, effects land here.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        Capabilities {
            git: Arc::new(self.shared.git()),
            github: Arc::new(self.shared.github()),
            http: Arc::new(PlannedHttp { shared: Arc::clone(&self.shared) }),
            programs: Arc::new(PlannedPrograms { shared: Arc::clone(&self.shared) }),
            mail: Arc::new(PlannedMail { shared: Arc::clone(&self.shared) }),
            artefacts: Arc::clone(&self.shared.artefacts),
            secrets: Arc::clone(&self.shared.live.secrets),
        }
    }

    /// Values that only the forge can invent, in order of invention.
    #[must_use]
    pub fn symbols(&self) -> Vec<Symbol> {
        self.shared.state().symbols.clone()
    }

    /// What was read of live refs, sorted: the moment a plan rests on. Of a listing, the refs whose commits were used
    /// afterwards. Refs that the plan itself set count with what they held before.
    #[must_use]
    pub fn observed(&self) -> Vec<Observation> {
        let state = self.shared.state();
        let observed = state.observed.iter();
        observed
            .map(|((repository, name), commit)| Observation {
                repository: repository.clone(),
                name: name.clone(),
                commit: commit.clone(),
            })
            .collect()
    }

    /// Commits and tag objects built by steps, in order, each once.
    #[must_use]
    pub fn built(&self) -> Vec<Built> {
        self.shared.state().built.clone()
    }

    /// What was sent without leaving a trace, in order.
    #[must_use]
    pub fn sent(&self) -> Vec<Sent> {
        self.shared.state().sent.clone()
    }

    /// Documents kept, sorted by name, each as it was kept last.
    ///
    /// # Errors
    /// [`CapabilityError::Unavailable`] when the file system refuses.
    pub fn published(&self) -> Result<Vec<Document>> {
        let artefacts = &self.shared.artefacts;
        let kept = artefacts.published().into_iter();
        kept.map(|kept| {
            let content = artefacts.read(&kept.name)?;
            Ok(Document { name: kept.name, media_type: kept.media_type, content })
        })
        .collect()
    }

    /// How many calls went to the live back ends so far.
    #[must_use]
    pub fn requests(&self) -> Requests {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counter = &self.shared.counter;
        Requests { git: read(&counter.git), github: read(&counter.github), http: read(&counter.http) }
    }
}
