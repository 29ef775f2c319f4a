//! One commit put on another tree. Where every path was changed by one side alone, and nothing can have been renamed, trees
//! are edited here; whatever needs judgement is left to `git merge-tree`, the very program whose rebase this stands for. No
//! work tree is written.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use git2::{ErrorCode, ObjectType, Oid, Repository, Signature, Time, Tree};

use super::super::rebase::{ConflictedPath, Pick, Picked};
use super::mirror::in_mirror;
use super::program::Call;
use super::{GitBackend, build, local, name, object, remote};
use crate::capability::{CapabilityError, Outcome, Result, Slug};

/// A merge of two trees of Kubernetes takes a second.
const LIMIT: Duration = Duration::from_secs(300);
/// A larger text is nothing for an editor.
const LARGEST: usize = 4 << 20;
const DIRECTORY: i32 = 0o040_000;

/// A blob, link, submodule or tree at a path.
type Entry = (Oid, i32);

/// Puts a commit on another tree.
pub(super) async fn pick(backend: &GitBackend, repository: &Slug, pick: &Pick) -> Result<Picked> {
    let wanted = pick.clone();
    if let Some(tree) = backend.on_mirror(repository, move |mirror| exact(mirror, &wanted)).await? {
        return Ok(Picked::Tree(tree.to_string()));
    }
    let wanted = pick.clone();
    let sides = backend.on_mirror(repository, move |mirror| sides(mirror, &wanted)).await?;
    let path = backend.mirror(repository);
    let mut arguments = in_mirror(&path);
    arguments.extend(["merge-tree", "--write-tree", "-z", "--no-messages"].map(OsString::from));
    arguments.extend(sides.iter().map(|side| OsString::from(side.to_string())));
    let call = Call { directory: &path, arguments, limit: LIMIT, lost: Outcome::Nothing, lock: None };
    let finished = backend.shared.program.run(call).await?;
    let Some(listing) = Listing::parse(&finished.stdout) else {
        return Err(CapabilityError::unavailable(format!("git merge-tree: {}", remote::words(&finished))));
    };
    let wanted = pick.clone();
    backend.on_mirror(repository, move |mirror| settle(mirror, &wanted, sides, &listing)).await
}

fn look(tree: &Tree<'_>, path: &str) -> Result<Option<Entry>> {
    match tree.get_path(Path::new(path)) {
        Ok(entry) => Ok(Some((entry.id(), entry.filemode()))),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(local(&error)),
    }
}

fn tree_of<'m>(mirror: &'m Repository, commit: &str) -> Result<Tree<'m>> {
    object::commit(mirror, commit)?.tree().map_err(|error| local(&error))
}

/// The tree, where no path needs judgement.
fn exact(mirror: &Repository, pick: &Pick) -> Result<Option<Oid>> {
    let [base, ours, theirs] = [&pick.base, &pick.ours, &pick.theirs].map(|commit| tree_of(mirror, commit));
    let (base, ours, theirs) = (base?, ours?, theirs?);
    let diff = mirror.diff_tree_to_tree(Some(&base), Some(&theirs), None).map_err(|error| local(&error))?;
    let mut paths = BTreeSet::new();
    for delta in diff.deltas() {
        for path in [delta.old_file().path_bytes(), delta.new_file().path_bytes()].into_iter().flatten() {
            let Ok(path) = std::str::from_utf8(path) else { return Ok(None) };
            paths.insert(path.to_owned());
        }
    }
    let (mut adds, mut removes, mut changes) = (false, false, Vec::new());
    for path in paths {
        let (before, after, mine) = (look(&base, &path)?, look(&theirs, &path)?, look(&ours, &path)?);
        adds |= before.is_none();
        removes |= after.is_none();
        if mine == after {
            continue;
        }
        let directory = mine.is_some_and(|(_, mode)| mode == DIRECTORY);
        let kept = mine == before && !(before.is_none() && displaced(&base, &ours, &path)?);
        let deleted = after.is_none() && pick.deletions_win && !directory;
        if !(kept || deleted) {
            return Ok(None);
        }
        changes.push((path, after));
    }
    // What was added may be what was removed, by another name.
    if adds && removes {
        return Ok(None);
    }
    build::edited(mirror, ours.id(), &changes).map(Some)
}

/// Whether a folder above the path went away or became something else on our side.
fn displaced(base: &Tree<'_>, ours: &Tree<'_>, path: &str) -> Result<bool> {
    let is_folder = |entry: Option<Entry>| entry.is_some_and(|(_, mode)| mode == DIRECTORY);
    for (at, _) in path.match_indices('/') {
        let folder = path.get(..at).unwrap_or_default();
        let (before, mine) = (look(base, folder)?, look(ours, folder)?);
        if !is_folder(mine) && (mine.is_some() || is_folder(before)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Two commits whose merge base is the picked commit's parent: our tree on that parent, and the picked commit itself.
fn sides(mirror: &Repository, pick: &Pick) -> Result<[Oid; 2]> {
    let base = object::commit(mirror, &pick.base)?;
    let on_base = |commit: &str| -> Result<Oid> {
        let found = object::commit(mirror, commit)?;
        if found.parent_count() == 1 && found.parent_id(0).is_ok_and(|parent| parent == base.id()) {
            return Ok(found.id());
        }
        let write = || {
            let nobody = Signature::new("castoff", "castoff", &Time::new(0, 0))?;
            let buffer = mirror.commit_create_buffer(&nobody, &nobody, "side", &found.tree()?, &[&base])?;
            mirror.odb()?.write(ObjectType::Commit, &buffer)
        };
        write().map_err(|error| local(&error))
    };
    Ok([on_base(&pick.ours)?, on_base(&pick.theirs)?])
}

/// What `git merge-tree` says: the tree, and the entries of conflicted paths by stage (1 base, 2 ours, 3 theirs).
#[derive(Debug, Default)]
struct Listing {
    tree: String,
    paths: BTreeMap<String, BTreeMap<u8, Entry>>,
}

impl Listing {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('\0');
        let tree = parts.next()?.trim().to_owned();
        name::object_id(&tree).ok()?;
        let mut paths: BTreeMap<String, BTreeMap<u8, Entry>> = BTreeMap::new();
        for part in parts.take_while(|part| !part.is_empty()) {
            let (head, path) = part.split_once('\t')?;
            let [mode, id, stage] = head.split(' ').collect::<Vec<_>>().try_into().ok()?;
            let entry = (Oid::from_str(id).ok()?, i32::from_str_radix(mode, 8).ok()?);
            paths.entry(path.to_owned()).or_default().insert(stage.parse().ok()?, entry);
        }
        Some(Self { tree, paths })
    }
}

/// Takes in what is settled; names the rest.
fn settle(mirror: &Repository, pick: &Pick, sides: [Oid; 2], listing: &Listing) -> Result<Picked> {
    let merged = mirror.find_tree(name::object_id(&listing.tree)?).map_err(|error| local(&error))?;
    let (mut changes, mut open) = (Vec::new(), Vec::new());
    for (path, stages) in &listing.paths {
        let settled = pick.settled.iter().find(|(settled, _)| settled == path).map(|(_, content)| content);
        let deleted = stages.contains_key(&2) && !stages.contains_key(&3);
        match settled {
            Some(None) => changes.push((path.clone(), None)),
            Some(Some(content)) => {
                let blob = mirror.blob(content).map_err(|error| local(&error))?;
                let mode = [3, 2, 1].iter().find_map(|stage| stages.get(stage)).map(|(_, mode)| *mode);
                changes.push((path.clone(), Some((blob, mode.unwrap_or(0o100_644)))));
            }
            None if deleted && pick.deletions_win => changes.push((path.clone(), None)),
            None => open.push(ConflictedPath {
                path: path.clone(),
                reason: reason(stages).to_owned(),
                content: content(mirror, look(&merged, path)?, stages, sides)?,
            }),
        }
    }
    if open.is_empty() {
        return build::edited(mirror, merged.id(), &changes).map(|tree| Picked::Tree(tree.to_string()));
    }
    Ok(Picked::Conflicts(open))
}

fn reason(stages: &BTreeMap<u8, Entry>) -> &'static str {
    match [1, 2, 3].map(|stage| stages.contains_key(&stage)) {
        [true, true, true] => "both sides changed it",
        [true, true, false] => "the carried commit deletes it, the new base changed it",
        [true, false, true] => "the new base deleted it, the carried commit changes it",
        [false, true, true] => "both sides added it",
        _ => "one side renamed it, or made something else of it",
    }
}

/// The text that a person settles, with markers that say which side is which.
fn content(
    mirror: &Repository,
    merged: Option<Entry>,
    stages: &BTreeMap<u8, Entry>,
    [ours, theirs]: [Oid; 2],
) -> Result<Option<Vec<u8>>> {
    let entry = merged.or_else(|| [3, 2, 1].iter().find_map(|stage| stages.get(stage)).copied());
    let Some((id, _)) = entry.filter(|(_, mode)| *mode != DIRECTORY && *mode != 0o160_000) else {
        return Ok(None);
    };
    let blob = mirror.find_blob(id).map_err(|error| local(&error))?;
    if blob.size() > LARGEST || blob.is_binary() {
        return Ok(None);
    }
    let Ok(text) = std::str::from_utf8(blob.content()) else { return Ok(None) };
    let labels =
        [("<<<<<<< ", ours.to_string(), "new base"), (">>>>>>> ", theirs.to_string(), "carried commit")];
    let line = |line: &str| {
        let label = labels
            .iter()
            .find(|(mark, id, _)| line.strip_prefix(mark).is_some_and(|rest| rest.starts_with(id.as_str())));
        label.map_or_else(|| line.to_owned(), |(_, id, name)| line.replacen(id.as_str(), name, 1))
    };
    Ok(Some(text.split_inclusive('\n').map(line).collect::<String>().into_bytes()))
}
