//! Commits and trees: whole files by path, ids by content.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use crate::Error;
use crate::git::{Change, Commit, CommitSpec, EntryKind, TreeEntry};
use crate::step::{conflict, invalid, not_found};

/// Files of a tree by path.
pub(super) type Files = BTreeMap<String, (EntryKind, Vec<u8>)>;

/// Who writes all commits of runs.
const AUTHOR: &str = "Release Manager";

/// Time of all commits: 2024-01-01.
const TIME: i64 = 1_704_067_200;

#[derive(Clone)]
struct Stored {
    commit: Commit,
    files: Files,
}

/// All commits of all repositories, as a forge with forks keeps them.
#[derive(Default)]
pub(super) struct Objects(BTreeMap<String, Stored>);

impl Objects {
    fn get(&self, id: &str) -> Result<&Stored, Error> {
        self.0.get(id).ok_or_else(|| not_found(format!("there is no commit {id}")))
    }

    pub(super) fn commit(&self, id: &str) -> Result<&Commit, Error> {
        self.get(id).map(|stored| &stored.commit)
    }

    pub(super) fn files(&self, id: &str) -> Result<&Files, Error> {
        self.get(id).map(|stored| &stored.files)
    }

    /// Stores a commit.
    pub(super) fn add(&mut self, parents: Vec<String>, files: Files, message: &str) -> Commit {
        let tree = tree_id(&files);
        let id = digest(&[&tree, &parents.join(" "), AUTHOR, message]);
        let commit = Commit {
            id: id.clone(),
            tree,
            parents,
            subject: message.lines().next().unwrap_or_default().to_owned(),
            message: message.to_owned(),
            author: AUTHOR.to_owned(),
            time: TIME,
        };
        self.0.insert(id, Stored { commit: commit.clone(), files });
        commit
    }

    /// Builds what a step asks for.
    pub(super) fn build(&mut self, spec: &CommitSpec) -> Result<Commit, Error> {
        let mut files = match spec.parents.first() {
            Some(parent) => self.files(parent)?.clone(),
            None => Files::new(),
        };
        for parent in &spec.parents {
            self.commit(parent)?;
        }
        for change in &spec.changes {
            self.apply(&mut files, change)?;
        }
        let trailer = format!("Signed-off-by: {AUTHOR} <release@example.org>\n");
        let message = match spec.sign_off {
            true => format!("{}\n\n{trailer}", spec.message.trim_end()),
            false => spec.message.clone(),
        };
        Ok(self.add(spec.parents.clone(), files, &message))
    }

    fn apply(&self, files: &mut Files, change: &Change) -> Result<(), Error> {
        match change {
            Change::Put(file) => {
                check_path(&file.path)?;
                if matches!(file.kind, EntryKind::Directory | EntryKind::Submodule) {
                    return Err(invalid(format!("{} is put as no file", file.path)));
                }
                remove(files, &file.path);
                files.insert(file.path.clone(), (file.kind, file.content.clone()));
            }
            Change::Remove(path) if remove(files, path) => {}
            Change::Remove(path) => return Err(not_found(format!("there is no {path} to remove"))),
            Change::Graft((path, id)) => {
                check_path(path)?;
                let tree = self.tree(id).ok_or_else(|| not_found(format!("there is no tree {id}")))?;
                remove(files, path);
                files.extend(tree.into_iter().map(|(below, file)| (format!("{path}/{below}"), file)));
            }
        }
        Ok(())
    }

    /// A tree by its id: of a commit, or of a folder of one.
    fn tree(&self, id: &str) -> Option<Files> {
        let mut trees = self.0.values().flat_map(|stored| {
            let folders = folders(&stored.files).into_iter().map(|folder| below(&stored.files, &folder));
            folders.chain([stored.files.clone()])
        });
        trees.find(|tree| tree_id(tree) == id)
    }

    pub(super) fn entries(&self, commit: &str, path: &str, recursive: bool) -> Result<Vec<TreeEntry>, Error> {
        let files = self.files(commit)?;
        let within = below(files, path);
        if within.is_empty() && !path.is_empty() {
            return Err(not_found(format!("there is no folder {path}")));
        }
        let full = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
        let file = |(name, (kind, content)): (&String, &(EntryKind, Vec<u8>))| TreeEntry {
            path: full(name),
            kind: *kind,
            id: blob_id(content),
        };
        if recursive {
            return Ok(within.iter().map(file).collect());
        }
        let top = folders(&within).into_iter().filter(|folder| !folder.contains('/'));
        let folder = |name: String| {
            let id = tree_id(&below(&within, &name));
            TreeEntry { path: full(&name), kind: EntryKind::Directory, id }
        };
        let here = within.iter().filter(|(name, _)| !name.contains('/')).map(file);
        let mut entries: Vec<TreeEntry> = top.map(folder).chain(here).collect();
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(entries)
    }

    /// All commits reached from one, itself among them.
    fn reached(&self, from: &str) -> Result<BTreeSet<String>, Error> {
        let mut reached = BTreeSet::new();
        let mut open = vec![from.to_owned()];
        while let Some(next) = open.pop() {
            if reached.insert(next.clone()) {
                open.extend(self.commit(&next)?.parents.iter().cloned());
            }
        }
        Ok(reached)
    }

    pub(super) fn is_ancestor(&self, ancestor: &str, descendant: &str) -> Result<bool, Error> {
        self.commit(ancestor)?;
        Ok(self.reached(descendant)?.contains(ancestor))
    }

    /// The commit where two histories part: one that both reach and that no other such commit reaches.
    fn merge_base(&self, a: &str, b: &str) -> Result<Option<String>, Error> {
        let shared: BTreeSet<String> = self.reached(a)?.intersection(&self.reached(b)?).cloned().collect();
        let mut best: Option<(usize, String)> = None;
        for id in shared {
            let depth = self.reached(&id)?.len();
            if best.as_ref().is_none_or(|(deepest, _)| depth > *deepest) {
                best = Some((depth, id));
            }
        }
        Ok(best.map(|(_, id)| id))
    }

    /// Merges `theirs` into `ours`, whole files at a time.
    pub(super) fn merge(&mut self, ours: &str, theirs: &str, message: &str) -> Result<Commit, Error> {
        let base = match self.merge_base(ours, theirs)? {
            Some(base) => self.files(&base)?.clone(),
            None => Files::new(),
        };
        let mut merged = self.files(ours)?.clone();
        let other = self.files(theirs)?.clone();
        let paths: BTreeSet<&String> = base.keys().chain(other.keys()).collect();
        for path in paths.into_iter().filter(|path| base.get(*path) != other.get(*path)) {
            if merged.get(path) != base.get(path) && merged.get(path) != other.get(path) {
                return Err(conflict(format!("{path} was changed on both sides")));
            }
            match other.get(path) {
                Some(file) => merged.insert(path.clone(), file.clone()),
                None => merged.remove(path),
            };
        }
        Ok(self.add(vec![ours.to_owned(), theirs.to_owned()], merged, message))
    }
}

/// Removes a file, or a folder with all below; whether there was one.
fn remove(files: &mut Files, path: &str) -> bool {
    let before = files.len();
    let prefix = format!("{path}/");
    files.retain(|known, _| known != path && !known.starts_with(&prefix));
    files.len() < before
}

/// The files below a folder, by their paths from there.
fn below(files: &Files, folder: &str) -> Files {
    if folder.is_empty() {
        return files.clone();
    }
    let prefix = format!("{folder}/");
    let within =
        files.iter().filter_map(|(path, file)| Some((path.strip_prefix(&prefix)?.to_owned(), file.clone())));
    within.collect()
}

/// All folders that hold files, at any depth.
fn folders(files: &Files) -> BTreeSet<String> {
    let of = |path: &String| -> Vec<String> {
        path.match_indices('/').filter_map(|(at, _)| path.get(..at).map(str::to_owned)).collect()
    };
    files.keys().flat_map(of).collect()
}

fn check_path(path: &str) -> Result<(), Error> {
    let odd = path.is_empty() || path.split('/').any(|part| matches!(part, "" | "." | ".." | ".git"));
    if odd { Err(invalid(format!("{path:?} is no path in a repository"))) } else { Ok(()) }
}

fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part.as_bytes());
    }
    hex(&hash.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(20).map(|byte| format!("{byte:02x}")).collect()
}

fn blob_id(content: &[u8]) -> String {
    hex(&Sha256::digest(content))
}

fn tree_id(files: &Files) -> String {
    let lines: Vec<String> =
        files.iter().map(|(path, (kind, content))| format!("{kind:?} {} {path}", blob_id(content))).collect();
    digest(&lines.iter().map(String::as_str).collect::<Vec<_>>())
}
