//! Where plugins come from: files and OCI registries, pinned by digest in a lock file, kept by digest on disk.
//!
//! ```text
//! castoff plugin add oci://…:1.2.0 ─ registry ─ component, its digest checked here ─┐
//!                                  └ evidence: signatures, by keys that are trusted ─┤
//!                                                      nothing is compiled before ──┴─ lock (castoff.lock), store
//! plugin = "name" in a release ─ lock ─ store ─ (registry, by digest, when it is not there) ─ evidence ─ engine
//! ```
//!
//! - [`mod@reference`]: where a plugin is, as in `oci://host/repository:tag@sha256:…`.
//! - [`registry`]: a registry's API, with bounds on all that it answers.
//! - [`evidence`]: signatures, as they are found beside a component and kept in the lock.
//! - [`lock`]: `castoff.lock`, beside the release files.
//! - [`store`]: components by digest, checked each time they are read.

use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;

pub mod evidence;
pub mod lock;
pub mod reference;
pub mod registry;
pub mod store;

pub use evidence::{Evidence, EvidenceError, TrustedKey};
pub use lock::{Lock, LockError, Locked};
pub use reference::{Reference, ReferenceError};
pub use registry::{Credentials, Registry, RegistryError};
pub use store::{Store, StoreError};

/// Where a component comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// An artefact of a registry.
    Registry(Reference),
    /// A file; in a lock relative to the lock's folder.
    File(PathBuf),
}

impl Source {
    /// Understands `oci://…` and everything else as a path.
    ///
    /// # Errors
    /// [`ReferenceError`] for text that begins with `oci://` and is no reference, or that can be neither.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if text.contains("://") {
            return Reference::parse(text).map(Self::Registry);
        }
        if text.is_empty() || text.chars().any(char::is_control) {
            return Err(ReferenceError::new(text, "it is neither a path nor oci://HOST/NAME:TAG"));
        }
        Ok(Self::File(PathBuf::from(text)))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(reference) => reference.fmt(f),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// A component as its source offers it, with what speaks for it. Nothing in it is trusted yet but that the digest is that
/// of the bytes.
#[derive(Debug, Clone)]
pub struct Offer {
    /// Where it was found; in a registry with the digest of its manifest.
    pub source: Source,
    /// Its bytes.
    pub component: Vec<u8>,
    /// `sha256:…` over them.
    pub digest: String,
    /// Signatures that were found with it.
    pub evidence: Vec<Evidence>,
}

/// Why a source offers nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SupplyError {
    /// A file cannot be read.
    #[error("{}: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said, or what is wrong with it.
        why: String,
    },
    /// The registry does not give it.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

/// Fetches what a source offers now. Paths are relative to `folder`; no component may be larger than `limit` bytes.
///
/// # Errors
/// [`SupplyError`].
pub async fn offer(
    source: &Source,
    folder: &Path,
    registry: &Registry,
    limit: usize,
) -> Result<Offer, SupplyError> {
    match source {
        Source::File(path) => file(source, &folder.join(path), limit),
        Source::Registry(reference) => {
            let found = registry.resolve(reference, limit).await?;
            let component = registry.pull(&found).await?;
            let evidence = registry.evidence(&found).await?;
            let digest = digest(&component);
            let source = Source::Registry(reference.clone().with_digest(&found.digest));
            Ok(Offer { source, component, digest, evidence })
        }
    }
}

fn file(source: &Source, path: &Path, limit: usize) -> Result<Offer, SupplyError> {
    let wrong = |why: String| SupplyError::File { path: path.to_owned(), why };
    let size = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
    if size > u64::try_from(limit).unwrap_or(u64::MAX) {
        return Err(wrong(format!("it has {size} bytes; at most {limit} are accepted")));
    }
    let component = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let digest = digest(&component);
    Ok(Offer { source: source.clone(), component, digest, evidence: beside(path) })
}

/// Signatures in files beside a component: `FILE.minisig` and `FILE.sig`.
#[must_use]
pub fn beside(path: &Path) -> Vec<Evidence> {
    use crate::signature::Format;
    let of = |format: Format| {
        let mut name = path.as_os_str().to_owned();
        name.push(format.suffix());
        std::fs::read_to_string(name).ok().map(Evidence::detached)
    };
    [Format::Minisign, Format::Ssh].into_iter().filter_map(of).collect()
}

/// `sha256:` and 64 digits.
pub(crate) fn digest(bytes: &[u8]) -> String {
    crate::policy::manifest::component_digest(bytes)
}

/// Whether a text is `sha256:` and 64 lower-case digits.
pub(crate) fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|digits| {
        digits.len() == 64 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}
