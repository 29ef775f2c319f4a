//! A world in memory for native tests of steps: repositories, a forge, HTTP answers, files, programs, mail.
//!
//! ```
//! use castoff_sdk::host::fake::{Call, World};
//! use castoff_sdk::host::{Git, Repository};
//!
//! let world = World::new();
//! let head = world.commit("o/r", "main", "Begin", &[("VERSION", "1.0.0\n")]);
//! world.open("o/r")?.ensure_tag("v1.0.0", &head, None)?;
//! assert_eq!(world.effects(), ["create o/r refs/tags/v1.0.0"]);
//!
//! world.deny(Call::EnsureTag);
//! assert!(world.open("o/r")?.ensure_tag("v1.0.1", &head, None).is_err());
//! # Ok::<(), castoff_sdk::Error>(())
//! ```
//!
//! A world is seeded ([`World::commit`], [`World::tag`], [`World::answer`], …), given to a step, moved on as people and
//! robots would ([`World::merge`], [`World::report`]), and looked at ([`World::effects`], [`World::pull_request`], …). Every
//! call can be denied, can fail, or can lose its answer after the effect took place; [`restarts`] does the last
//! to each effect of a step in turn. Functions that seed panic when the seed makes no sense: that is a fault of the test.
//!
//! It is honest about little and silent about the rest: ids are 40 hexadecimal digits and the same for the same content, but not those
//! of git; merges compare whole files; an opened repository sees every later change; protection, workflows and rate limits
//! are not played. The rehearsal (`castoff rehearse`) plays them, with real git.

mod context;
mod forge;
mod glob;
mod object;
mod repository;
mod restart;
mod service;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

pub use context::context;
pub use repository::FakeRepository;
pub use restart::restarts;

use self::forge::ForgeState;
use self::object::Objects;
use self::repository::RepositoryState;
use self::service::ServiceState;
use crate::bindings::castoff::types::errors::Denial;
use crate::{Error, logging::Level};

/// A function of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    /// `git.open`.
    Open,
    /// `git.references`.
    References,
    /// `git.resolve`, `git.first-parents`, `git.is-ancestor`.
    Resolve,
    /// `git.read`.
    Read,
    /// `git.entries`.
    Entries,
    /// `git.build-commit`.
    BuildCommit,
    /// `git.ensure-branch`.
    EnsureBranch,
    /// `git.ensure-tag`.
    EnsureTag,
    /// `git.ensure-refs`.
    EnsureRefs,
    /// `github.viewer`.
    Viewer,
    /// `github.pull-requests`, `github.find-pull-requests`.
    PullRequests,
    /// `github.ensure-pull-request`.
    EnsurePullRequest,
    /// `github.merge-pull-request`.
    MergePullRequest,
    /// `github.ensure-comment`.
    EnsureComment,
    /// `github.ensure-issue`.
    EnsureIssue,
    /// `github.release-of-tag`.
    ReleaseOfTag,
    /// `github.ensure-release`.
    EnsureRelease,
    /// `github.checks`.
    Checks,
    /// `http.fetch`.
    Fetch,
    /// `http.send`.
    Send,
    /// `http.ensure`.
    Ensure,
    /// `files.read`, `files.files`.
    ReadScratch,
    /// `files.write`.
    WriteScratch,
    /// `files.publish`.
    Publish,
    /// `command.run`.
    RunProgram,
    /// `command.fetch`.
    FetchProgram,
    /// `command.send`.
    SendProgram,
    /// `mail.draft`.
    DraftMail,
    /// `mail.send`.
    SendMail,
}

/// What happens to calls of a function.
#[derive(Clone, Debug, PartialEq)]
enum Fault {
    /// Every one is denied.
    Deny,
    /// The next one fails and does nothing.
    Fail(Error),
    /// The next one does what it should, and its answer is lost.
    Lose,
}

/// All there is.
#[derive(Default)]
struct State {
    objects: Objects,
    repositories: BTreeMap<String, RepositoryState>,
    forge: ForgeState,
    service: ServiceState,
    effects: Vec<String>,
    faults: Vec<(Call, Fault)>,
    /// The effect, counted from 0, whose answer is lost.
    lost: Option<usize>,
    log: Vec<(Level, String)>,
}

impl State {
    /// Writes an effect down.
    fn effect(&mut self, what: impl Into<String>) {
        self.effects.push(what.into());
    }

    fn take_fault(&mut self, call: Call) -> Option<Fault> {
        let at = self.faults.iter().position(|(of, _)| *of == call)?;
        match self.faults.get(at) {
            Some((_, Fault::Deny)) => Some(Fault::Deny),
            _ => Some(self.faults.remove(at).1),
        }
    }
}

/// A world in memory. Clones are the same world.
#[derive(Clone, Default)]
pub struct World(Rc<RefCell<State>>);

impl fmt::Debug for World {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("World").field("effects", &self.effects()).finish_non_exhaustive()
    }
}

impl World {
    /// An empty world.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Every later call of a function is denied.
    pub fn deny(&self, call: Call) {
        self.0.borrow_mut().faults.push((call, Fault::Deny));
    }

    /// The next call of a function fails with this error and does nothing.
    pub fn fail(&self, call: Call, error: Error) {
        self.0.borrow_mut().faults.push((call, Fault::Fail(error)));
    }

    /// The next call of a function does what it should, and its answer is lost: `unavailable`.
    pub fn lose(&self, call: Call) {
        self.0.borrow_mut().faults.push((call, Fault::Lose));
    }

    /// What was changed, oldest first, a line each: `push o/r refs/heads/bump`, `open o/r #1`, `release o/r v1.0.0`,
    /// `post https://…`, `publish notes.md`. A call that found everything as it should be changes nothing.
    #[must_use]
    pub fn effects(&self) -> Vec<String> {
        self.0.borrow().effects.clone()
    }

    /// What the step said, oldest first.
    #[must_use]
    pub fn said(&self) -> Vec<(Level, String)> {
        self.0.borrow().log.clone()
    }

    /// Does one call, or what the test wants of it instead. `power` is what a policy would have to grant.
    fn call<T>(
        &self,
        call: Call,
        power: impl FnOnce() -> String,
        perform: impl FnOnce(&mut State) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut state = self.0.borrow_mut();
        let fault = state.take_fault(call);
        match &fault {
            Some(Fault::Deny) => {
                let power = power();
                let hint = format!("the test denies {call:?}");
                return Err(Error::Denied(Denial { power, source: "World::deny".to_owned(), hint }));
            }
            Some(Fault::Fail(error)) => return Err(error.clone()),
            Some(Fault::Lose) | None => {}
        }
        let before = state.effects.len();
        let done = perform(&mut state)?;
        let lost = state.lost.is_some_and(|lost| (before..state.effects.len()).contains(&lost));
        if lost || fault == Some(Fault::Lose) {
            state.lost = None;
            return Err(Error::Unavailable(format!("the answer to {call:?} was lost")));
        }
        Ok(done)
    }
}

#[cfg(test)]
mod tests;
