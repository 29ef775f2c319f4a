//! Files through the API: reading, writing, deleting, raw bytes.

use std::path::Path;

use base64::Engine as _;
use git2::build::TreeUpdateBuilder;
use git2::{FileMode, ObjectType, Repository, Tree};
use serde_json::{Value, json};

use super::git_shape;
use super::shape::{api, merge, web};
use crate::forge::git;
use crate::forge::guard::{self, Change};
use crate::forge::reply::{Call, Outcome, Reply, encode, required, text};
use crate::forge::state::{Repo, State};

/// Base64 in lines of 60 characters, as GitHub answers it.
pub(crate) fn wrapped(bytes: &[u8]) -> String {
    let packed = base64::engine::general_purpose::STANDARD.encode(bytes);
    let mut out = String::with_capacity(packed.len() + packed.len() / 60 + 1);
    for (index, c) in packed.chars().enumerate() {
        out.push(c);
        if index % 60 == 59 {
            out.push('\n');
        }
    }
    if !out.is_empty() && !out.ends_with('\n') {
        out.push('\n');
    }
    out
}

/// `GET contents/{path}`: a file, a symbolic link or a directory's entries.
pub(crate) fn get(state: &State, call: &Call, key: &str, path: &str) -> Outcome {
    let repo = state.repo(key)?;
    let git = repo.git()?;
    let reference = call.param("ref").unwrap_or_else(|| repo.default_branch.clone());
    let commit = git::commit_of(&git, &reference)
        .ok_or_else(|| Reply::error(404, &format!("No commit found for the ref {reference}")))?;
    let tree = commit.tree()?;
    if path.is_empty() {
        return Ok(Reply::json(200, &directory(state, repo, &git, &tree, "", &reference)?));
    }
    let entry = tree.get_path(Path::new(path)).map_err(|_| Reply::not_found())?;
    if entry.kind() == Some(ObjectType::Tree) {
        let inner = git.find_tree(entry.id())?;
        return Ok(Reply::json(200, &directory(state, repo, &git, &inner, path, &reference)?));
    }
    let mut value = listing(state, repo, &git, &entry, path, &reference);
    if entry.kind() != Some(ObjectType::Blob) {
        merge(&mut value, json!({"type": "submodule", "submodule_git_url": web(state, repo)}));
        return Ok(Reply::json(200, &value));
    }
    let blob = git.find_blob(entry.id())?;
    if call.header("accept").contains("raw") {
        return Ok(Reply::bytes(
            200,
            "application/vnd.github.raw+json; charset=utf-8",
            blob.content().to_vec(),
        ));
    }
    if entry.filemode() == i32::from(FileMode::Link) {
        let target = String::from_utf8_lossy(blob.content()).into_owned();
        merge(&mut value, json!({"type": "symlink", "target": target}));
    } else if blob.size() <= 1_000_000 {
        merge(&mut value, json!({"encoding": "base64", "content": wrapped(blob.content())}));
    } else {
        // Larger files come without their bytes: the blobs operation has them.
        merge(&mut value, json!({"encoding": "none", "content": ""}));
    }
    Ok(Reply::json(200, &value))
}

fn directory(
    state: &State,
    repo: &Repo,
    git: &Repository,
    tree: &Tree<'_>,
    path: &str,
    reference: &str,
) -> Result<Value, Reply> {
    let mut found = Vec::new();
    for entry in tree {
        let name = String::from_utf8_lossy(entry.name_bytes()).into_owned();
        let inner = if path.is_empty() { name } else { format!("{path}/{name}") };
        found.push(listing(state, repo, git, &entry, &inner, reference));
    }
    Ok(Value::Array(found))
}

fn listing(
    state: &State,
    repo: &Repo,
    git: &Repository,
    entry: &git2::TreeEntry<'_>,
    path: &str,
    reference: &str,
) -> Value {
    let (api, web, quoted) = (api(state, repo), web(state, repo), encode(path));
    let is_tree = entry.kind() == Some(ObjectType::Tree);
    let (kind, git_kind, web_kind) = if is_tree {
        ("dir", "trees", "tree")
    } else if entry.filemode() == i32::from(FileMode::Link) {
        ("symlink", "blobs", "blob")
    } else if entry.kind() == Some(ObjectType::Commit) {
        ("submodule", "trees", "tree")
    } else {
        ("file", "blobs", "blob")
    };
    let size = git.find_blob(entry.id()).map_or(0, |blob| blob.size());
    let url = format!("{api}/contents/{quoted}?ref={}", encode(reference));
    let git_url = format!("{api}/git/{git_kind}/{}", entry.id());
    let html = format!("{web}/{web_kind}/{}/{quoted}", encode(reference));
    let download = (git_kind == "blobs").then(|| format!("{web}/raw/{}/{quoted}", encode(reference)));
    json!({
        "name": path.rsplit('/').next().unwrap_or(path), "path": path, "sha": entry.id().to_string(),
        "size": size, "url": url, "html_url": html, "git_url": git_url, "download_url": download, "type": kind,
        "_links": {"self": url, "git": git_url, "html": html},
    })
}

/// `PUT contents/{path}` and `DELETE contents/{path}`.
pub(crate) fn put(state: &State, call: &Call, key: &str, path: &str) -> Outcome {
    let body = call.json()?;
    let deletes = call.method == "DELETE";
    let message = required(&body, "Commit", "message").map_err(|_| missing("message"))?;
    let repo = state.repo(key)?;
    let git = repo.git()?;
    let branch = text(&body, "branch").unwrap_or_else(|| repo.default_branch.clone());
    let head = git::branch(&git, &branch);
    let fresh = head.is_none() && git.is_empty()? && branch == repo.default_branch;
    if head.is_none() && !fresh {
        return Err(Reply::error(404, &format!("Branch {branch} not found")));
    }
    let parent = head.map(|id| git.find_commit(id)).transpose()?;
    let base = match &parent {
        Some(commit) => commit.tree()?,
        None => git::empty_tree(&git)?,
    };
    let old = base.get_path(Path::new(path)).ok().filter(|entry| entry.kind() == Some(ObjectType::Blob));
    check_sha(path, text(&body, "sha"), old.as_ref(), deletes)?;
    let full = format!("refs/heads/{branch}");
    if let Some(why) = guard::refusal(state, repo, call.user.as_deref(), &full, Change::Update, None) {
        return Err(conflict(&format!("Could not update file: {why}")));
    }
    let mut update = TreeUpdateBuilder::new();
    if deletes {
        update.remove(path);
    } else {
        let content = body.get("content").and_then(Value::as_str).ok_or_else(|| missing("content"))?;
        let mode = old.as_ref().map_or(FileMode::Blob, |entry| match entry.filemode() {
            0o100_755 => FileMode::BlobExecutable,
            0o120_000 => FileMode::Link,
            _ => FileMode::Blob,
        });
        update.upsert(path, git.blob(&super::git_data::base64(content)?)?, mode);
    }
    let tree = update
        .create_updated(&git, &base)
        .map_err(|_| Reply::unprocessable("path contains a malformed path component"))?;
    let committer = match body.get("committer") {
        Some(Value::Object(_)) => super::git_data::identity(state, call, body.get("committer"), None)?,
        _ => git::web_flow(state.now())?,
    };
    let author = super::git_data::identity(state, call, body.get("author"), None)?;
    let parents: Vec<&git2::Commit<'_>> = parent.iter().collect();
    let id = git.commit(Some(&full), &author, &committer, message, &git.find_tree(tree)?, &parents)?;
    let commit = git.find_commit(id)?;
    let content = commit
        .tree()?
        .get_path(Path::new(path))
        .map_or(Value::Null, |entry| listing(state, repo, &git, &entry, path, &branch));
    let status = if old.is_some() || deletes { 200 } else { 201 };
    let value = json!({"content": content, "commit": git_shape::git_commit(state, repo, &commit)});
    Ok(Reply::json(status, &value))
}

fn missing(field: &str) -> Reply {
    Reply::unprocessable(&format!("Invalid request.\n\n\"{field}\" wasn't supplied."))
}

/// A 409. GitHub describes it as exactly one of a plain error and a rule violation, and only `metadata` tells them
/// apart: without any it is a plain error.
fn conflict(why: &str) -> Reply {
    let body = json!({
        "message": why, "documentation_url": "https://docs.github.com/rest/repos/contents", "status": "409",
        "metadata": null,
    });
    Reply::json(409, &body)
}

/// A change has to name the blob it replaces: none or a wrong one is a lost update.
fn check_sha(
    path: &str,
    given: Option<String>,
    old: Option<&git2::TreeEntry<'_>>,
    deletes: bool,
) -> Result<(), Reply> {
    match (given, old) {
        (None, None) if !deletes => Ok(()),
        (Some(_), None) if !deletes => Ok(()),
        (_, None) => Err(Reply::not_found()),
        (None, Some(_)) => Err(missing("sha")),
        (Some(given), Some(old)) if old.id().to_string() == given => Ok(()),
        (Some(given), Some(_)) => Err(conflict(&format!("{path} does not match {given}"))),
    }
}

/// The bytes of a file: what `raw.githubusercontent.com` and `/raw/` serve.
pub(crate) fn raw(state: &State, key: &str, rest: &[&str]) -> Outcome {
    let repo = state.repo(key)?;
    let git = repo.git()?;
    // A ref may hold slashes: the shortest prefix that is a ref wins.
    for split in 1..rest.len() {
        let (reference, path) = rest.split_at(split);
        let Some(commit) = git::commit_of(&git, &reference.join("/")) else { continue };
        let tree = commit.tree()?;
        let Ok(entry) = tree.get_path(Path::new(&path.join("/"))) else { continue };
        if let Ok(blob) = git.find_blob(entry.id()) {
            return Ok(Reply::bytes(200, "text/plain; charset=utf-8", blob.content().to_vec()));
        }
    }
    Err(Reply::text(404, "404: Not Found"))
}
