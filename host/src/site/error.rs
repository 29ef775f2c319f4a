//! Why a release file could not become a run.

use std::path::PathBuf;

use thiserror::Error;

use super::Changed;
use crate::engine::{LoadError, StepFault};
use crate::journal::JournalError;
use crate::policy::{PolicyError, TrustError};
use crate::release::SourceError;
use crate::supply::{LockError, RegistryError, StoreError, SupplyError};

/// Why a release file could not become a run, or a run could not be found again.
#[derive(Debug, Error)]
pub enum SiteError {
    /// A file cannot be read or written.
    #[error("{}: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// The release file is wrong.
    #[error("{}: {error}", path.display())]
    Release {
        /// The file.
        path: PathBuf,
        /// Its text.
        text: String,
        /// What is wrong.
        error: SourceError,
    },
    /// The policy is wrong.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The plugin cannot be loaded.
    #[error("{name}: {error}")]
    Plugin {
        /// Name or path.
        name: String,
        /// What is wrong.
        error: LoadError,
    },
    /// There is no embedded plugin of this name, none in the lock, nor a file.
    #[error("there is no plugin {name:?}: neither embedded ({known}), nor in castoff.lock, nor a file {}", path.display())]
    NoPlugin {
        /// The name.
        name: String,
        /// Embedded ones.
        known: String,
        /// Where a file was looked for.
        path: PathBuf,
    },
    /// A release file names a registry.
    #[error("{reference} is not locked: a release file calls plugins by their names in castoff.lock")]
    NotLocked {
        /// What it names.
        reference: String,
    },
    /// The lock cannot be used.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A kept component cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The registry of a locked plugin does not give it.
    #[error(transparent)]
    Supply(RegistryError),
    /// The source of a locked plugin offers another component now.
    #[error("{name}: {place} has the digest {found} now, castoff.lock says {wanted}")]
    Drifted {
        /// The plugin.
        name: String,
        /// Where it came from.
        place: String,
        /// The digest that is locked.
        wanted: String,
        /// The digest that it has.
        found: String,
    },
    /// The policy does not want this component.
    #[error("{policy}:{line}: {name} is not what the policy wants: {error}")]
    Untrusted {
        /// The plugin.
        name: String,
        /// The policy file.
        policy: String,
        /// The line of its section, from 1.
        line: usize,
        /// What is missing.
        error: TrustError,
    },
    /// The policy's grants are for another component.
    #[error("{}:{}: nobody has agreed to {} yet: the grants are for another component", .0.policy, .0.line, .0.now)]
    Changed(Box<Changed>),
    /// The plugin refused the inputs, or crashed while laying the process out.
    #[error("{0}")]
    Steps(#[from] StepFault),
    /// The graph that the plugin laid out cannot be run.
    #[error("the plugin laid out an impossible process: {0}")]
    Graph(String),
    /// The journal cannot be made or opened.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// There is no such plan.
    #[error("there is no plan {0:?}")]
    NoPlan(String),
    /// A plan was changed after it was made.
    #[error("{}: this is no plan as castoff wrote it: {why}", path.display())]
    PlanEdited {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        why: String,
    },
    /// An earlier run of the same release has not ended.
    #[error("the run {run} of this release has not ended")]
    Unfinished {
        /// That run.
        run: String,
    },
    /// There is no such release in a train.
    #[error("the train {train} has no release {name:?}")]
    NoMember {
        /// The train.
        train: String,
        /// What was asked for.
        name: String,
        /// The releases there are.
        known: Vec<String>,
    },
    /// A release of a train waits for others to be out.
    #[error("{name} of {train} has not begun")]
    NotBegun {
        /// The train.
        train: String,
        /// The release.
        name: String,
    },
    /// There is no such run.
    #[error("there is no run {name:?}")]
    NoRun {
        /// What was asked for.
        name: String,
        /// The newest runs there are.
        known: Vec<String>,
    },
}

impl From<SupplyError> for SiteError {
    fn from(error: SupplyError) -> Self {
        match error {
            SupplyError::File { path, why } => Self::File { path, why },
            SupplyError::Registry(error) => Self::Supply(error),
        }
    }
}
