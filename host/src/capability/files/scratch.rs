//! The scratch directory of a step: fresh at its start, gone at its end, never more than its quota.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use tempfile::TempDir;

use super::{components, failed};
use crate::capability::{CapabilityError, Result};

/// How much a step may keep in its scratch directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScratchLimits {
    /// Bytes of all files together; also the largest file that is read.
    pub bytes: u64,
    /// Number of files.
    pub files: usize,
    /// Bytes of a path.
    pub path_bytes: usize,
    /// Components of a path.
    pub path_depth: usize,
}

impl Default for ScratchLimits {
    fn default() -> Self {
        Self { bytes: 256 << 20, files: 10_000, path_bytes: 512, path_depth: 32 }
    }
}

/// A directory only one step sees. Removed with all below when dropped.
pub struct Scratch {
    limits: ScratchLimits,
    directory: Dir,
    /// Sizes of the files written here, by path.
    written: Mutex<BTreeMap<String, u64>>,
    place: TempDir,
}

impl Scratch {
    /// Makes an empty directory below `parent`, which is created when absent, readable by this user only.
    ///
    /// # Errors
    /// [`CapabilityError::Unavailable`] when the file system refuses.
    pub fn create(parent: &Path, limits: ScratchLimits) -> Result<Self> {
        let refused = |error: std::io::Error| {
            CapabilityError::unavailable(format!("scratch directory in {}: {error}", parent.display()))
        };
        std::fs::create_dir_all(parent).map_err(refused)?;
        let place = tempfile::Builder::new().prefix("step-").tempdir_in(parent).map_err(refused)?;
        let directory = Dir::open_ambient_dir(place.path(), ambient_authority()).map_err(refused)?;
        Ok(Self { limits, directory, written: Mutex::default(), place })
    }

    /// Where it is, for programs that run in it.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.place.path()
    }

    /// Bytes of a file.
    ///
    /// # Errors
    /// [`CapabilityError::NotFound`] without such a file; [`CapabilityError::Invalid`] for a path or link that leads out,
    /// something that is no file, or a file larger than the quota.
    pub fn read(&self, path: &str) -> Result<Vec<u8>> {
        self.check(path)?;
        let metadata = self.directory.metadata(path).map_err(|error| failed(path, &error))?;
        if !metadata.is_file() {
            return Err(CapabilityError::invalid(format!("{path} is no file")));
        }
        let file = self.directory.open(path).map_err(|error| failed(path, &error))?;
        let mut content = Vec::new();
        // One byte more than allowed tells a full file from one that is too large, even while it grows.
        file.take(self.limits.bytes.saturating_add(1))
            .read_to_end(&mut content)
            .map_err(|error| failed(path, &error))?;
        if content.len() as u64 > self.limits.bytes {
            return Err(CapabilityError::invalid(format!(
                "{path} has more than {} bytes",
                self.limits.bytes
            )));
        }
        Ok(content)
    }

    /// Writes a file with the directories above it. A link in its place is replaced, not followed.
    ///
    /// # Errors
    /// [`CapabilityError::Invalid`] for a path that leads out and past a quota; [`CapabilityError::Conflict`] when a
    /// directory is at the path or a file above it.
    pub fn write(&self, path: &str, content: &[u8]) -> Result<()> {
        let parts = self.check(path)?;
        let mut written = self.written();
        self.check_quota(&written, path, content.len() as u64)?;
        if let Some((_, above)) = parts.split_last().filter(|(_, above)| !above.is_empty()) {
            self.directory.create_dir_all(above.join("/")).map_err(|error| failed(path, &error))?;
        }
        match self.directory.symlink_metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                return Err(CapabilityError::conflict(format!("{path} is a directory")));
            }
            Ok(_) => self.directory.remove_file(path).map_err(|error| failed(path, &error))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(path, &error)),
        }
        written.insert(path.to_owned(), content.len() as u64);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        let mut file = self.directory.open_with(path, &options).map_err(|error| failed(path, &error))?;
        file.write_all(content).map_err(|error| failed(path, &error))
    }

    /// Paths of all files at or below `path` (empty: everything), sorted. Links are neither listed nor followed.
    ///
    /// # Errors
    /// [`CapabilityError::NotFound`] when nothing is at `path`; [`CapabilityError::Invalid`] for a path that leads out.
    pub fn files(&self, path: &str) -> Result<Vec<String>> {
        let path = path.strip_suffix('/').unwrap_or(path);
        let mut found = Vec::new();
        let mut directories = Vec::new();
        if path.is_empty() {
            directories.push(String::new());
        } else {
            self.check(path)?;
            let metadata = self.directory.symlink_metadata(path).map_err(|error| failed(path, &error))?;
            if metadata.is_dir() {
                directories.push(path.to_owned());
            } else if metadata.is_file() {
                found.push(path.to_owned());
            }
        }
        while let Some(directory) = directories.pop() {
            self.list(&directory, &mut found, &mut directories)?;
        }
        found.sort_unstable();
        Ok(found)
    }

    fn list(&self, directory: &str, files: &mut Vec<String>, directories: &mut Vec<String>) -> Result<()> {
        let here = if directory.is_empty() { "." } else { directory };
        for entry in self.directory.read_dir(here).map_err(|error| failed(directory, &error))? {
            let entry = entry.map_err(|error| failed(directory, &error))?;
            // Only names a plugin could ask for; a program may leave others.
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
            let path = if directory.is_empty() { name } else { format!("{directory}/{name}") };
            let kind = entry.file_type().map_err(|error| failed(&path, &error))?;
            if kind.is_dir() {
                directories.push(path);
            } else if kind.is_file() {
                files.push(path);
            }
        }
        Ok(())
    }

    fn written(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check<'p>(&self, path: &'p str) -> Result<Vec<&'p str>> {
        components(path, self.limits.path_bytes, self.limits.path_depth)
    }

    fn check_quota(&self, written: &BTreeMap<String, u64>, path: &str, size: u64) -> Result<()> {
        let others: u64 = written.iter().filter(|(other, _)| *other != path).map(|(_, size)| size).sum();
        if others.saturating_add(size) > self.limits.bytes {
            return Err(CapabilityError::invalid(format!(
                "{path}: the scratch directory holds at most {} bytes",
                self.limits.bytes
            )));
        }
        if !written.contains_key(path) && written.len() >= self.limits.files {
            return Err(CapabilityError::invalid(format!(
                "{path}: the scratch directory holds at most {} files",
                self.limits.files
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn scratch() -> (TempDir, Scratch) {
        let parent = TempDir::new().unwrap();
        let limits = ScratchLimits { bytes: 100, files: 3, path_bytes: 40, path_depth: 4 };
        let scratch = Scratch::create(parent.path(), limits).unwrap();
        (parent, scratch)
    }

    fn is_invalid<T>(result: Result<T>) -> bool {
        matches!(result, Err(CapabilityError::Invalid { .. }))
    }

    #[test]
    fn written_is_read_and_listed() {
        let (_parent, scratch) = scratch();
        scratch.write("b/c/d", b"deep").unwrap();
        scratch.write("a", b"one").unwrap();
        scratch.write("a", b"two").unwrap();
        assert_eq!(scratch.read("a").unwrap(), b"two");
        assert_eq!(scratch.files("").unwrap(), ["a", "b/c/d"]);
        assert_eq!(scratch.files("b/").unwrap(), ["b/c/d"]);
        assert_eq!(scratch.files("a").unwrap(), ["a"]);
        for absent in ["x", "b/x"] {
            assert!(matches!(scratch.read(absent), Err(CapabilityError::NotFound { .. })), "{absent}");
            assert!(matches!(scratch.files(absent), Err(CapabilityError::NotFound { .. })), "{absent}");
        }
        assert!(matches!(scratch.write("b", b""), Err(CapabilityError::Conflict { .. })));
        assert!(scratch.write("a/below", b"").is_err());
        assert!(is_invalid(scratch.read("b")));
    }

    #[test]
    fn nothing_leads_out() {
        let (parent, scratch) = scratch();
        std::fs::write(parent.path().join("secret"), "x").unwrap();
        let bad =
            ["", ".", "..", "../secret", "a/../../secret", "/etc/passwd", "a//b", "a/", "nul\0", "a\\b"];
        for path in bad {
            assert!(is_invalid(scratch.read(path)), "{path:?}");
            assert!(is_invalid(scratch.write(path, b"x")), "{path:?}");
        }
        for (link, target) in [("abs", "/etc"), ("up", ".."), ("file", "../secret")] {
            std::os::unix::fs::symlink(target, scratch.path().join(link)).unwrap();
        }
        for path in ["abs/passwd", "up/secret", "file"] {
            assert!(scratch.read(path).is_err(), "{path}");
        }
        for path in ["abs/new", "up/new"] {
            assert!(scratch.write(path, b"x").is_err(), "{path}");
        }
        assert_eq!(scratch.files("").unwrap(), Vec::<String>::new());
        // A link in place of the file is replaced.
        scratch.write("file", b"own").unwrap();
        assert_eq!(std::fs::read(parent.path().join("secret")).unwrap(), b"x");
        assert!(!parent.path().join("new").exists());
    }

    #[test]
    fn quotas_hold() {
        let (_parent, scratch) = scratch();
        assert!(is_invalid(scratch.write("big", &[0; 101])));
        scratch.write("a", &[0; 60]).unwrap();
        assert!(is_invalid(scratch.write("b", &[0; 41])));
        // A file that replaces another counts once.
        scratch.write("a", &[0; 100]).unwrap();
        scratch.write("b", b"").unwrap();
        scratch.write("c", b"").unwrap();
        assert!(is_invalid(scratch.write("d", b"")));
        assert!(is_invalid(scratch.write("1/2/3/4/5", b"")));
        assert!(is_invalid(scratch.write(&"n".repeat(41), b"")));
        // What a program left is read within the quota only.
        std::fs::write(scratch.path().join("left"), [0; 101]).unwrap();
        assert!(is_invalid(scratch.read("left")));
    }

    #[test]
    fn gone_when_dropped() {
        let (_parent, scratch) = scratch();
        scratch.write("a/b", b"x").unwrap();
        let path = scratch.path().to_path_buf();
        drop(scratch);
        assert!(!path.exists());
    }
}
