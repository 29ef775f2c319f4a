//! Handles of one bare repository that are used again: opening one reads its settings each time, which costs more than most
//! of what is then asked of it.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use git2::Repository;

/// Handles that are kept while nobody needs them; each holds the packs it has read open.
const KEPT: usize = 4;

/// The handles of one repository. What others change on disk they see: refs are read anew each time, objects that are not found
/// are looked for once more.
pub(crate) struct Handles {
    path: PathBuf,
    idle: Mutex<Vec<(Folder, Repository)>>,
}

/// What tells a folder from another one that is put in its place.
type Folder = Option<(u64, u64)>;

#[cfg(unix)]
fn folder(path: &Path) -> Folder {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn folder(path: &Path) -> Folder {
    path.is_dir().then_some((0, 0))
}

impl Handles {
    /// Handles of the bare repository exactly at `path`, which need not exist yet. Settings that change after the first one
    /// was opened are not seen.
    pub(crate) fn new(path: PathBuf) -> Arc<Self> {
        Arc::new(Self { path, idle: Mutex::default() })
    }

    /// Where the repository is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A handle for one user.
    ///
    /// # Errors
    /// When there is no repository.
    pub(crate) fn open(self: &Arc<Self>) -> Result<Handle, git2::Error> {
        let folder = folder(&self.path);
        let idle = {
            let mut idle = self.idle();
            idle.retain(|(known, _)| *known == folder);
            idle.pop()
        };
        let repository = match idle {
            Some((_, repository)) => repository,
            None => Repository::open_bare(&self.path)?,
        };
        Ok(Handle { repository: Some(repository), folder, home: Arc::clone(self) })
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<(Folder, Repository)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Handles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Handles").field(&self.path).finish()
    }
}

/// A handle that goes back when it is dropped.
pub(crate) struct Handle {
    /// Taken by `drop` alone.
    repository: Option<Repository>,
    folder: Folder,
    home: Arc<Handles>,
}

impl Deref for Handle {
    type Target = Repository;

    fn deref(&self) -> &Repository {
        match &self.repository {
            Some(repository) => repository,
            None => unreachable!("only a handle that is dropped has none"),
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut idle = self.home.idle();
        if idle.len() < KEPT {
            idle.extend(self.repository.take().map(|repository| (self.folder, repository)));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Commits a file under its content's name and returns the commit.
    fn commit(repository: &Repository, branch: &str, content: &str) -> git2::Oid {
        let blob = repository.blob(content.as_bytes()).unwrap();
        let mut builder = repository.treebuilder(None).unwrap();
        builder.insert(content, blob, 0o100_644).unwrap();
        let tree = repository.find_tree(builder.write().unwrap()).unwrap();
        let by = git2::Signature::new("a", "a@example.org", &git2::Time::new(0, 0)).unwrap();
        repository.commit(Some(branch), &by, &by, content, &tree, &[]).unwrap()
    }

    #[test]
    fn a_handle_that_was_used_before_sees_what_others_changed() {
        let folder = tempfile::tempdir().unwrap();
        let handles = Handles::new(folder.path().join("a.git"));
        assert!(handles.open().is_err(), "there is no repository yet");
        let other = Repository::init_bare(folder.path().join("a.git")).unwrap();
        drop(handles.open().unwrap());
        for round in 0..3 {
            let (branch, content) = ("refs/heads/x", format!("{round}"));
            let id = commit(&other, &format!("{branch}{round}"), &content);
            let handle = handles.open().unwrap();
            let found = handle.find_reference(&format!("{branch}{round}")).unwrap();
            assert_eq!(found.peel_to_commit().unwrap().id(), id);
            drop(found);
            other.find_reference(&format!("{branch}{round}")).unwrap().delete().unwrap();
            assert!(handle.find_reference(&format!("{branch}{round}")).is_err());
        }
    }

    #[test]
    fn another_repository_in_the_same_place_is_opened_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (path, aside) = (folder.path().join("a.git"), folder.path().join("b.git"));
        let first = commit(&Repository::init_bare(&path).unwrap(), "refs/heads/x", "1");
        let handles = Handles::new(path.clone());
        assert!(handles.open().unwrap().find_commit(first).is_ok());
        std::fs::rename(&path, &aside).unwrap();
        assert!(handles.open().is_err());
        Repository::init_bare(&path).unwrap();
        assert!(handles.open().unwrap().find_commit(first).is_err());
    }

    #[test]
    fn two_users_at_a_time_have_two_handles_and_few_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        Repository::init_bare(folder.path()).unwrap();
        let handles = Handles::new(folder.path().to_owned());
        let many: Vec<Handle> = (0..2 * KEPT).map(|_| handles.open().unwrap()).collect();
        assert!(handles.idle().is_empty());
        drop(many);
        assert_eq!(handles.idle().len(), KEPT);
    }
}
