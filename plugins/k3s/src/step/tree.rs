//! Repositories at the head of a branch, as text.

use std::collections::BTreeMap;

use castoff_sdk::Error;
use castoff_sdk::git::{self, Change, Commit, EntryKind, File, Repository};
use castoff_sdk::step::{conflict, not_found};

/// A repository at a commit.
pub(super) struct Checkout {
    /// `owner/name`.
    pub(super) name: String,
    /// The repository.
    pub(super) repository: Repository,
    /// The branch.
    pub(super) base: String,
    /// Its head.
    pub(super) head: Commit,
}

impl Checkout {
    /// Opens a repository at the head of `base`, of the default branch when none is given.
    pub(super) fn open(name: &str, base: Option<&str>) -> Result<Self, Error> {
        let repository = git::open(name)?;
        let base = match base {
            Some(base) => base.to_owned(),
            None => repository.default_branch()?,
        };
        let head = repository.resolve(&format!("refs/heads/{base}"))?;
        let head = head.ok_or_else(|| not_found(format!("{name} has no branch {base}")))?;
        Ok(Self { name: name.to_owned(), repository, base, head })
    }

    /// A file as text, when it is there.
    pub(super) fn text(&self, path: &str) -> Result<Option<String>, Error> {
        text_at(&self.repository, &self.head.id, path)
    }

    /// A file that has to be there.
    pub(super) fn need(&self, path: &str) -> Result<String, Error> {
        self.text(path)?.ok_or_else(|| not_found(format!("{} has no {path} on {}", self.name, self.base)))
    }

    /// Files of a folder whose path is wanted, without those below it.
    pub(super) fn folder(
        &self,
        folder: &str,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<BTreeMap<String, String>, Error> {
        let entries = match self.repository.entries(&self.head.id, folder, false) {
            Ok(entries) => entries,
            Err(Error::NotFound(_)) => return Ok(BTreeMap::new()),
            Err(other) => return Err(other),
        };
        let mut files = BTreeMap::new();
        for entry in entries {
            if matches!(entry.kind, EntryKind::File | EntryKind::Executable)
                && wanted(&entry.path)
                && let Some(text) = self.text(&entry.path)?
            {
                files.insert(entry.path, text);
            }
        }
        Ok(files)
    }
}

/// A file of a commit as text.
pub(super) fn text_at(repository: &Repository, commit: &str, path: &str) -> Result<Option<String>, Error> {
    let Some(bytes) = repository.read(commit, path)? else { return Ok(None) };
    String::from_utf8(bytes).map(Some).map_err(|_| conflict(format!("{path} is no text")))
}

/// Writes a file.
pub(super) fn put(path: &str, text: &str) -> Change {
    Change::Put(File { path: path.to_owned(), kind: EntryKind::File, content: text.as_bytes().to_vec() })
}

/// The commit of a tag.
pub(super) fn tagged(repository: &Repository, tag: &str) -> Result<Option<Commit>, Error> {
    repository.resolve(&format!("refs/tags/{tag}"))
}
