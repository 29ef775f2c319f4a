//! The scratch directory of a step and the artefacts of a run.
//!
//! Both work below one open directory (`cap-std`): no path, `..` or link leads out of it. Calls block; they are bounded
//! by the limits, and an asynchronous caller runs them in a thread that may block.

mod artefact;
mod scratch;
mod wit;

use crate::capability::{CapabilityError, Result};

pub use artefact::{ArtefactLimits, Artefacts, Published};
pub use scratch::{Scratch, ScratchLimits};

/// Words for an error of the file system at `path`, which is named as the plugin named it.
fn failed(path: &str, error: &std::io::Error) -> CapabilityError {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::NotFound => CapabilityError::not_found(path),
        ErrorKind::PermissionDenied => {
            CapabilityError::invalid(format!("{path}: not within the directory, or not accessible"))
        }
        ErrorKind::IsADirectory => CapabilityError::conflict(format!("{path} is a directory")),
        ErrorKind::NotADirectory => CapabilityError::conflict(format!("{path}: a file is in the way")),
        ErrorKind::InvalidInput | ErrorKind::InvalidFilename => {
            CapabilityError::invalid(format!("{path}: {error}"))
        }
        _ => CapabilityError::unavailable(format!("{path}: {error}")),
    }
}

/// Checks a relative path: no empty component, `.`, `..` or NUL.
fn components(path: &str, bytes: usize, depth: usize) -> Result<Vec<&str>> {
    let parts: Vec<&str> = path.split('/').collect();
    let fine = |part: &&str| !matches!(*part, "" | "." | "..") && !part.contains(['\0', '\\']);
    if path.len() > bytes || parts.len() > depth {
        return Err(CapabilityError::invalid(format!(
            "{path:?}: longer than {bytes} bytes or {depth} components"
        )));
    }
    if !parts.iter().all(fine) {
        return Err(CapabilityError::invalid(format!("{path:?}: expected a relative path without . and ..")));
    }
    Ok(parts)
}
