//! Files of a repository at the head of a branch, as the plain trees that [`crate::core`] works on.

use castoff_sdk::git::{self, Change, EntryKind, TreeEntry};
use castoff_sdk::tree::{FileEntry, Mode, Tree, TreeChanges};
use castoff_sdk::{Error, git::Commit};

/// A repository at the head of the branch to change.
pub(crate) struct Checkout {
    /// `owner/name`.
    pub(crate) name: String,
    /// The repository.
    pub(crate) repository: git::Repository,
    /// Branch to change.
    pub(crate) base: String,
    /// Its head.
    pub(crate) head: Commit,
}

impl Checkout {
    /// Opens a repository at the head of `base`, of the default branch when none is given.
    pub(crate) fn open(name: &str, base: Option<&str>) -> Result<Self, Error> {
        let repository = git::open(name)?;
        let base = match base {
            Some(base) => base.to_owned(),
            None => repository.default_branch()?,
        };
        let head = repository.resolve(&format!("refs/heads/{base}"))?.ok_or_else(|| {
            Error::NotFound(format!("{name} has no branch {base}; name an existing one as `base`"))
        })?;
        Ok(Self { name: name.to_owned(), repository, base, head })
    }

    /// Files below a folder (empty: the whole repository) whose path is wanted.
    pub(crate) fn below(&self, folder: &str, wanted: impl Fn(&str) -> bool) -> Result<Tree, Error> {
        let entries = self.repository.entries(&self.head.id, folder, true).map_err(|error| match error {
            Error::NotFound(_) => Error::NotFound(format!(
                "{} has no folder {folder:?} on {}; name the right one as `directory`",
                self.name, self.base
            )),
            other => other,
        })?;
        self.read(entries.iter().filter(|entry| wanted(&entry.path)))
    }

    /// The named files; those that are absent are left out.
    pub(crate) fn files<'a>(&self, paths: impl IntoIterator<Item = &'a str>) -> Result<Tree, Error> {
        let mut tree = Tree::new();
        for path in paths {
            if let Some(entry) = self.entry(path)? {
                tree.extend(self.read([&entry])?);
            }
        }
        Ok(tree)
    }

    /// The tree entry at a path.
    pub(crate) fn entry(&self, path: &str) -> Result<Option<TreeEntry>, Error> {
        entry_at(&self.repository, &self.head.id, path)
    }

    fn read<'a>(&self, entries: impl IntoIterator<Item = &'a TreeEntry>) -> Result<Tree, Error> {
        read_entries(&self.repository, &self.head.id, entries)
    }
}

/// The tree entry at a path of a commit.
pub(crate) fn entry_at(
    repository: &git::Repository,
    commit: &str,
    path: &str,
) -> Result<Option<TreeEntry>, Error> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    match repository.entries(commit, folder, false) {
        Ok(entries) => Ok(entries.into_iter().find(|entry| entry.path == path)),
        Err(Error::NotFound(_)) => Ok(None),
        Err(other) => Err(other),
    }
}

/// Reads files and links; folders and submodules are left out.
pub(crate) fn read_entries<'a>(
    repository: &git::Repository,
    commit: &str,
    entries: impl IntoIterator<Item = &'a TreeEntry>,
) -> Result<Tree, Error> {
    let mut tree = Tree::new();
    for entry in entries {
        let mode = match entry.kind {
            EntryKind::File => Mode::File,
            EntryKind::Executable => Mode::Executable,
            EntryKind::Symlink => Mode::Symlink,
            EntryKind::Directory | EntryKind::Submodule => continue,
        };
        let bytes = repository.read(commit, &entry.path)?.ok_or_else(|| {
            Error::NotFound(format!("{} is listed at {commit} and cannot be read", entry.path))
        })?;
        tree.insert(entry.path.clone(), FileEntry { mode, bytes });
    }
    Ok(tree)
}

/// The changes as git wants them: removals first, so that a file may take the place of a folder.
pub(crate) fn changes(edit: &TreeChanges) -> Vec<Change> {
    let removed = edit.deletes.iter().filter(|path| !edit.writes.contains_key(*path));
    let removed = removed.map(|path| Change::Remove(path.clone()));
    let written = edit.writes.iter().map(|(path, entry)| {
        Change::Put(git::File { path: path.clone(), kind: kind(entry.mode), content: entry.bytes.clone() })
    });
    removed.chain(written).collect()
}

fn kind(mode: Mode) -> EntryKind {
    match mode {
        Mode::File => EntryKind::File,
        Mode::Executable => EntryKind::Executable,
        Mode::Symlink => EntryKind::Symlink,
    }
}
