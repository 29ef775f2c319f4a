//! Reads of the mirror: refs, commits, walks, trees, blobs and diffs.

use std::collections::{BTreeMap, HashSet};

use git2::{
    DiffFormat, DiffLineType, DiffOptions, ErrorCode, ObjectType, Oid, Repository, Revwalk, Sort, Tree,
};

use super::super::{Commit, EntryKind, Reference, TreeEntry};
use super::name::Revision;
use super::{local, name};
use crate::capability::{CapabilityError, Result};

/// Branches and tags with what they name, annotated tags not peeled.
pub(super) fn targets(mirror: &Repository) -> Result<BTreeMap<String, String>> {
    let mut targets = BTreeMap::new();
    for reference in mirror.references().map_err(|error| local(&error))? {
        let reference = reference.map_err(|error| local(&error))?;
        let full = String::from_utf8_lossy(reference.name_bytes()).into_owned();
        if let Some(object) = reference.target() {
            targets.insert(full, object.to_string());
        }
    }
    Ok(targets)
}

/// Branches and tags, sorted by name. A tag with no commit behind it (of a tree or a blob) is none of ours.
pub(super) fn references(mirror: &Repository) -> Result<Vec<Reference>> {
    let mut found = Vec::new();
    for reference in mirror.references().map_err(|error| local(&error))? {
        let reference = reference.map_err(|error| local(&error))?;
        let full = String::from_utf8_lossy(reference.name_bytes()).into_owned();
        let Some(object) = reference.target() else { continue };
        if let Some(commit) = peel(mirror, reference.target_peel().unwrap_or(object))? {
            found.push(Reference { name: full, object: object.to_string(), commit: commit.to_string() });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// The commit behind an object.
fn peel(mirror: &Repository, id: Oid) -> Result<Option<Oid>> {
    let object = match mirror.find_object(id, None) {
        Ok(object) => object,
        Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
        Err(error) => return Err(local(&error)),
    };
    Ok(object.peel_to_commit().ok().map(|commit| commit.id()))
}

/// The commit a revision names, if there is one.
pub(super) fn find_commit<'m>(mirror: &'m Repository, revision: &str) -> Result<Option<git2::Commit<'m>>> {
    let id = match name::revision(revision)? {
        Revision::Name(name) => match mirror.refname_to_id(&name) {
            Ok(id) => Some(id),
            Err(error) if error.code() == ErrorCode::NotFound => None,
            Err(error) => return Err(local(&error)),
        },
        Revision::Id(id) => Some(id),
        Revision::Prefix(prefix) => expand(mirror, &prefix)?,
    };
    let Some(id) = id.map(|id| peel(mirror, id)).transpose()?.flatten() else { return Ok(None) };
    mirror.find_commit(id).map(Some).map_err(|error| local(&error))
}

/// The one commit or tag whose id begins so.
fn expand(mirror: &Repository, prefix: &str) -> Result<Option<Oid>> {
    match mirror.find_object_by_prefix(prefix, None) {
        Ok(object) => return Ok(Some(object.id())),
        Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
        Err(error) if error.code() != ErrorCode::Ambiguous => return Err(local(&error)),
        Err(_) => {}
    }
    // As git does: trees and blobs do not make an abbreviation ambiguous where a commit is asked for.
    let database = mirror.odb().map_err(|error| local(&error))?;
    let mut candidates = Vec::new();
    database
        .foreach(|id| {
            if id.to_string().starts_with(prefix) {
                candidates.push(*id);
            }
            true
        })
        .map_err(|error| local(&error))?;
    candidates
        .retain(|id| matches!(database.read_header(*id), Ok((_, ObjectType::Commit | ObjectType::Tag))));
    candidates.sort_unstable();
    candidates.dedup();
    match candidates.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(*one)),
        _ => Err(CapabilityError::invalid(format!(
            "{prefix} is ambiguous: {} commits begin so",
            candidates.len()
        ))),
    }
}

/// The commit a revision names, which must exist.
pub(super) fn commit<'m>(mirror: &'m Repository, revision: &str) -> Result<git2::Commit<'m>> {
    find_commit(mirror, revision)?.ok_or_else(|| CapabilityError::not_found(format!("commit {revision}")))
}

/// The plain form of a commit.
pub(super) fn describe(commit: &git2::Commit<'_>) -> Commit {
    Commit {
        id: commit.id().to_string(),
        tree: commit.tree_id().to_string(),
        parents: commit.parent_ids().map(|id| id.to_string()).collect(),
        message: String::from_utf8_lossy(commit.message_bytes()).into_owned(),
        author: String::from_utf8_lossy(commit.author().name_bytes()).into_owned(),
        time: commit.time().seconds(),
    }
}

/// First parents from `to`, down to but without `since` or, when that is no first parent, whatever it reaches.
pub(super) fn first_parents(
    mirror: &Repository,
    since: Option<&str>,
    to: &str,
    limit: usize,
) -> Result<Vec<Commit>> {
    let since = since.map(|since| commit(mirror, since)).transpose()?.map(|commit| commit.id());
    let mut next = Some(commit(mirror, to)?);
    let mut chain: Vec<Commit> = Vec::new();
    while let Some(here) = next {
        if Some(here.id()) == since {
            return Ok(chain);
        }
        if chain.len() == limit {
            break;
        }
        chain.push(describe(&here));
        next = match here.parent_count() {
            0 => None,
            _ => Some(here.parent(0).map_err(|error| local(&error))?),
        };
    }
    if let Some(since) = since {
        let fresh = not_reached_from(mirror, since, to)?;
        let end = chain.iter().position(|commit| !fresh.contains(&commit.id)).unwrap_or(chain.len());
        chain.truncate(end);
    }
    Ok(chain)
}

fn not_reached_from(mirror: &Repository, since: Oid, to: &str) -> Result<HashSet<String>> {
    walk(mirror, Some(since), commit(mirror, to)?.id())?
        .map(|id| id.map(|id| id.to_string()).map_err(|error| local(&error)))
        .collect()
}

fn walk(mirror: &Repository, since: Option<Oid>, to: Oid) -> Result<Revwalk<'_>> {
    let build = || {
        let mut walk = mirror.revwalk()?;
        walk.set_sorting(Sort::TOPOLOGICAL | Sort::TIME)?;
        walk.push(to)?;
        if let Some(since) = since {
            walk.hide(since)?;
        }
        Ok(walk)
    };
    build().map_err(|error: git2::Error| local(&error))
}

/// Commits reached from `to` and not from `since`.
pub(super) fn log(mirror: &Repository, since: Option<&str>, to: &str, limit: usize) -> Result<Vec<Commit>> {
    let since = since.map(|since| commit(mirror, since)).transpose()?.map(|commit| commit.id());
    walk(mirror, since, commit(mirror, to)?.id())?
        .take(limit)
        .map(|id| {
            let found = id.and_then(|id| mirror.find_commit(id)).map_err(|error| local(&error))?;
            Ok(describe(&found))
        })
        .collect()
}

/// Best common ancestor.
pub(super) fn merge_base(mirror: &Repository, a: &str, b: &str) -> Result<Option<String>> {
    match mirror.merge_base(commit(mirror, a)?.id(), commit(mirror, b)?.id()) {
        Ok(id) => Ok(Some(id.to_string())),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(local(&error)),
    }
}

/// Whether `ancestor` is `descendant` or reached from it.
pub(super) fn is_ancestor(mirror: &Repository, ancestor: &str, descendant: &str) -> Result<bool> {
    let (ancestor, descendant) = (commit(mirror, ancestor)?.id(), commit(mirror, descendant)?.id());
    Ok(ancestor == descendant
        || mirror.graph_descendant_of(descendant, ancestor).map_err(|error| local(&error))?)
}

/// Follows components from a tree; no entry, or something else than a directory on the way, is none.
fn entry_at(
    mirror: &Repository,
    tree: &Tree<'_>,
    parts: &[&str],
) -> Result<Option<git2::TreeEntry<'static>>> {
    let Some((last, directories)) = parts.split_last() else { return Ok(None) };
    let mut here = tree.id();
    for part in directories {
        let tree = mirror.find_tree(here).map_err(|error| local(&error))?;
        match tree.get_name(part).filter(|entry| entry.kind() == Some(ObjectType::Tree)) {
            Some(entry) => here = entry.id(),
            None => return Ok(None),
        }
    }
    let tree = mirror.find_tree(here).map_err(|error| local(&error))?;
    Ok(tree.get_name(last).map(|entry| entry.to_owned()))
}

/// Bytes of a file or text of a link.
pub(super) fn read(mirror: &Repository, revision: &str, path: &str, limit: usize) -> Result<Option<Vec<u8>>> {
    let parts = name::inner(path)?;
    let tree = commit(mirror, revision)?.tree().map_err(|error| local(&error))?;
    let blob = entry_at(mirror, &tree, &parts)?.filter(|entry| entry.kind() == Some(ObjectType::Blob));
    let Some(entry) = blob else { return Ok(None) };
    let database = mirror.odb().map_err(|error| local(&error))?;
    let (size, _) = database.read_header(entry.id()).map_err(|error| local(&error))?;
    if size > limit {
        return Err(CapabilityError::invalid(format!("{path} has {size} bytes, more than {limit}")));
    }
    let blob = mirror.find_blob(entry.id()).map_err(|error| local(&error))?;
    Ok(Some(blob.content().to_vec()))
}

fn kind(mode: i32) -> EntryKind {
    match mode {
        0o040_000 => EntryKind::Directory,
        0o120_000 => EntryKind::Symlink,
        0o160_000 => EntryKind::Submodule,
        mode if mode & 0o100 != 0 => EntryKind::Executable,
        _ => EntryKind::File,
    }
}

/// Entries below a path.
pub(super) fn entries(
    mirror: &Repository,
    revision: &str,
    path: &str,
    recursive: bool,
) -> Result<Vec<TreeEntry>> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let parts = name::components(path)?;
    let root = commit(mirror, revision)?.tree().map_err(|error| local(&error))?;
    let top = if parts.is_empty() {
        root.id()
    } else {
        entry_at(mirror, &root, &parts)?
            .filter(|entry| entry.kind() == Some(ObjectType::Tree))
            .map(|entry| entry.id())
            .ok_or_else(|| CapabilityError::not_found(format!("directory {path} at {revision}")))?
    };
    let mut found = Vec::new();
    let mut directories = vec![(path.to_owned(), top)];
    while let Some((above, id)) = directories.pop() {
        let tree = mirror.find_tree(id).map_err(|error| local(&error))?;
        for entry in tree.iter() {
            let name = String::from_utf8_lossy(entry.name_bytes());
            let path = if above.is_empty() { name.into_owned() } else { format!("{above}/{name}") };
            let kind = kind(entry.filemode());
            match kind {
                EntryKind::Directory if recursive => directories.push((path, entry.id())),
                EntryKind::Submodule if recursive => {}
                _ => found.push(TreeEntry { path, kind, id: entry.id().to_string() }),
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// Unified diff without rename detection: what it shows depends on the two trees only.
pub(super) fn diff(mirror: &Repository, a: &str, b: &str, paths: &[String], limit: usize) -> Result<String> {
    let mut options = DiffOptions::new();
    options.disable_pathspec_match(true).id_abbrev(40).old_prefix("a").new_prefix("b").context_lines(3);
    for path in paths {
        let path = path.strip_suffix('/').unwrap_or(path);
        name::inner(path)?;
        options.pathspec(path);
    }
    let old = commit(mirror, a)?.tree().map_err(|error| local(&error))?;
    let new = commit(mirror, b)?.tree().map_err(|error| local(&error))?;
    let diff = mirror
        .diff_tree_to_tree(Some(&old), Some(&new), Some(&mut options))
        .map_err(|error| local(&error))?;
    let mut text = Vec::new();
    let mut full = false;
    let printed = diff.print(DiffFormat::Patch, |_, _, line| {
        if matches!(
            line.origin_value(),
            DiffLineType::Context | DiffLineType::Addition | DiffLineType::Deletion
        ) {
            text.extend(u8::try_from(line.origin()));
        }
        text.extend_from_slice(line.content());
        full = text.len() > limit;
        !full
    });
    if full {
        return Err(CapabilityError::invalid(format!("the diff has more than {limit} bytes")));
    }
    printed.map_err(|error| local(&error))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
