//! Components on disk, by digest: `<folder>/<64 digits>.wasm`. What is read is what the name says, or nothing.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::{digest, is_digest};

/// A folder of components.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
}

/// Why a component cannot be kept or read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreError {
    /// The file cannot be read or written.
    #[error("{}: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// The file holds something else than its name says.
    #[error("{}: the kept component is damaged: its digest is {found}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The digest of what it holds.
        found: String,
    },
    /// The name is no digest.
    #[error("{0:?} is no digest")]
    Name(String),
}

impl Store {
    /// A store in a folder, made when something is first kept.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Where a component of this digest is, or would be.
    ///
    /// # Errors
    /// [`StoreError::Name`].
    pub fn path(&self, digest: &str) -> Result<PathBuf, StoreError> {
        if !is_digest(digest) {
            return Err(StoreError::Name(digest.to_owned()));
        }
        Ok(self.folder.join(format!("{}.wasm", digest.trim_start_matches("sha256:"))))
    }

    /// The component of this digest; `None` when it is not kept.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(bytes) = self.unverified(name)? else { return Ok(None) };
        let found = digest(&bytes);
        if found == name {
            Ok(Some(bytes))
        } else {
            Err(StoreError::Damaged { path: self.path(name)?, found })
        }
    }

    /// What is in the file of a component; the caller finds out whether it is that component.
    pub(crate) fn unverified(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.path(name)?;
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::File { path, why: error.to_string() }),
        }
    }

    /// Keeps a component and returns its digest. A file that is there and holds something else is replaced; a crash leaves
    /// either the whole component or none.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn keep(&self, component: &[u8]) -> Result<String, StoreError> {
        let digest = digest(component);
        if matches!(self.read(&digest), Ok(Some(_))) {
            return Ok(digest);
        }
        write(&self.path(&digest)?, component)?;
        Ok(digest)
    }
}

/// Writes a file so that nobody ever sees a part of it.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let wrong = |error: &std::io::Error| StoreError::File { path: path.to_owned(), why: error.to_string() };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|error| wrong(&error))?;
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(|error| wrong(&error))?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(|error| wrong(&error))?;
    readable(&file).map_err(|error| wrong(&error))?;
    file.persist(path).map_err(|error| wrong(&error.error))?;
    Ok(())
}

/// Temporary files are their owner's alone; what they become is a file like any other.
#[cfg(unix)]
fn readable(file: &tempfile::NamedTempFile) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn readable(_: &tempfile::NamedTempFile) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_is_kept_is_read_and_what_was_changed_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("plugins"));
        let name = store.keep(b"component").unwrap();
        assert_eq!(store.read(&name).unwrap().unwrap(), b"component");
        assert_eq!(store.read(&digest(b"other")).unwrap(), None);
        assert_eq!(store.keep(b"component").unwrap(), name);
        for changed in [&b"componen"[..], b"component!", b""] {
            std::fs::write(store.path(&name).unwrap(), changed).unwrap();
            assert!(matches!(store.read(&name), Err(StoreError::Damaged { .. })));
            assert_eq!(store.keep(b"component").unwrap(), name);
            assert_eq!(store.read(&name).unwrap().unwrap(), b"component");
        }
    }

    #[test]
    fn a_name_that_is_no_digest_leads_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().to_owned());
        for name in ["", "sha256:", "../../etc/passwd", "sha256:../x", &format!("sha256:{}", "A".repeat(64))]
        {
            assert_eq!(store.read(name), Err(StoreError::Name(name.to_owned())));
        }
    }
}
