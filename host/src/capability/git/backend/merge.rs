//! Merging and sharing of objects: work between commits, without any remote.

use std::collections::BTreeSet;
use std::io::Write;

use git2::{Index, Oid, Repository};

use super::{local, name, object};
use crate::capability::{CapabilityError, Result};

/// Writes the tree of a three-way merge; with `base` of `ours` and `theirs` relative to that commit alone.
pub(super) fn trees(mirror: &Repository, base: Option<&str>, ours: &str, theirs: &str) -> Result<String> {
    let (ours, theirs) = (object::commit(mirror, ours)?, object::commit(mirror, theirs)?);
    let merged = match base.map(|base| object::commit(mirror, base)).transpose()? {
        None => mirror.merge_commits(&ours, &theirs, None),
        Some(base) => base.tree().and_then(|base| {
            let (ours, theirs) = (ours.tree()?, theirs.tree()?);
            mirror.merge_trees(&base, &ours, &theirs, None)
        }),
    };
    let mut index = merged.map_err(|error| local(&error))?;
    let paths = conflicts(&index)?;
    if paths.is_empty() {
        return index.write_tree_to(mirror).map(|id| id.to_string()).map_err(|error| local(&error));
    }
    let paths = paths.into_iter().collect::<Vec<_>>().join(", ");
    Err(CapabilityError::conflict(format!("{} and {} both change {paths}", ours.id(), theirs.id())))
}

/// Paths on which both sides differ.
fn conflicts(index: &Index) -> Result<BTreeSet<String>> {
    let mut paths = BTreeSet::new();
    if !index.has_conflicts() {
        return Ok(paths);
    }
    for conflict in index.conflicts().map_err(|error| local(&error))? {
        let conflict = conflict.map_err(|error| local(&error))?;
        let entry = conflict.our.or(conflict.their).or(conflict.ancestor);
        paths.extend(entry.map(|entry| String::from_utf8_lossy(&entry.path).into_owned()));
    }
    Ok(paths)
}

/// Copies a commit with all it reaches from one mirror to another, in one pack without what is there already.
pub(super) fn share(from: &Repository, to: &Repository, commit: &str) -> Result<()> {
    let id = name::object_id(commit)?;
    if to.find_commit(id).is_ok() {
        return Ok(());
    }
    from.find_commit(id).map_err(|_| CapabilityError::not_found(format!("commit {commit}")))?;
    pack(from, to, id).map_err(|error| local(&error))
}

fn pack(from: &Repository, to: &Repository, id: Oid) -> std::result::Result<(), git2::Error> {
    let mut walk = from.revwalk()?;
    walk.push(id)?;
    for reference in to.references()? {
        let tip = reference?.peel_to_commit().map(|commit| commit.id());
        if let Some(known) = tip.ok().filter(|known| from.find_commit(*known).is_ok()) {
            walk.hide(known)?;
        }
    }
    let mut builder = from.packbuilder()?;
    builder.insert_walk(&mut walk)?;
    let database = to.odb()?;
    let mut writer = database.packwriter()?;
    let mut failed = None;
    builder.foreach(|chunk| {
        failed = writer.write_all(chunk).err();
        failed.is_none()
    })?;
    if let Some(error) = failed {
        return Err(git2::Error::from_str(&error.to_string()));
    }
    writer.commit().map(drop)
}
