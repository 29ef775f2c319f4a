//! The bare mirror of a repository: made, brought up to date and opened.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use git2::{ErrorCode, Repository, RepositoryInitOptions};

use super::super::handles::{Handle, Handles};
use super::program::{Call, Finished};
use super::{Shared, blocking, local, name, object, remote};
use crate::capability::{CapabilityError, Outcome, Result, Slug};

/// Opens the mirror.
pub(super) fn open(handles: &Arc<Handles>, repository: &Slug) -> Result<Handle> {
    handles.open().map_err(|error| match error.code() {
        ErrorCode::NotFound => CapabilityError::invalid(format!("{repository} was not opened")),
        _ => local(&error),
    })
}

/// More refs than these outside git's one file for them make listing them slow.
const LOOSE: usize = 64;

/// Full names of refs with the objects they stand at.
pub(super) type Targets = BTreeMap<String, String>;

/// Makes the mirror hold the branches and tags the remote has now, of which `pushed` were set from here. Returns the remote's
/// default branch where that was told.
pub(super) async fn refresh(
    shared: &Shared,
    handles: &Arc<Handles>,
    repository: &Slug,
    pushed: Targets,
) -> Result<Option<String>> {
    let listing = remote::branches_and_tags(shared, repository).await?;
    let branch = listing.head.as_deref().and_then(remote::branch_of);
    let refs = listing.refs.into_iter().filter(|listed| !listed.name.ends_with("^{}"));
    let wanted: Targets = refs.map(|listed| (listed.name, listed.object)).collect();
    let (path, target, count) = (handles.path(), Arc::clone(handles), wanted.len());
    // The lock keeps other processes with the same cache away until the fetch is over, also when only the fetch is left of
    // this process: the program holds it as well.
    let (lock, settled) = blocking(move || {
        let lock = lock(target.path())?;
        create(target.path())?;
        let mirror = target.open().map_err(|error| local(&error))?;
        // What stands in the way (locks of a killed git) is dealt with when fetching.
        let settled = settle(&mirror, &wanted, &pushed).unwrap_or(false);
        Ok((lock, settled))
    })
    .await?;
    if !settled {
        fetch(shared, path, repository, &lock).await?;
        if count.saturating_sub(packed(path)) > LOOSE {
            pack_references(shared, path, repository, &lock).await?;
        }
    }
    Ok(branch)
}

/// Refs in git's one file for them; none when there is no such file.
fn packed(path: &Path) -> usize {
    let text = std::fs::read(path.join("packed-refs")).unwrap_or_default();
    text.split(|byte| *byte == b'\n').filter(|line| line.first().is_some_and(u8::is_ascii_hexdigit)).count()
}

/// Brings the mirror up to date without a fetch, where what is new was pushed from here: those objects are complete.
/// False where only a fetch will do.
fn settle(mirror: &Repository, wanted: &Targets, pushed: &Targets) -> Result<bool> {
    let present = object::targets(mirror)?;
    let fresh = || wanted.iter().filter(|(name, object)| present.get(*name) != Some(*object));
    if fresh().any(|(name, object)| pushed.get(name) != Some(object)) {
        return Ok(false);
    }
    // First, for a branch that is gone may be in the way of another.
    for name in present.keys().filter(|name| !wanted.contains_key(*name)) {
        mirror.find_reference(name).and_then(|mut gone| gone.delete()).map_err(|error| local(&error))?;
    }
    for (name, object) in fresh() {
        mirror.reference(name, name::object_id(object)?, true, "").map_err(|error| local(&error))?;
    }
    Ok(true)
}

/// Runs git on the mirror under its lock.
async fn exclusively(
    shared: &Shared,
    path: &Path,
    repository: &Slug,
    arguments: Vec<OsString>,
    lock: &File,
) -> Result<Finished> {
    let call = Call {
        directory: path,
        arguments,
        limit: shared.limits.fetch,
        lost: Outcome::Nothing,
        lock: Some(lock),
    };
    let finished = remote::ask(shared, repository, call.clone()).await?;
    if finished.success || !finished.stderr.contains(".lock': File exists") {
        return Ok(finished);
    }
    // Left by a program that was killed: nobody else can be at work under our lock.
    let target = path.to_path_buf();
    blocking(move || remove_stale_locks(&target)).await?;
    remote::ask(shared, repository, call).await
}

async fn fetch(shared: &Shared, path: &Path, repository: &Slug, lock: &File) -> Result<()> {
    let mut arguments = in_mirror(path);
    arguments.extend(
        [
            "fetch",
            "--quiet",
            "--prune",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-auto-maintenance",
            "--recurse-submodules=no",
            "--",
            &remote::address(shared, repository),
            "+refs/heads/*:refs/heads/*",
            "+refs/tags/*:refs/tags/*",
        ]
        .map(OsString::from),
    );
    let finished = exclusively(shared, path, repository, arguments, lock).await?;
    if finished.success { Ok(()) } else { Err(remote::complaint(repository, &finished)) }
}

/// One file instead of thousands, and peeled tags: what makes listing refs quick.
async fn pack_references(shared: &Shared, path: &Path, repository: &Slug, lock: &File) -> Result<()> {
    let mut arguments = in_mirror(path);
    arguments.extend(["pack-refs", "--all"].map(OsString::from));
    let finished = exclusively(shared, path, repository, arguments, lock).await?;
    if finished.success {
        return Ok(());
    }
    Err(CapabilityError::unavailable(format!("{}: {}", path.display(), remote::words(&finished))))
}

/// Arguments that make git work on the mirror and on nothing it might find around it.
pub(super) fn in_mirror(path: &Path) -> Vec<OsString> {
    let mut directory = OsString::from("--git-dir=");
    directory.push(path);
    vec![directory]
}

fn unwritable(path: &Path, error: &std::io::Error) -> CapabilityError {
    CapabilityError::unavailable(format!("{}: {error}", path.display()))
}

fn lock(path: &Path) -> Result<File> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(|error| unwritable(parent, &error))?;
    }
    let path = path.with_extension("lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| unwritable(&path, &error))?;
    file.lock().map_err(|error| unwritable(&path, &error))?;
    Ok(file)
}

/// Makes an empty mirror, unless there is one: whole or not at all.
fn create(path: &Path) -> Result<()> {
    let Some(parent) = path.parent().filter(|_| !path.exists()) else { return Ok(()) };
    let fresh = tempfile::Builder::new()
        .prefix("new-")
        .tempdir_in(parent)
        .map_err(|error| unwritable(parent, &error))?;
    let mut options = RepositoryInitOptions::new();
    // No template: the user's could bring hooks.
    options.bare(true).external_template(false).initial_head("main");
    let mirror = Repository::init_opts(fresh.path(), &options).map_err(|error| local(&error))?;
    let mut config = mirror.config().map_err(|error| local(&error))?;
    // The user's own settings must not change what a diff looks like.
    for (key, value) in [("diff.noprefix", false), ("diff.mnemonicPrefix", false), ("core.ignoreCase", false)]
    {
        config.set_bool(key, value).map_err(|error| local(&error))?;
    }
    let fresh: PathBuf = fresh.keep();
    std::fs::rename(&fresh, path).map_err(|error| unwritable(path, &error))
}

/// Removes git's lock files from a mirror. No ref can end in `.lock`.
fn remove_stale_locks(path: &Path) -> Result<()> {
    let mut directories = vec![path.to_path_buf()];
    while let Some(directory) = directories.pop() {
        let entries = std::fs::read_dir(&directory).map_err(|error| unwritable(&directory, &error))?;
        for entry in entries.filter_map(std::result::Result::ok) {
            let (file, top) = (entry.path(), directory == path);
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_directory && (!top || entry.file_name() == "refs") {
                directories.push(file);
            } else if !is_directory && file.extension().is_some_and(|extension| extension == "lock") {
                std::fs::remove_file(&file).map_err(|error| unwritable(&file, &error))?;
            }
        }
    }
    Ok(())
}
