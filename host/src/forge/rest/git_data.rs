//! The git data operations: refs, blobs, trees, commits and tags, straight on the object database.

use base64::Engine as _;
use chrono::{DateTime, FixedOffset};
use git2::build::TreeUpdateBuilder;
use git2::{ObjectType, Oid, Repository, Signature, Time};
use serde_json::{Value, json};

use super::git_shape;
use super::page;
use crate::forge::git;
use crate::forge::guard::{self, Change};
use crate::forge::reply::{Call, Outcome, Reply, flag, required, text};
use crate::forge::state::State;

/// `GET git/ref/{ref}`.
pub(crate) fn get_ref(state: &State, key: &str, name: &str) -> Outcome {
    let repo = state.repo(key)?;
    let git = repo.git()?;
    let full = format!("refs/{name}");
    let id = git.refname_to_id(&full).map_err(|_| Reply::not_found())?;
    Ok(Reply::json(200, &git_shape::git_ref(state, repo, &git, &full, id)))
}

/// `GET git/matching-refs/{ref}`, and `GET git/refs` with an empty prefix.
pub(crate) fn matching_refs(state: &State, call: &Call, key: &str, prefix: &str) -> Outcome {
    let repo = state.repo(key)?;
    let git = repo.git()?;
    let prefix = format!("refs/{prefix}");
    let found: Vec<(String, String)> =
        git::refs(&git)?.into_iter().filter(|(name, _)| name.starts_with(&prefix)).collect();
    Ok(page::list(&state.url, call, &found, |(name, id)| {
        git_shape::git_ref(state, repo, &git, name, Oid::from_str(id).unwrap_or(Oid::ZERO_SHA1))
    }))
}

/// `POST git/refs`.
pub(crate) fn create_ref(state: &State, call: &Call, key: &str) -> Outcome {
    let body = call.json()?;
    let name = required(&body, "Reference", "ref").map_err(|_| needs("ref"))?;
    let sha = required(&body, "Reference", "sha").map_err(|_| needs("sha"))?;
    if !name.starts_with("refs/") || name.matches('/').count() < 2 || !git2::Reference::is_valid_name(name) {
        return Err(Reply::unprocessable(&format!("{name} is not a valid ref name")));
    }
    let repo = state.repo(key)?;
    let git = repo.git()?;
    let id = existing(&git, sha)?;
    if name.starts_with("refs/heads/") && git.find_commit(id).is_err() {
        return Err(Reply::unprocessable("Reference update failed"));
    }
    if git.find_reference(name).is_ok() {
        return Err(Reply::unprocessable("Reference already exists"));
    }
    guard::allow(state, repo, call, name, Change::Create, Some(sha))?;
    git.reference(name, id, false, "").map_err(|_| Reply::unprocessable("Reference update failed"))?;
    let place = format!("{}/git/{name}", super::shape::api(state, repo));
    Ok(Reply::json(201, &git_shape::git_ref(state, repo, &git, name, id)).with("location", place))
}

fn needs(field: &str) -> Reply {
    Reply::unprocessable(&format!("Invalid request.\n\n\"{field}\" wasn't supplied."))
}

/// The id of an object named in full, whatever its kind.
fn existing(git: &Repository, sha: &str) -> Result<Oid, Reply> {
    let id = Oid::from_str(sha).ok().filter(|_| sha.len() == 40);
    let id = id.ok_or_else(|| {
        Reply::unprocessable("The sha parameter must be exactly 40 characters and contain only [0-9a-f].")
    })?;
    git.find_object(id, None)
        .map(|object| object.id())
        .map_err(|_| Reply::unprocessable("Object does not exist"))
}

/// `PATCH git/refs/{ref}`.
pub(crate) fn update_ref(state: &State, call: &Call, key: &str, name: &str) -> Outcome {
    let body = call.json()?;
    let sha = required(&body, "Reference", "sha").map_err(|_| needs("sha"))?;
    let force = flag(&body, "force").unwrap_or(false);
    let repo = state.repo(key)?;
    let git = repo.git()?;
    let full = format!("refs/{name}");
    let id = existing(&git, sha)?;
    let old = git.refname_to_id(&full).map_err(|_| Reply::unprocessable("Reference does not exist"))?;
    let rewrites = !git::contains(&git, id, old);
    if rewrites && !force {
        return Err(Reply::unprocessable("Update is not a fast forward"));
    }
    let change = if rewrites { Change::Rewrite } else { Change::Update };
    if old != id {
        guard::allow(state, repo, call, &full, change, Some(sha))?;
        git.reference(&full, id, true, "")?;
    }
    Ok(Reply::json(200, &git_shape::git_ref(state, repo, &git, &full, id)))
}

/// `DELETE git/refs/{ref}`.
pub(crate) fn delete_ref(state: &State, call: &Call, key: &str, name: &str) -> Outcome {
    let repo = state.repo(key)?;
    let git = repo.git()?;
    let full = format!("refs/{name}");
    let mut found =
        git.find_reference(&full).map_err(|_| Reply::unprocessable("Reference does not exist"))?;
    if full == format!("refs/heads/{}", repo.default_branch) {
        return Err(Reply::unprocessable("Cannot delete the default branch"));
    }
    guard::allow(state, repo, call, &full, Change::Delete, None)?;
    found.delete()?;
    Ok(Reply::empty(204))
}

/// `POST git/blobs`.
pub(crate) fn create_blob(state: &State, call: &Call, key: &str) -> Outcome {
    let body = call.json()?;
    let content = body
        .get("content")
        .and_then(Value::as_str)
        .ok_or_else(|| Reply::invalid("Blob", "content", "missing_field", None))?;
    let bytes = match text(&body, "encoding").as_deref() {
        None | Some("utf-8") => content.as_bytes().to_vec(),
        Some("base64") => base64(content)?,
        Some(_) => return Err(Reply::invalid("Blob", "encoding", "invalid", None)),
    };
    let repo = state.repo(key)?;
    let id = repo.git()?.blob(&bytes)?;
    let url = format!("{}/git/blobs/{id}", super::shape::api(state, repo));
    Ok(Reply::json(201, &json!({"sha": id.to_string(), "url": url})).with("location", url))
}

/// Decodes base64 with or without line breaks and padding.
pub(crate) fn base64(content: &str) -> Result<Vec<u8>, Reply> {
    let packed: String =
        content.chars().filter(|c| !c.is_whitespace()).collect::<String>().trim_end_matches('=').to_owned();
    base64::engine::general_purpose::STANDARD_NO_PAD
        .decode(packed)
        .map_err(|_| Reply::unprocessable("content is not valid Base64"))
}

/// `GET git/blobs/{sha}`.
pub(crate) fn get_blob(state: &State, key: &str, sha: &str) -> Outcome {
    let repo = state.repo(key)?;
    let git = repo.git()?;
    let id = git::object(&git, sha, ObjectType::Blob).ok_or_else(Reply::not_found)?;
    let blob = git.find_blob(id)?;
    Ok(Reply::json(
        200,
        &json!({
            "sha": sha, "node_id": super::shape::node("Blob", sha), "size": blob.size(), "encoding": "base64",
            "url": format!("{}/git/blobs/{sha}", super::shape::api(state, repo)),
            "content": super::content::wrapped(blob.content()),
        }),
    ))
}

/// `POST git/trees`.
pub(crate) fn create_tree(state: &State, call: &Call, key: &str) -> Outcome {
    let body = call.json()?;
    let entries = body
        .get("tree")
        .and_then(Value::as_array)
        .ok_or_else(|| Reply::invalid("Tree", "tree", "missing_field", None))?;
    let repo = state.repo(key)?;
    let git = repo.git()?;
    let base = match text(&body, "base_tree") {
        Some(sha) => Oid::from_str(&sha)
            .and_then(|id| git.find_object(id, None)?.peel_to_tree())
            .map_err(|_| Reply::not_found())?,
        None => git::empty_tree(&git)?,
    };
    let mut update = TreeUpdateBuilder::new();
    let mut changed = false;
    for entry in entries {
        changed |= tree_entry(&git, &base, entry, &mut update)?;
    }
    let id = if changed {
        update.create_updated(&git, &base).map_err(|_| Reply::unprocessable("GitRPC::BadObjectState"))?
    } else {
        base.id()
    };
    let tree = git.find_tree(id)?;
    Ok(Reply::json(201, &git_shape::tree(state, repo, &git, &tree, false)?))
}

/// Adds one entry to the update; false when it changes nothing (removal of what is not there is an error).
fn tree_entry(
    git: &Repository,
    base: &git2::Tree<'_>,
    entry: &Value,
    update: &mut TreeUpdateBuilder,
) -> Result<bool, Reply> {
    let path = required(entry, "Tree", "path")?;
    let odd =
        |part: &str| part.is_empty() || part == "." || part == ".." || part.eq_ignore_ascii_case(".git");
    if path.split('/').any(odd) {
        return Err(Reply::unprocessable("tree.path contains a malformed path component"));
    }
    if entry.get("sha").is_some_and(Value::is_null) {
        if base.get_path(std::path::Path::new(path)).is_err() {
            return Err(Reply::unprocessable("GitRPC::BadObjectState"));
        }
        update.remove(path);
        return Ok(true);
    }
    let mode = text(entry, "mode").unwrap_or_else(|| "100644".into());
    let mode = git::file_mode(&mode).ok_or_else(|| {
        Reply::unprocessable("Must supply a valid tree.mode: 100644, 100755, 040000, 160000 or 120000")
    })?;
    let id = match (text(entry, "sha"), text(entry, "content")) {
        (Some(_), Some(_)) => {
            return Err(Reply::unprocessable("Must supply either tree.sha or tree.content, but not both."));
        }
        (Some(sha), None) if mode == git2::FileMode::Commit => {
            Oid::from_str(&sha).map_err(|_| Reply::unprocessable("tree.sha is not a valid Git object"))?
        }
        (Some(sha), None) => existing_entry(git, &sha, mode)?,
        (None, Some(content)) => git.blob(content.as_bytes())?,
        (None, None) => return Err(Reply::unprocessable("Must supply either tree.sha or tree.content.")),
    };
    update.upsert(path, id, mode);
    Ok(true)
}

fn existing_entry(git: &Repository, sha: &str, mode: git2::FileMode) -> Result<Oid, Reply> {
    let kind = if mode == git2::FileMode::Tree { ObjectType::Tree } else { ObjectType::Blob };
    git::object(git, sha, kind)
        .ok_or_else(|| Reply::unprocessable(&format!("tree.sha {sha} is not a valid {kind}")))
}

/// `GET git/trees/{tree_sha}`.
pub(crate) fn get_tree(state: &State, call: &Call, key: &str, sha: &str) -> Outcome {
    let repo = state.repo(key)?;
    let git = repo.git()?;
    let id = git::object(&git, sha, ObjectType::Tree)
        .or_else(|| git::commit_of(&git, sha).map(|commit| commit.tree_id()))
        .ok_or_else(Reply::not_found)?;
    let tree = git.find_tree(id)?;
    Ok(Reply::json(200, &git_shape::tree(state, repo, &git, &tree, call.param("recursive").is_some())?))
}

/// `POST git/commits`.
pub(crate) fn create_commit(state: &State, call: &Call, key: &str) -> Outcome {
    let body = call.json()?;
    let message = body
        .get("message")
        .and_then(Value::as_str)
        .ok_or_else(|| Reply::invalid("Commit", "message", "missing_field", None))?;
    let tree = required(&body, "Commit", "tree")?;
    let repo = state.repo(key)?;
    let git = repo.git()?;
    let tree = git::object(&git, tree, ObjectType::Tree)
        .ok_or_else(|| Reply::unprocessable("Tree SHA does not exist"))?;
    let mut parents = Vec::new();
    for sha in crate::forge::reply::strings(&body, "parents").unwrap_or_default() {
        let id = git::object(&git, &sha, ObjectType::Commit)
            .ok_or_else(|| Reply::unprocessable("Parent SHA does not exist or is not a commit object"))?;
        parents.push(git.find_commit(id)?);
    }
    let author = identity(state, call, body.get("author"), None)?;
    let committer = identity(state, call, body.get("committer"), Some(&author))?;
    let buffer = git.commit_create_buffer(
        &author,
        &committer,
        message,
        &git.find_tree(tree)?,
        &parents.iter().collect::<Vec<_>>(),
    )?;
    let id = match text(&body, "signature") {
        Some(signature) => git.commit_signed(&String::from_utf8_lossy(&buffer), &signature, None)?,
        None => git.odb()?.write(ObjectType::Commit, &buffer)?,
    };
    let value = git_shape::git_commit(state, repo, &git.find_commit(id)?);
    let place = format!("{}/git/commits/{id}", super::shape::api(state, repo));
    Ok(Reply::json(201, &value).with("location", place))
}

/// An identity of a request's body: absent fields come from `fallback` or the account that asks.
pub(crate) fn identity(
    state: &State,
    call: &Call,
    given: Option<&Value>,
    fallback: Option<&Signature<'static>>,
) -> Result<Signature<'static>, Reply> {
    if let (None | Some(Value::Null), Some(fallback)) = (given, fallback) {
        return Ok(fallback.clone());
    }
    let account = call.user.as_deref().and_then(|login| state.account(login));
    let field = |name: &str| given.and_then(|given| text(given, name));
    let name = field("name").or_else(|| account.map(|account| account.name.clone())).unwrap_or_default();
    let email = field("email").or_else(|| account.map(|account| account.email.clone())).unwrap_or_default();
    let when = match field("date") {
        Some(date) => {
            let date = DateTime::<FixedOffset>::parse_from_rfc3339(&date)
                .map_err(|_| Reply::unprocessable("date is not a valid ISO 8601 timestamp"))?;
            Time::new(date.timestamp(), date.offset().local_minus_utc() / 60)
        }
        None => Time::new(state.now().timestamp(), 0),
    };
    Signature::new(&name, &email, &when).map_err(|_| Reply::unprocessable("name and email must be given"))
}

/// `GET git/commits/{commit_sha}`.
pub(crate) fn get_commit(state: &State, key: &str, sha: &str) -> Outcome {
    let repo = state.repo(key)?;
    let git = repo.git()?;
    let id = git::object(&git, sha, ObjectType::Commit).ok_or_else(Reply::not_found)?;
    Ok(Reply::json(200, &git_shape::git_commit(state, repo, &git.find_commit(id)?)))
}

/// `POST git/tags`: the object only, as on GitHub; the ref is a second request.
pub(crate) fn create_tag(state: &State, call: &Call, key: &str) -> Outcome {
    let body = call.json()?;
    let name = required(&body, "Tag", "tag")?;
    let message = body
        .get("message")
        .and_then(Value::as_str)
        .ok_or_else(|| Reply::invalid("Tag", "message", "missing_field", None))?;
    let sha = required(&body, "Tag", "object")?;
    let kind = required(&body, "Tag", "type")?;
    let repo = state.repo(key)?;
    let git = repo.git()?;
    let kind = ObjectType::from_str(kind).ok_or_else(|| Reply::invalid("Tag", "type", "invalid", None))?;
    let id = git::object(&git, sha, kind)
        .ok_or_else(|| Reply::unprocessable("Could not resolve object: no such object of that type"))?;
    if !git2::Reference::is_valid_name(&format!("refs/tags/{name}")) {
        return Err(Reply::unprocessable(&format!("{name} is not a valid tag name")));
    }
    let tagger = identity(state, call, body.get("tagger"), None)?;
    let tag = git.tag_annotation_create(name, &git.find_object(id, Some(kind))?, &tagger, message)?;
    let value = git_shape::git_tag(state, repo, &git.find_tag(tag)?);
    let place = format!("{}/git/tags/{tag}", super::shape::api(state, repo));
    Ok(Reply::json(201, &value).with("location", place))
}

/// `GET git/tags/{tag_sha}`.
pub(crate) fn get_tag(state: &State, key: &str, sha: &str) -> Outcome {
    let repo = state.repo(key)?;
    let git = repo.git()?;
    let id = git::object(&git, sha, ObjectType::Tag).ok_or_else(Reply::not_found)?;
    Ok(Reply::json(200, &git_shape::git_tag(state, repo, &git.find_tag(id)?)))
}
