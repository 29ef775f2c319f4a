//! What the host can do for a plugin: plain types, a trait and a back end for each capability.
//!
//! Nothing here knows policy or journal; nothing here is called except through [`crate::gate`].

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub mod command;
pub mod files;
pub mod git;
pub mod github;
pub mod http;
pub mod mail;
pub(crate) mod process;
pub mod wire;
pub(crate) mod wit;

#[cfg(test)]
mod scripted;

/// Whether a failed call may have changed the world all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Nothing was changed: the remote refused, or the request never left.
    Nothing,
    /// The request left and no answer came, or an answer that does not tell.
    Unknown,
}

/// Why a back end did not do what was asked.
#[derive(Debug, Clone, Error, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum CapabilityError {
    /// The thing does not exist.
    #[error("not found: {what}")]
    NotFound {
        /// What was looked for.
        what: String,
    },
    /// The world holds something else than was asked for.
    #[error("conflict: {what}")]
    Conflict {
        /// What was found and what was expected.
        what: String,
    },
    /// The remote did not answer, or could not.
    #[error("unavailable: {what}")]
    Unavailable {
        /// The remote's own words where there are any.
        what: String,
        /// Whether the effect may have happened.
        outcome: Outcome,
    },
    /// The remote limits calls.
    #[error("rate limited: {what}")]
    RateLimited {
        /// The remote's own words.
        what: String,
        /// Seconds to wait, when the remote said so.
        retry_after: Option<u32>,
    },
    /// The remote does not accept the credentials, or they are too weak.
    #[error("not permitted by the remote: {what}")]
    Forbidden {
        /// The remote's own words.
        what: String,
    },
    /// The call itself is wrong.
    #[error("invalid: {what}")]
    Invalid {
        /// What is wrong with it.
        what: String,
    },
    /// The run is being stopped.
    #[error("cancelled")]
    Cancelled,
}

impl CapabilityError {
    /// Whether the effect may have happened although the call failed.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Unavailable { outcome, .. } => *outcome,
            _ => Outcome::Nothing,
        }
    }

    /// The same error with its text changed: how secrets are kept out of it.
    #[must_use]
    pub fn map_text(self, change: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::NotFound { what } => Self::NotFound { what: change(what) },
            Self::Conflict { what } => Self::Conflict { what: change(what) },
            Self::Unavailable { what, outcome } => Self::Unavailable { what: change(what), outcome },
            Self::RateLimited { what, retry_after } => Self::RateLimited { what: change(what), retry_after },
            Self::Forbidden { what } => Self::Forbidden { what: change(what) },
            Self::Invalid { what } => Self::Invalid { what: change(what) },
            Self::Cancelled => Self::Cancelled,
        }
    }

    /// A call that is wrong in itself.
    pub fn invalid(what: impl Into<String>) -> Self {
        Self::Invalid { what: what.into() }
    }

    /// A world that holds something else.
    pub fn conflict(what: impl Into<String>) -> Self {
        Self::Conflict { what: what.into() }
    }

    /// A thing that does not exist.
    pub fn not_found(what: impl Into<String>) -> Self {
        Self::NotFound { what: what.into() }
    }

    /// A remote that failed before anything can have happened.
    pub fn unavailable(what: impl Into<String>) -> Self {
        Self::Unavailable { what: what.into(), outcome: Outcome::Nothing }
    }

    /// A remote that failed so that nobody knows what happened.
    pub fn unknown(what: impl Into<String>) -> Self {
        Self::Unavailable { what: what.into(), outcome: Outcome::Unknown }
    }
}

/// The result of a back end.
pub type Result<T> = std::result::Result<T, CapabilityError>;

/// What an effect finds when it looks before it acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe<T> {
    /// The effect is there already.
    Present(T),
    /// It is not there: performing it is right.
    Absent,
}

/// `owner/name` of a repository: case kept as written, compared without case, as GitHub does.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Slug {
    owner: String,
    name: String,
}

impl Slug {
    /// Parses `owner/name`: letters, digits, `-`, `_`, `.`; neither part empty, `.` or `..`.
    ///
    /// # Errors
    /// [`CapabilityError::Invalid`] with the text that is no such name.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = || CapabilityError::invalid(format!("{text:?} is no repository: expected owner/name"));
        let (owner, name) = text.split_once('/').ok_or_else(bad)?;
        let fine = |part: &str| {
            !part.is_empty()
                && part.len() <= 100
                && part != "."
                && part != ".."
                && !part.starts_with('-')
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        };
        if !fine(owner) || !fine(name) || name.to_ascii_lowercase().ends_with(".git") {
            return Err(bad());
        }
        Ok(Self { owner: owner.into(), name: name.into() })
    }

    /// The owner.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn folded(&self) -> (String, String) {
        (self.owner.to_ascii_lowercase(), self.name.to_ascii_lowercase())
    }
}

impl std::fmt::Display for Slug {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

impl TryFrom<String> for Slug {
    type Error = CapabilityError;
    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<Slug> for String {
    fn from(slug: Slug) -> Self {
        slug.to_string()
    }
}

impl PartialEq for Slug {
    fn eq(&self, other: &Self) -> bool {
        self.folded() == other.folded()
    }
}

impl Eq for Slug {}

impl PartialOrd for Slug {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Slug {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.folded().cmp(&other.folded())
    }
}

impl std::hash::Hash for Slug {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.folded().hash(state);
    }
}

/// A secret value: it cannot be printed, serialised or compared by accident.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value, for the wire only.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}
