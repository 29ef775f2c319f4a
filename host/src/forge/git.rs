//! Git work on the bare repositories: revisions, trees, commits, merges, rebases, and the `git` program where it is
//! the better tool (copying objects between repositories).

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use git2::build::TreeUpdateBuilder;
use git2::{
    Buf, Commit, FileMode, Indexer, Mempack, ObjectType, Odb, Oid, Repository, RepositoryInitOptions,
    Signature, Sort, Time, Tree,
};

use super::world::FileSpec;

/// Refuses what the forge decided to refuse: lines `ref TAB kind TAB reason` in the environment.
const UPDATE_HOOK: &str = r#"#!/bin/sh
# ref old new
tab="$(printf '\t')"
printf '%s\n' "$CASTOFF_FORGE_REFUSED" | while IFS="$tab" read -r ref kind why; do
  case "$1" in $ref) ;; *) continue ;; esac
  case "$kind" in
    always) ;;
    unless,*) case "$kind" in *",$3,"*) continue ;; esac ;;
    rewrite)
      case "$2" in *[!0]*) ;; *) continue ;; esac
      case "$3" in *[!0]*) git merge-base --is-ancestor "$2" "$3" && continue ;; *) continue ;; esac ;;
    existing) case "$2" in *[!0]*) ;; *) continue ;; esac ;;
    delete) case "$3" in *[!0]*) continue ;; esac ;;
  esac
  echo "error: GH006: Protected branch update failed for $ref." >&2
  echo "error: $why" >&2
  exit 1
done
"#;

/// Makes an empty bare repository set up as the forge wants it.
pub(crate) fn create(dir: &Path, default_branch: &str) -> Result<Repository, git2::Error> {
    let mut options = RepositoryInitOptions::new();
    options.bare(true).mkpath(true).external_template(false).initial_head(default_branch);
    let repo = Repository::init_opts(dir, &options)?;
    configure(&repo)
        .map_err(|error| git2::Error::from_str(&format!("cannot write the settings: {error}")))?;
    // What was read before the settings were there.
    Repository::open_bare(dir)
}

/// Writes what was held in memory: commits with all they hold into one pack, annotated tags beside it.
pub(crate) fn pack(repo: &Repository, objects: &Odb<'_>, heap: &Mempack<'_>) -> Result<(), git2::Error> {
    let mut pack = Buf::new();
    heap.dump(repo, &mut pack)?;
    // The header alone, when nothing was made.
    if pack.len() > EMPTY_PACK {
        let folder = repo.path().join("objects/pack");
        let mut indexer = Indexer::new(Some(objects), &folder, 0o444, true)?;
        indexer.write_all(&pack).map_err(|error| git2::Error::from_str(&format!("cannot index: {error}")))?;
        indexer.commit()?;
    }
    // Commits alone are dumped. What this handle writes goes to memory: another one writes to disk.
    let disk = Repository::open_bare(repo.path())?;
    let disk = disk.odb()?;
    for target in refs(repo)?.values() {
        let mut id = Oid::from_str(target)?;
        while let Ok(tag) = repo.find_tag(id) {
            disk.write(ObjectType::Tag, objects.read(id)?.data())?;
            id = tag.target_id();
        }
    }
    heap.reset()
}

/// Sets refs to commits, in git's one file for many of them (git-pack-refs(1)). Those it has already are kept.
pub(crate) fn pack_refs(repo: &Repository, fresh: &BTreeMap<String, Oid>) -> Result<(), git2::Error> {
    let file = repo.path().join("packed-refs");
    if fresh.is_empty() {
        return Ok(());
    }
    if file.exists() {
        for (name, id) in fresh {
            repo.reference(name, *id, true, "")?;
        }
        return Ok(());
    }
    let lines = fresh.iter().map(|(name, id)| format!("{id} {name}\n"));
    let text =
        lines.fold("# pack-refs with: peeled fully-peeled sorted \n".to_owned(), |text, line| text + &line);
    std::fs::write(&file, text).map_err(|error| git2::Error::from_str(&format!("packed-refs: {error}")))
}

/// Bytes of a pack without objects: signature, version, count and checksum (gitformat-pack(5)).
const EMPTY_PACK: usize = 32;

/// Settings of a bare repository of the forge, in one piece: git2 writes the whole file once for each. What is pushed stays
/// one file (`unpackLimit`), where a folder an object would cost more than the push.
const SETTINGS: &str = "[http]
\treceivepack = true
[uploadpack]
\tallowFilter = true
\tallowAnySHA1InWant = true
[receive]
\thideRefs = refs/pull
\tdenyDeleteCurrent = refuse
\tautogc = false
\tunpackLimit = 1
[gc]
\tauto = 0
";

fn configure(repo: &Repository) -> std::io::Result<()> {
    let file = repo.path().join("config");
    std::fs::OpenOptions::new().append(true).open(file)?.write_all(SETTINGS.as_bytes())
}

/// Makes the folder with the hooks of all repositories of a forge.
pub(crate) fn write_hooks(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::create_dir_all(folder)?;
    let update = folder.join("update");
    std::fs::write(&update, UPDATE_HOOK)?;
    std::fs::set_permissions(update, std::fs::Permissions::from_mode(0o755))
}

/// The `git` program, free of the operator's settings.
pub(crate) fn program() -> Command {
    static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| {
        crate::capability::process::found(Path::new("git"), &std::env::var_os("PATH").unwrap_or_default())
    });
    let mut command = Command::new(&*PROGRAM);
    command
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .env_remove("GIT_OBJECT_DIRECTORY")
        .stdin(Stdio::null());
    command
}

/// Runs `git` in a bare repository and fails when it does.
pub(crate) fn run(dir: &Path, args: &[&str]) -> Result<Output, git2::Error> {
    let output = program()
        .arg("--git-dir")
        .arg(dir)
        .args(args)
        .output()
        .map_err(|error| git2::Error::from_str(&format!("cannot run git: {error}")))?;
    if output.status.success() {
        return Ok(output);
    }
    Err(git2::Error::from_str(String::from_utf8_lossy(&output.stderr).trim()))
}

/// Copies the objects reachable from `sha` into `to`, and lets `reference` point there.
pub(crate) fn copy(from: &Path, to: &Path, sha: &str, reference: &str) -> Result<(), git2::Error> {
    if from != to {
        let source = from.to_string_lossy();
        run(to, &["fetch", "--quiet", "--no-tags", &source, &format!("+{sha}:{reference}")])?;
        return Ok(());
    }
    Repository::open_bare(to)?.reference(reference, Oid::from_str(sha)?, true, "")?;
    Ok(())
}

/// A signature at a moment, in UTC.
pub(crate) fn signature(
    name: &str,
    email: &str,
    at: DateTime<Utc>,
) -> Result<Signature<'static>, git2::Error> {
    Signature::new(name, email, &Time::new(at.timestamp(), 0))
}

/// The committer of everything made through GitHub's web interface or API merges.
pub(crate) fn web_flow(at: DateTime<Utc>) -> Result<Signature<'static>, git2::Error> {
    signature("GitHub", "noreply@github.com", at)
}

/// The full ref name a short one means, as GitHub looks it up: branch, then tag, then as written.
pub(crate) fn full_ref(repo: &Repository, name: &str) -> Option<String> {
    [format!("refs/heads/{name}"), format!("refs/tags/{name}"), format!("refs/{name}"), name.to_owned()]
        .into_iter()
        .find(|candidate| candidate.starts_with("refs/") && repo.find_reference(candidate).is_ok())
}

/// The commit a branch, tag, ref or (abbreviated) object id means.
pub(crate) fn commit_of<'r>(repo: &'r Repository, spec: &str) -> Option<Commit<'r>> {
    let spec = if spec == "HEAD" { repo.head().ok()?.name().ok()?.to_owned() } else { spec.to_owned() };
    if let Some(full) = full_ref(repo, &spec) {
        return repo.find_reference(&full).ok()?.peel_to_commit().ok();
    }
    if spec.len() < 4 || !spec.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    repo.find_object_by_prefix(&spec, None).ok()?.peel_to_commit().ok()
}

/// The id of a branch's head.
pub(crate) fn branch(repo: &Repository, name: &str) -> Option<Oid> {
    repo.refname_to_id(&format!("refs/heads/{name}")).ok()
}

/// The object with this full id, when it exists and is of that kind.
pub(crate) fn object(repo: &Repository, sha: &str, kind: ObjectType) -> Option<Oid> {
    let id = Oid::from_str(sha).ok().filter(|_| sha.len() == 40)?;
    repo.find_object(id, Some(kind)).ok().map(|object| object.id())
}

/// Branches and tags with the ids they point to.
pub(crate) fn refs(repo: &Repository) -> Result<BTreeMap<String, String>, git2::Error> {
    let mut found = BTreeMap::new();
    for reference in repo.references()? {
        let reference = reference?;
        if let (Ok(name), Some(target)) = (reference.name(), reference.target()) {
            found.insert(name.to_owned(), target.to_string());
        }
    }
    Ok(found)
}

/// The tree of no files.
pub(crate) fn empty_tree(repo: &Repository) -> Result<Tree<'_>, git2::Error> {
    repo.find_tree(repo.treebuilder(None)?.write()?)
}

/// A tree with changes of a world file applied.
pub(crate) fn apply<'r>(
    repo: &'r Repository,
    base: &Tree<'_>,
    files: &BTreeMap<String, FileSpec>,
) -> Result<Tree<'r>, git2::Error> {
    let mut update = TreeUpdateBuilder::new();
    for (path, spec) in files {
        let file = spec.file();
        if file.delete {
            update.remove(path);
            continue;
        }
        let mode = file_mode(file.mode.as_deref().unwrap_or("100644"))
            .ok_or_else(|| git2::Error::from_str(&format!("{path}: unknown mode")))?;
        update.upsert(path.as_str(), repo.blob(file.content.as_bytes())?, mode);
    }
    repo.find_tree(update.create_updated(repo, base)?)
}

/// A tree entry's mode from GitHub's six digits.
pub(crate) fn file_mode(text: &str) -> Option<FileMode> {
    Some(match text {
        "100644" => FileMode::Blob,
        "100755" => FileMode::BlobExecutable,
        "120000" => FileMode::Link,
        "160000" => FileMode::Commit,
        "040000" => FileMode::Tree,
        _ => return None,
    })
}

/// Merges `theirs` into `ours`; none when they conflict.
pub(crate) fn merge_trees(repo: &Repository, ours: Oid, theirs: Oid) -> Result<Option<Oid>, git2::Error> {
    let (ours, theirs) = (repo.find_commit(ours)?, repo.find_commit(theirs)?);
    let mut index = match repo.merge_commits(&ours, &theirs, None) {
        Ok(index) => index,
        Err(error) if error.code() == git2::ErrorCode::MergeConflict => return Ok(None),
        Err(error) => return Err(error),
    };
    if index.has_conflicts() {
        return Ok(None);
    }
    index.write_tree_to(repo).map(Some)
}

/// The commits of `head` that `base` has not, oldest first.
pub(crate) fn range(repo: &Repository, base: Oid, head: Oid) -> Result<Vec<Oid>, git2::Error> {
    let mut walk = repo.revwalk()?;
    walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE)?;
    walk.push(head)?;
    walk.hide(base)?;
    walk.collect()
}

/// Puts the commits of `head` again on top of `base`; none when one conflicts. Merges are left out.
pub(crate) fn rebase(
    repo: &Repository,
    base: Oid,
    head: Oid,
    committer: &Signature<'_>,
) -> Result<Option<Oid>, git2::Error> {
    let mut onto = base;
    for id in range(repo, base, head)? {
        let commit = repo.find_commit(id)?;
        if commit.parent_count() > 1 {
            continue;
        }
        let parent = repo.find_commit(onto)?;
        let mut index = repo.cherrypick_commit(&commit, &parent, 0, None)?;
        if index.has_conflicts() {
            return Ok(None);
        }
        let tree = repo.find_tree(index.write_tree_to(repo)?)?;
        let message = String::from_utf8_lossy(commit.message_raw_bytes()).into_owned();
        onto = repo.commit(None, &commit.author(), committer, &message, &tree, &[&parent])?;
    }
    Ok(Some(onto))
}

/// Whether `ancestor` is `descendant` or one of its ancestors.
pub(crate) fn contains(repo: &Repository, descendant: Oid, ancestor: Oid) -> bool {
    descendant == ancestor || repo.graph_descendant_of(descendant, ancestor).unwrap_or(false)
}
