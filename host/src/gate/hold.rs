//! What watches every effect and every look at refs before it goes on: a plan that is being written, or one that a run
//! is held to.

use async_trait::async_trait;
use thiserror::Error;

use crate::capability::git::CommitSpec;
use crate::capability::{CapabilityError, Slug};
use crate::operation::Operation;
use crate::policy::pattern::RefPattern;

/// Why an effect does not go on.
#[derive(Debug, Clone, Error)]
pub enum HoldError {
    /// The plan does not show it.
    #[error("not in the plan: {0}")]
    Unplanned(String),
    /// The world could not be asked what a value of the plan stands for.
    #[error(transparent)]
    Capability(#[from] CapabilityError),
    /// The journal cannot be written.
    #[error("{0}")]
    Fatal(String),
}

/// Sees what a step is about to do, before it is announced in the journal.
#[async_trait]
pub trait Hold: Send + Sync {
    /// An effect that is not there yet is about to be announced.
    ///
    /// # Errors
    /// [`HoldError::Unplanned`] stops it; nothing has happened.
    async fn effect(&self, step: &str, operation: &Operation) -> Result<(), HoldError>;

    /// A commit was built in the local copy of a repository, and has this id.
    ///
    /// # Errors
    /// [`HoldError::Capability`], [`HoldError::Fatal`]. A commit nobody planned is no error: it is in no ref yet.
    async fn commit(
        &self,
        step: &str,
        repository: &Slug,
        spec: &CommitSpec,
        id: &str,
    ) -> Result<(), HoldError>;

    /// The refs that match a glob were listed.
    fn listed(&self, repository: &Slug, glob: &RefPattern);
}
