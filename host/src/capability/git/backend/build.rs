//! Building of commits and tags: a tree edited in memory, then objects written to the mirror.
//!
//! Nothing but the arguments enters an id: no clock, no user settings, no order of directories.

use std::collections::BTreeMap;

use git2::{ObjectType, Oid, Repository, TreeBuilder};

use super::super::{Change, Commit, CommitSpec, EntryKind, Identity};
use super::{local, name, object};
use crate::capability::{CapabilityError, Result};

const DIRECTORY: i32 = 0o040_000;

/// Writes the commit.
pub(super) fn commit(mirror: &Repository, spec: &CommitSpec) -> Result<Commit> {
    name::message(&spec.message)?;
    let signature = name::signature(&spec.identity, spec.time)?;
    let carried = spec.author_of.as_deref().map(|commit| object::commit(mirror, commit)).transpose()?;
    let author = carried.as_ref().map(git2::Commit::author);
    let author = author.as_ref().unwrap_or(&signature);
    let parents = parents(mirror, &spec.parents)?;
    let mut root = Directory::on(parents.first().map(git2::Commit::tree_id));
    for change in &spec.changes {
        apply(mirror, &mut root, change)?;
    }
    let write = |tree: Oid| {
        let tree = mirror.find_tree(tree)?;
        let parents: Vec<&git2::Commit<'_>> = parents.iter().collect();
        let buffer = mirror.commit_create_buffer(author, &signature, &spec.message, &tree, &parents)?;
        mirror.odb()?.write(ObjectType::Commit, &buffer)
    };
    let tree = root.write(mirror)?.map_or_else(|| nothing(mirror), Ok)?;
    let id = write(tree).map_err(|error| local(&error))?;
    Ok(object::describe(&mirror.find_commit(id).map_err(|error| local(&error))?))
}

/// The empty tree.
fn nothing(mirror: &Repository) -> Result<Oid> {
    mirror.treebuilder(None).and_then(|tree| tree.write()).map_err(|error| local(&error))
}

/// A tree with entries put (object and mode) and removed.
pub(super) fn edited(
    mirror: &Repository,
    tree: Oid,
    changes: &[(String, Option<(Oid, i32)>)],
) -> Result<Oid> {
    let mut root = Directory::on(Some(tree));
    for (path, entry) in changes {
        let parts = name::inner(path)?;
        match entry {
            Some((id, mode)) => root.put(mirror, &parts, Slot::Entry(*id, *mode))?,
            None => {
                root.remove(mirror, &parts)?;
            }
        }
    }
    root.write(mirror)?.map_or_else(|| nothing(mirror), Ok)
}

fn parents<'m>(mirror: &'m Repository, ids: &[String]) -> Result<Vec<git2::Commit<'m>>> {
    let mut parents: Vec<git2::Commit<'m>> = Vec::new();
    for text in ids {
        let id = name::object_id(text)?;
        if parents.iter().any(|parent| parent.id() == id) {
            return Err(CapabilityError::invalid(format!("{text} is a parent twice")));
        }
        let parent =
            mirror.find_commit(id).map_err(|_| CapabilityError::not_found(format!("commit {text}")))?;
        parents.push(parent);
    }
    Ok(parents)
}

fn apply(mirror: &Repository, root: &mut Directory, change: &Change) -> Result<()> {
    match change {
        Change::Put { path, kind, content } => {
            let parts = name::inner(path)?;
            let mode = match kind {
                EntryKind::File => 0o100_644,
                EntryKind::Executable => 0o100_755,
                EntryKind::Symlink if content.is_empty() || content.contains(&0) => {
                    return Err(CapabilityError::invalid(format!("{path}: a link must lead somewhere")));
                }
                EntryKind::Symlink => 0o120_000,
                EntryKind::Directory | EntryKind::Submodule => {
                    return Err(CapabilityError::invalid(format!("{path}: only files and links can be put")));
                }
            };
            let blob = mirror.blob(content).map_err(|error| local(&error))?;
            root.put(mirror, &parts, Slot::Entry(blob, mode))
        }
        Change::Remove { path } => {
            let parts = name::inner(path)?;
            if root.remove(mirror, &parts)? {
                return Ok(());
            }
            Err(CapabilityError::not_found(format!("{path}: nothing to remove")))
        }
        Change::Graft { path, tree } => {
            let id = name::object_id(tree)?;
            let found =
                mirror.find_tree(id).map_err(|_| CapabilityError::not_found(format!("tree {tree}")))?;
            match name::components(path)?.as_slice() {
                [] => *root = Directory::on(Some(id)),
                _ if found.is_empty() => {
                    return Err(CapabilityError::invalid(format!("{path}: git keeps no empty directories")));
                }
                parts => root.put(mirror, parts, Slot::Entry(id, DIRECTORY))?,
            }
            Ok(())
        }
    }
}

/// A directory being edited: what it was, and what was touched since.
struct Directory {
    base: Option<Oid>,
    touched: BTreeMap<String, Slot>,
}

enum Slot {
    Gone,
    Entry(Oid, i32),
    Below(Directory),
}

impl Directory {
    fn on(base: Option<Oid>) -> Self {
        Self { base, touched: BTreeMap::new() }
    }

    fn entry(&self, mirror: &Repository, name: &str) -> Result<Option<(Oid, i32)>> {
        let Some(base) = self.base else { return Ok(None) };
        let tree = mirror.find_tree(base).map_err(|error| local(&error))?;
        Ok(tree.get_name(name).map(|entry| (entry.id(), entry.filemode())))
    }

    /// The directory `name`; with `create` made when absent. A file or link in its place is a conflict then.
    fn below(&mut self, mirror: &Repository, name: &str, create: bool) -> Result<Option<&mut Self>> {
        let entry = match self.touched.get(name) {
            Some(Slot::Below(_)) => None,
            Some(Slot::Entry(id, mode)) => Some(Some((*id, *mode))),
            Some(Slot::Gone) => Some(None),
            None => Some(self.entry(mirror, name)?),
        };
        let fresh = match entry {
            None => None,
            Some(Some((id, DIRECTORY))) => Some(Self::on(Some(id))),
            Some(None) if create => Some(Self::on(None)),
            Some(Some(_)) if create => {
                return Err(CapabilityError::conflict(format!("{name} is no directory: remove it first")));
            }
            Some(_) => return Ok(None),
        };
        if let Some(fresh) = fresh {
            self.touched.insert(name.to_owned(), Slot::Below(fresh));
        }
        match self.touched.get_mut(name) {
            Some(Slot::Below(directory)) => Ok(Some(directory)),
            _ => Ok(None),
        }
    }

    fn put(&mut self, mirror: &Repository, parts: &[&str], slot: Slot) -> Result<()> {
        match parts {
            [] => Ok(()),
            [name] => {
                self.touched.insert((*name).to_owned(), slot);
                Ok(())
            }
            [name, rest @ ..] => match self.below(mirror, name, true)? {
                Some(directory) => directory.put(mirror, rest, slot),
                None => Ok(()),
            },
        }
    }

    /// Whether there was something to remove.
    fn remove(&mut self, mirror: &Repository, parts: &[&str]) -> Result<bool> {
        match parts {
            [] => Ok(false),
            [name] => {
                let present = match self.touched.get(*name) {
                    Some(Slot::Gone) => false,
                    Some(Slot::Entry(..)) => true,
                    Some(Slot::Below(directory)) => !directory.is_empty(mirror)?,
                    None => self.entry(mirror, name)?.is_some(),
                };
                self.touched.insert((*name).to_owned(), Slot::Gone);
                Ok(present)
            }
            [name, rest @ ..] => match self.below(mirror, name, false)? {
                Some(directory) => directory.remove(mirror, rest),
                None => Ok(false),
            },
        }
    }

    fn is_empty(&self, mirror: &Repository) -> Result<bool> {
        for slot in self.touched.values() {
            match slot {
                Slot::Gone => {}
                Slot::Entry(..) => return Ok(false),
                Slot::Below(directory) if !directory.is_empty(mirror)? => return Ok(false),
                Slot::Below(_) => {}
            }
        }
        let Some(base) = self.base else { return Ok(true) };
        let tree = mirror.find_tree(base).map_err(|error| local(&error))?;
        let untouched = tree.iter().any(|entry| {
            std::str::from_utf8(entry.name_bytes()).map_or(true, |name| !self.touched.contains_key(name))
        });
        Ok(!untouched)
    }

    /// Writes the tree; none when nothing is left in it, for git keeps no empty directories.
    fn write(&self, mirror: &Repository) -> Result<Option<Oid>> {
        let base = self.base.map(|base| mirror.find_tree(base)).transpose().map_err(|error| local(&error))?;
        if self.touched.is_empty() {
            return Ok(base.filter(|tree| !tree.is_empty()).map(|tree| tree.id()));
        }
        let mut tree = mirror.treebuilder(base.as_ref()).map_err(|error| local(&error))?;
        for (name, slot) in &self.touched {
            let entry = match slot {
                Slot::Gone => None,
                Slot::Entry(id, mode) => Some((*id, *mode)),
                Slot::Below(directory) => directory.write(mirror)?.map(|id| (id, DIRECTORY)),
            };
            set(&mut tree, name, entry).map_err(|error| local(&error))?;
        }
        if tree.is_empty() {
            return Ok(None);
        }
        tree.write().map(Some).map_err(|error| local(&error))
    }
}

fn set(
    tree: &mut TreeBuilder<'_>,
    name: &str,
    entry: Option<(Oid, i32)>,
) -> std::result::Result<(), git2::Error> {
    match entry {
        Some((id, mode)) => tree.insert(name, id, mode).map(|_| ()),
        None if tree.get(name)?.is_some() => tree.remove(name),
        None => Ok(()),
    }
}

/// An annotated tag to be built.
pub(super) struct Tag {
    /// With or without `refs/tags/`.
    pub(super) name: String,
    pub(super) commit: String,
    pub(super) message: String,
    pub(super) identity: Identity,
    pub(super) time: i64,
}

/// Writes the tag object.
pub(super) fn tag(mirror: &Repository, tag: &Tag) -> Result<String> {
    let short = tag.name.strip_prefix(name::TAGS).unwrap_or(&tag.name);
    name::reference(&format!("{}{short}", name::TAGS))?;
    name::message(&tag.message)?;
    let tagger = name::signature(&tag.identity, tag.time)?;
    let target = object::commit(mirror, &tag.commit)?;
    mirror
        .tag_annotation_create(short, target.as_object(), &tagger, &tag.message)
        .map(|id| id.to_string())
        .map_err(|error| local(&error))
}
