//! The artefacts of a run: documents for people, each whole or not there at all.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::failed;
use crate::capability::{CapabilityError, Probe, Result};

/// Longest name.
const NAME_BYTES: usize = 120;
/// Files being written carry this prefix, which no artefact may have.
const PARTIAL: &str = ".partial-";

/// How much a run may keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArtefactLimits {
    /// Bytes of one artefact.
    pub bytes: usize,
    /// Number of artefacts.
    pub files: usize,
}

impl Default for ArtefactLimits {
    fn default() -> Self {
        Self { bytes: 64 << 20, files: 1000 }
    }
}

/// An artefact as the journal keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// File name in the run's artefact folder.
    pub name: String,
    /// Media type, as the plugin named it.
    pub media_type: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256, 64 hexadecimal digits.
    pub sha256: String,
}

/// The artefact folder of a run.
pub struct Artefacts {
    limits: ArtefactLimits,
    directory: Dir,
    partial: AtomicU64,
    published: Mutex<BTreeMap<String, Published>>,
}

impl Artefacts {
    /// Opens the folder, which is created when absent.
    ///
    /// # Errors
    /// [`CapabilityError::Unavailable`] when the file system refuses.
    pub fn open(path: &Path, limits: ArtefactLimits) -> Result<Self> {
        let refused = |error: std::io::Error| {
            CapabilityError::unavailable(format!("artefact folder {}: {error}", path.display()))
        };
        std::fs::create_dir_all(path).map_err(refused)?;
        let directory = Dir::open_ambient_dir(path, ambient_authority()).map_err(refused)?;
        Ok(Self { limits, directory, partial: AtomicU64::new(0), published: Mutex::default() })
    }

    /// What publishing these bytes would record. Touches nothing: plans use it.
    ///
    /// # Errors
    /// [`CapabilityError::Invalid`] for a name, media type or size that cannot be published.
    pub fn describe(&self, name: &str, media_type: &str, content: &[u8]) -> Result<Published> {
        check_name(name)?;
        check_media_type(media_type)?;
        if content.len() > self.limits.bytes {
            return Err(CapabilityError::invalid(format!(
                "{name}: an artefact has at most {} bytes",
                self.limits.bytes
            )));
        }
        Ok(Published {
            name: name.to_owned(),
            media_type: media_type.to_owned(),
            size: content.len() as u64,
            sha256: hex::encode(Sha256::digest(content)),
        })
    }

    /// Keeps a document, replacing one of the same name. Durable when it returns; before, the old one stays.
    ///
    /// # Errors
    /// [`CapabilityError::Invalid`] for a bad name, media type or size and past the number of artefacts;
    /// [`CapabilityError::Unavailable`] when the file system refuses.
    pub fn publish(&self, name: &str, media_type: &str, content: &[u8]) -> Result<Published> {
        let published = self.describe(name, media_type, content)?;
        if !self.directory.try_exists(name).map_err(|error| failed(name, &error))? {
            self.check_count(name)?;
        }
        let partial = self.write_partial(content).map_err(|error| failed(name, &error))?;
        let moved = self.directory.rename(&partial, &self.directory, name).and_then(|()| self.sync());
        if let Err(error) = moved {
            // Nobody reads partial files: one left behind wastes room, no more.
            let _ = self.directory.remove_file(&partial);
            return Err(failed(name, &error));
        }
        let mut all = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(published.name.clone(), published.clone());
        Ok(published)
    }

    /// What was published through this value since it was opened, sorted by name, each as it was published last.
    #[must_use]
    pub fn published(&self) -> Vec<Published> {
        self.published.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Looks whether the artefact is there with this digest.
    ///
    /// # Errors
    /// As for [`Artefacts::read`], except that a missing artefact is [`Probe::Absent`].
    pub fn probe(&self, wanted: &Published) -> Result<Probe<Published>> {
        match self.read(&wanted.name) {
            Ok(content) if hex::encode(Sha256::digest(&content)) == wanted.sha256 => {
                Ok(Probe::Present(wanted.clone()))
            }
            Ok(_) | Err(CapabilityError::NotFound { .. }) => Ok(Probe::Absent),
            Err(error) => Err(error),
        }
    }

    /// Bytes of an artefact.
    ///
    /// # Errors
    /// [`CapabilityError::NotFound`] without one; [`CapabilityError::Invalid`] for a bad name or a file that was not
    /// published here.
    pub fn read(&self, name: &str) -> Result<Vec<u8>> {
        check_name(name)?;
        let metadata = self.directory.symlink_metadata(name).map_err(|error| failed(name, &error))?;
        if !metadata.is_file() || metadata.len() > self.limits.bytes as u64 {
            return Err(CapabilityError::invalid(format!("{name} is no artefact")));
        }
        let file = self.directory.open(name).map_err(|error| failed(name, &error))?;
        let mut content = Vec::new();
        file.take(self.limits.bytes as u64)
            .read_to_end(&mut content)
            .map_err(|error| failed(name, &error))?;
        Ok(content)
    }

    /// Names of all artefacts, sorted.
    ///
    /// # Errors
    /// [`CapabilityError::Unavailable`] when the file system refuses.
    pub fn names(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in self.directory.entries().map_err(|error| failed("artefacts", &error))? {
            let entry = entry.map_err(|error| failed("artefacts", &error))?;
            names.extend(
                entry.file_name().to_str().filter(|name| check_name(name).is_ok()).map(str::to_owned),
            );
        }
        names.sort_unstable();
        Ok(names)
    }

    fn check_count(&self, name: &str) -> Result<()> {
        if self.names()?.len() < self.limits.files {
            return Ok(());
        }
        Err(CapabilityError::invalid(format!("{name}: a run keeps at most {} artefacts", self.limits.files)))
    }

    fn write_partial(&self, content: &[u8]) -> std::io::Result<String> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        let (partial, mut file) = loop {
            let partial = format!("{PARTIAL}{}", self.partial.fetch_add(1, Ordering::Relaxed));
            match self.directory.open_with(&partial, &options) {
                Ok(file) => break (partial, file),
                // Another process writes, or one was killed while it did.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        };
        match file.write_all(content).and_then(|()| file.sync_all()) {
            Ok(()) => Ok(partial),
            Err(error) => {
                // The write's own error is the one to report.
                let _ = self.directory.remove_file(&partial);
                Err(error)
            }
        }
    }

    /// Makes the rename durable.
    fn sync(&self) -> std::io::Result<()> {
        self.directory.open(".")?.sync_all()
    }
}

/// One component of letters, digits, `.`, `-`, `_` and `+`, that does not begin with `.` or `-`.
fn check_name(name: &str) -> Result<()> {
    let letters = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'+'));
    if !name.is_empty() && name.len() <= NAME_BYTES && letters && !name.starts_with(['.', '-']) {
        return Ok(());
    }
    Err(CapabilityError::invalid(format!(
        "{name:?} is no name of an artefact: expected letters, digits, '.', '-', '_', '+', not first '.' or '-'"
    )))
}

/// `type/subtype`, perhaps with parameters.
fn check_media_type(text: &str) -> Result<()> {
    let token = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'+'))
    };
    let essence = text.split(';').next().unwrap_or_default().trim_end();
    let typed = essence.split_once('/').is_some_and(|(kind, subtype)| token(kind) && token(subtype));
    if typed && text.len() <= NAME_BYTES && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(CapabilityError::invalid(format!("{text:?} is no media type")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use tempfile::TempDir;

    fn artefacts() -> (TempDir, Artefacts) {
        let place = TempDir::new().unwrap();
        let limits = ArtefactLimits { bytes: 10, files: 2 };
        let artefacts = Artefacts::open(&place.path().join("run/artefacts"), limits).unwrap();
        (place, artefacts)
    }

    #[test]
    fn published_is_found_and_replaced() {
        let (_place, artefacts) = artefacts();
        let first = artefacts.describe("draft.md", "text/markdown", b"one").unwrap();
        assert_eq!(artefacts.probe(&first).unwrap(), Probe::Absent);
        assert_eq!(artefacts.publish("draft.md", "text/markdown", b"one").unwrap(), first);
        assert_eq!(first.size, 3);
        assert_eq!(first.sha256, "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed");
        assert_eq!(artefacts.probe(&first).unwrap(), Probe::Present(first.clone()));
        let second = artefacts.publish("draft.md", "text/markdown; charset=utf-8", b"two").unwrap();
        assert_eq!(artefacts.probe(&first).unwrap(), Probe::Absent);
        assert_eq!(artefacts.probe(&second).unwrap(), Probe::Present(second));
        assert_eq!(artefacts.read("draft.md").unwrap(), b"two");
        assert_eq!(artefacts.names().unwrap(), ["draft.md"]);
    }

    #[test]
    fn limits_and_names() {
        let (_place, artefacts) = artefacts();
        for (name, media_type, size) in [
            ("", "text/plain", 1),
            ("..", "text/plain", 1),
            (".hidden", "text/plain", 1),
            ("-option", "text/plain", 1),
            ("a/b", "text/plain", 1),
            ("a b", "text/plain", 1),
            ("fine", "text", 1),
            ("fine", "text/plain\r\n", 1),
            ("fine", "text/plain", 11),
        ] {
            let published = artefacts.publish(name, media_type, &vec![0; size]);
            assert!(matches!(published, Err(CapabilityError::Invalid { .. })), "{name} {media_type} {size}");
        }
        artefacts.publish("a", "text/plain", b"").unwrap();
        artefacts.publish("b", "text/plain", b"").unwrap();
        assert!(matches!(artefacts.publish("c", "text/plain", b""), Err(CapabilityError::Invalid { .. })));
        artefacts.publish("b", "text/plain", b"again").unwrap();
    }

    #[test]
    fn partial_files_are_in_nobodys_way() {
        let (place, artefacts) = artefacts();
        let folder = place.path().join("run/artefacts");
        std::fs::write(folder.join(".partial-0"), "left by a killed process").unwrap();
        artefacts.publish("a", "text/plain", b"whole").unwrap();
        assert_eq!(artefacts.names().unwrap(), ["a"]);
        assert_eq!(std::fs::read(folder.join("a")).unwrap(), b"whole");
        assert!(!folder.join(".partial-1").exists());
    }

    #[test]
    fn a_link_is_no_artefact() {
        let (place, artefacts) = artefacts();
        let folder = place.path().join("run/artefacts");
        std::fs::write(place.path().join("outside"), "x").unwrap();
        std::os::unix::fs::symlink("../../outside", folder.join("a")).unwrap();
        assert!(artefacts.read("a").is_err());
        assert!(
            artefacts.publish("a", "text/plain", b"own").is_err() || artefacts.read("a").unwrap() == b"own"
        );
        assert_eq!(std::fs::read(place.path().join("outside")).unwrap(), b"x");
    }
}
