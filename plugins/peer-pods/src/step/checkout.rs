//! A repository at a commit: its files, its modules, its tags.

use std::cell::RefCell;
use std::collections::BTreeMap;

use castoff_sdk::Error;
use castoff_sdk::git::{self, Commit, EntryKind, Repository, TreeEntry};
use castoff_sdk::go_mod::GoMod;
use castoff_sdk::logging::{self, Level};
use castoff_sdk::module_hash::{
    ModuleFile, ModuleHashes, ZipFault, module_hashes, sha256, zip_faults, zip_files,
};
use castoff_sdk::step::not_found;

use crate::core::freeze::{Later, changed_paths};
use crate::core::layout::Layout;
use crate::core::module::{Module, ModuleSet};

/// Most commits that are looked at between two points.
const MOST: u32 = 2_000;

/// A repository at the head of a branch.
pub(crate) struct Checkout {
    /// `owner/name`.
    pub(crate) name: String,
    /// The repository.
    pub(crate) repository: Repository,
    /// The branch.
    pub(crate) branch: String,
    /// Its head.
    pub(crate) head: Commit,
    /// Where things are at the head.
    pub(crate) layout: Layout,
    /// Files as commits that are being prepared leave them.
    written: RefCell<BTreeMap<String, String>>,
}

impl Checkout {
    /// Opens a repository at the head of a branch, of the default branch when none is named.
    pub(crate) fn open(name: &str, branch: Option<&str>) -> Result<Self, Error> {
        let repository = git::open(name)?;
        let branch = match branch {
            Some(branch) => branch.to_owned(),
            None => repository.default_branch()?,
        };
        let head = repository.resolve(&format!("refs/heads/{branch}"))?;
        let head = head.ok_or_else(|| not_found(format!("{name} has no branch {branch}")))?;
        let layout = layout_at(&repository, &head.id)?;
        let written = RefCell::default();
        Ok(Self { name: name.to_owned(), repository, branch, head, layout, written })
    }

    /// A text file at the head, as commits that are being prepared leave it.
    pub(crate) fn text(&self, path: &str) -> Result<Option<String>, Error> {
        if let Some(text) = self.written.borrow().get(path) {
            return Ok(Some(text.clone()));
        }
        self.text_before(path)
    }

    /// A text file at the head, whatever is being prepared.
    pub(crate) fn text_before(&self, path: &str) -> Result<Option<String>, Error> {
        text_at(&self.repository, &self.head.id, path)
    }

    /// Prepares files: what is read from here on builds on them.
    pub(crate) fn write(&self, files: &BTreeMap<String, String>) {
        self.written.borrow_mut().extend(files.iter().map(|(path, text)| (path.clone(), text.clone())));
    }

    /// The Go modules below `src`, as commits that are being prepared leave them.
    pub(crate) fn modules(&self) -> Result<ModuleSet, Error> {
        modules_below(&self.repository, &self.head.id, |path| self.text(path))
    }

    /// The files at these paths that are there.
    pub(crate) fn texts<'a>(
        &self,
        paths: impl IntoIterator<Item = &'a str>,
    ) -> Result<BTreeMap<String, String>, Error> {
        let mut found = BTreeMap::new();
        for path in paths {
            if let Some(text) = self.text(path)? {
                found.insert(path.to_owned(), text);
            }
        }
        Ok(found)
    }

    /// All tags, without `refs/tags/`, with their commits.
    pub(crate) fn tags(&self) -> Result<BTreeMap<String, String>, Error> {
        let found = self.repository.references("refs/tags/**")?;
        let named = found
            .into_iter()
            .filter_map(|tag| Some((tag.name.strip_prefix("refs/tags/")?.to_owned(), tag.commit)));
        Ok(named.collect())
    }

    /// The commits of a branch after a commit, newest first, each with its paths.
    pub(crate) fn later(&self, since: &str, to: &str) -> Result<Vec<Later>, Error> {
        let mut later = Vec::new();
        for commit in self.repository.first_parents(Some(since), to, MOST)? {
            let paths = match commit.parents.first() {
                Some(parent) => changed_paths(&self.repository.diff(parent, &commit.id, &[])?),
                None => Vec::new(),
            };
            later.push(Later { id: commit.id, subject: commit.subject, paths });
        }
        Ok(later)
    }
}

/// Where things are at a commit.
pub(crate) fn layout_at(repository: &Repository, commit: &str) -> Result<Layout, Error> {
    let entries = repository.entries(commit, "", true)?;
    Ok(Layout::of(entries.iter().map(|entry| entry.path.as_str())))
}

/// A text file at a commit; none where there is none.
pub(crate) fn text_at(repository: &Repository, commit: &str, path: &str) -> Result<Option<String>, Error> {
    Ok(repository.read(commit, path)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// The modules below `src` at a commit.
pub(crate) fn modules_at(repository: &Repository, commit: &str) -> Result<ModuleSet, Error> {
    modules_below(repository, commit, |path| text_at(repository, commit, path))
}

fn modules_below(
    repository: &Repository,
    commit: &str,
    text: impl Fn(&str) -> Result<Option<String>, Error>,
) -> Result<ModuleSet, Error> {
    let folders = match repository.entries(commit, "src", false) {
        Ok(entries) => entries,
        Err(Error::NotFound(_)) => Vec::new(),
        Err(error) => return Err(error),
    };
    let mut modules = Vec::new();
    for folder in folders.into_iter().filter(|entry| entry.kind == EntryKind::Directory) {
        let file = format!("{}/go.mod", folder.path);
        if let Some(text) = text(&file)? {
            let name = folder.path.rsplit('/').next().unwrap_or_default().to_owned();
            modules.push(Module { name, file, text });
        }
    }
    Ok(ModuleSet::new(modules))
}

/// What Go makes of a folder at a commit.
pub(crate) struct Hashed {
    /// Module path.
    pub(crate) module: String,
    /// Its hashes at the version.
    pub(crate) hashes: ModuleHashes,
    /// Files of its zip.
    pub(crate) files: usize,
    /// What Go would refuse.
    pub(crate) faults: Vec<ZipFault>,
    /// Its `go.mod`.
    pub(crate) go_mod: String,
}

/// Hashes the module in a folder (empty: the root) at a commit; none where it has no `go.mod`.
pub(crate) fn hash_at(
    repository: &Repository,
    commit: &str,
    folder: &str,
    version: &str,
) -> Result<Option<Hashed>, Error> {
    let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    let Some(go_mod) = text_at(repository, commit, &format!("{prefix}go.mod"))? else { return Ok(None) };
    let entries = repository.entries(commit, folder, true)?;
    let mut files = Vec::new();
    let parsed = GoMod::parse(&go_mod);
    let kept = kept(&entries, &prefix, parsed.go.as_deref());
    for entry in entries.iter().filter(|entry| kept.contains(&entry.path)) {
        let content = repository.read(commit, &entry.path)?;
        let content = content.ok_or_else(|| not_found(format!("{} at {commit}", entry.path)))?;
        files.push(ModuleFile::of(entry.path.strip_prefix(&prefix).unwrap_or(&entry.path), &content));
    }
    let license = match prefix.is_empty() {
        true => None,
        false => repository.read(commit, "LICENSE")?.map(|content| ModuleFile::of("LICENSE", &content)),
    };
    let zip = zip_files(&files, parsed.go.as_deref(), license.as_ref());
    Ok(Some(Hashed {
        hashes: module_hashes(&parsed.module, version, &files, &go_mod, license.as_ref()),
        faults: zip_faults(&zip),
        files: zip.len(),
        module: parsed.module,
        go_mod,
    }))
}

/// Paths whose content is part of the zip: others are not read at all.
fn kept(entries: &[TreeEntry], prefix: &str, go: Option<&str>) -> std::collections::BTreeSet<String> {
    let listed: Vec<ModuleFile> = entries
        .iter()
        .map(|entry| ModuleFile {
            path: entry.path.strip_prefix(prefix).unwrap_or(&entry.path).to_owned(),
            regular: matches!(entry.kind, EntryKind::File | EntryKind::Executable),
            sha256: sha256(&[]),
            size: 0,
        })
        .collect();
    zip_files(&listed, go, None).into_iter().map(|file| format!("{prefix}{}", file.path)).collect()
}

/// Says something a person should look at.
pub(crate) fn warn(message: &str) {
    logging::emit(Level::Warn, message);
}

/// A list in Markdown with a heading; nothing without items. Nobody is called by a mention.
pub(crate) fn list(heading: &str, items: &[String]) -> String {
    if items.is_empty() {
        return String::new();
    }
    let items: String = items
        .iter()
        .map(|item| format!("- {}\n", item.replace('@', "@\u{200b}").replace('\n', " ")))
        .collect();
    format!("\n{heading}\n\n{items}")
}
