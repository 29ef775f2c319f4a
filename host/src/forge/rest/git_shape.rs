//! Renders git objects as GitHub's JSON: commits, trees, refs, differences.

use chrono::DateTime;
use git2::{Commit, Delta, Diff, DiffFindOptions, DiffOptions, Oid, Patch, Repository, Tree};
use serde_json::{Value, json};

use super::shape::{api, merge, node, time, user, web};
use crate::forge::reply::encode;
use crate::forge::state::{Repo, State};

fn person(signature: &git2::Signature<'_>) -> Value {
    let at = DateTime::from_timestamp(signature.when().seconds(), 0).unwrap_or_default();
    json!({
        "name": String::from_utf8_lossy(signature.name_bytes()),
        "email": String::from_utf8_lossy(signature.email_bytes()), "date": time(at),
    })
}

fn login_of(state: &State, signature: &git2::Signature<'_>) -> Value {
    let email = String::from_utf8_lossy(signature.email_bytes()).into_owned();
    state
        .accounts
        .values()
        .find(|account| account.email.eq_ignore_ascii_case(&email))
        .map_or(Value::Null, |account| user(state, &account.login))
}

fn verification(commit: &Commit<'_>) -> Value {
    let signature =
        commit.header_field_bytes("gpgsig").ok().map(|raw| String::from_utf8_lossy(&raw).into_owned());
    let reason = if signature.is_some() { "unknown_key" } else { "unsigned" };
    json!({"verified": false, "reason": reason, "signature": signature, "payload": null, "verified_at": null})
}

fn message(commit: &Commit<'_>) -> String {
    String::from_utf8_lossy(commit.message_raw_bytes()).trim_end_matches('\n').to_owned()
}

/// `commit`: a commit as the repository's history shows it.
pub(crate) fn commit(state: &State, repo: &Repo, commit: &Commit<'_>) -> Value {
    let (api, web) = (api(state, repo), web(state, repo));
    let id = commit.id();
    let parents: Vec<Value> = commit
        .parent_ids()
        .map(|p| json!({"sha": p.to_string(), "url": format!("{api}/commits/{p}"), "html_url": format!("{web}/commit/{p}")}))
        .collect();
    json!({
        "sha": id.to_string(), "node_id": node("Commit", id),
        "commit": {
            "author": person(&commit.author()), "committer": person(&commit.committer()),
            "message": message(commit),
            "tree": {"sha": commit.tree_id().to_string(), "url": format!("{api}/git/trees/{}", commit.tree_id())},
            "url": format!("{api}/git/commits/{id}"), "comment_count": 0, "verification": verification(commit),
        },
        "url": format!("{api}/commits/{id}"), "html_url": format!("{web}/commit/{id}"),
        "comments_url": format!("{api}/commits/{id}/comments"), "author": login_of(state, &commit.author()),
        "committer": login_of(state, &commit.committer()), "parents": parents,
    })
}

/// `commit` with `stats` and `files` against its first parent.
pub(crate) fn commit_with_files(
    state: &State,
    repo: &Repo,
    git: &Repository,
    found: &Commit<'_>,
) -> Result<Value, git2::Error> {
    let parent = found.parent(0).ok().map(|parent| parent.tree()).transpose()?;
    let diff = diff(git, parent.as_ref(), &found.tree()?)?;
    let files = files(state, repo, &diff, found.id())?;
    let sum = |name: &str| files.iter().filter_map(|file| file.get(name)?.as_u64()).sum::<u64>();
    let stats =
        json!({"total": sum("changes"), "additions": sum("additions"), "deletions": sum("deletions")});
    let mut value = commit(state, repo, found);
    merge(&mut value, json!({"stats": stats, "files": files}));
    Ok(value)
}

/// `git-commit`: a commit as an object.
pub(crate) fn git_commit(state: &State, repo: &Repo, commit: &Commit<'_>) -> Value {
    let (api, web) = (api(state, repo), web(state, repo));
    let id = commit.id();
    let parents: Vec<Value> = commit
        .parent_ids()
        .map(|p| json!({"sha": p.to_string(), "url": format!("{api}/git/commits/{p}"), "html_url": format!("{web}/commit/{p}")}))
        .collect();
    json!({
        "sha": id.to_string(), "node_id": node("Commit", id), "url": format!("{api}/git/commits/{id}"),
        "html_url": format!("{web}/commit/{id}"), "author": person(&commit.author()),
        "committer": person(&commit.committer()), "message": message(commit),
        "tree": {"sha": commit.tree_id().to_string(), "url": format!("{api}/git/trees/{}", commit.tree_id())},
        "parents": parents, "verification": verification(commit),
    })
}

/// `nullable-simple-commit`: a workflow run's head.
pub(crate) fn simple_commit(commit: &Commit<'_>) -> Value {
    let plain = |signature: &git2::Signature<'_>| {
        json!({
            "name": String::from_utf8_lossy(signature.name_bytes()),
            "email": String::from_utf8_lossy(signature.email_bytes()),
        })
    };
    let at = DateTime::from_timestamp(commit.time().seconds(), 0).unwrap_or_default();
    json!({
        "id": commit.id().to_string(), "tree_id": commit.tree_id().to_string(), "message": message(commit),
        "timestamp": time(at), "author": plain(&commit.author()), "committer": plain(&commit.committer()),
    })
}

/// `git-ref`.
pub(crate) fn git_ref(state: &State, repo: &Repo, git: &Repository, name: &str, target: Oid) -> Value {
    let kind = git
        .find_object(target, None)
        .ok()
        .and_then(|object| object.kind())
        .map_or("commit", |kind| kind.str());
    let api = api(state, repo);
    json!({
        "ref": name, "node_id": node("Ref", format!("{}:{name}", repo.id)),
        "url": format!("{api}/git/{}", encode(name)),
        "object": {"type": kind, "sha": target.to_string(), "url": format!("{api}/git/{kind}s/{target}")},
    })
}

/// `git-tag`.
pub(crate) fn git_tag(state: &State, repo: &Repo, tag: &git2::Tag<'_>) -> Value {
    let api = api(state, repo);
    let kind = tag.target_type().map_or("commit", |kind| kind.str());
    let tagger = tag
        .tagger()
        .map_or_else(|| json!({"name": "", "email": "", "date": "1970-01-01T00:00:00Z"}), |by| person(&by));
    json!({
        "node_id": node("Tag", tag.id()), "sha": tag.id().to_string(), "url": format!("{api}/git/tags/{}", tag.id()),
        "tag": String::from_utf8_lossy(tag.name_bytes()),
        "message": tag.message_bytes().map(|raw| String::from_utf8_lossy(raw).into_owned()).unwrap_or_default(),
        "tagger": tagger,
        "object": {
            "sha": tag.target_id().to_string(), "type": kind,
            "url": format!("{api}/git/{kind}s/{}", tag.target_id()),
        },
        "verification": {
            "verified": false, "reason": "unsigned", "signature": null, "payload": null, "verified_at": null,
        },
    })
}

/// `git-tree`.
pub(crate) fn tree(
    state: &State,
    repo: &Repo,
    git: &Repository,
    tree: &Tree<'_>,
    recursive: bool,
) -> Result<Value, git2::Error> {
    let api = api(state, repo);
    let mut entries = Vec::new();
    walk(git, tree, "", recursive, &api, &mut entries)?;
    Ok(json!({
        "sha": tree.id().to_string(), "url": format!("{api}/git/trees/{}", tree.id()), "tree": entries,
        "truncated": false,
    }))
}

fn walk(
    git: &Repository,
    tree: &Tree<'_>,
    prefix: &str,
    recursive: bool,
    api: &str,
    out: &mut Vec<Value>,
) -> Result<(), git2::Error> {
    for entry in tree {
        let path = format!("{prefix}{}", String::from_utf8_lossy(entry.name_bytes()));
        let kind = entry.kind().map_or("blob", |kind| kind.str());
        let mut value = json!({
            "path": path, "mode": format!("{:06o}", entry.filemode()), "type": kind,
            "sha": entry.id().to_string(),
        });
        match kind {
            "blob" => {
                let size = git.find_blob(entry.id())?.size();
                merge(&mut value, json!({"size": size, "url": format!("{api}/git/blobs/{}", entry.id())}));
            }
            "tree" => merge(&mut value, json!({"url": format!("{api}/git/trees/{}", entry.id())})),
            _ => {}
        }
        out.push(value);
        if recursive && kind == "tree" {
            walk(git, &git.find_tree(entry.id())?, &format!("{path}/"), true, api, out)?;
        }
    }
    Ok(())
}

/// The difference of two trees with renames found, as GitHub shows it.
pub(crate) fn diff<'r>(
    git: &'r Repository,
    old: Option<&Tree<'_>>,
    new: &Tree<'_>,
) -> Result<Diff<'r>, git2::Error> {
    let mut options = DiffOptions::new();
    let mut diff = git.diff_tree_to_tree(old, Some(new), Some(&mut options))?;
    let mut find = DiffFindOptions::new();
    find.renames(true);
    diff.find_similar(Some(&mut find))?;
    Ok(diff)
}

/// The difference between the merge base of two commits and the second.
pub(crate) fn three_dot_diff<'r>(git: &'r Repository, base: Oid, head: Oid) -> Result<Diff<'r>, git2::Error> {
    let old = git.merge_base(base, head).ok().map(|id| git.find_commit(id)?.tree()).transpose()?;
    diff(git, old.as_ref(), &git.find_commit(head)?.tree()?)
}

/// `diff-entry` of every changed file.
pub(crate) fn files(state: &State, repo: &Repo, diff: &Diff<'_>, at: Oid) -> Result<Vec<Value>, git2::Error> {
    let mut found = Vec::new();
    for index in 0..diff.deltas().len() {
        let Some(delta) = diff.get_delta(index) else { continue };
        let patch = Patch::from_diff(diff, index)?;
        found.push(file(state, repo, &delta, patch, at)?);
    }
    Ok(found)
}

fn file(
    state: &State,
    repo: &Repo,
    delta: &git2::DiffDelta<'_>,
    patch: Option<Patch<'_>>,
    at: Oid,
) -> Result<Value, git2::Error> {
    let path = |file: git2::DiffFile<'_>| {
        file.path_bytes().map(|raw| String::from_utf8_lossy(raw).into_owned()).unwrap_or_default()
    };
    let (status, side) = match delta.status() {
        Delta::Added => ("added", delta.new_file()),
        Delta::Deleted => ("removed", delta.old_file()),
        Delta::Renamed => ("renamed", delta.new_file()),
        Delta::Copied => ("copied", delta.new_file()),
        Delta::Typechange => ("changed", delta.new_file()),
        _ => ("modified", delta.new_file()),
    };
    let id = side.id();
    let name = path(side);
    let (additions, deletions, text) = match patch {
        Some(mut patch) => {
            let (_, additions, deletions) = patch.line_stats()?;
            let text = String::from_utf8_lossy(&patch.to_buf()?).into_owned();
            (additions, deletions, text.find("@@ ").and_then(|start| text.get(start..)).map(str::to_owned))
        }
        None => (0, 0, None),
    };
    let (api, web, quoted) = (api(state, repo), web(state, repo), encode(&name));
    let mut value = json!({
        "sha": id.to_string(), "filename": name, "status": status, "additions": additions,
        "deletions": deletions, "changes": additions + deletions,
        "blob_url": format!("{web}/blob/{at}/{quoted}"), "raw_url": format!("{web}/raw/{at}/{quoted}"),
        "contents_url": format!("{api}/contents/{quoted}?ref={at}"),
    });
    if let Some(text) = text {
        merge(&mut value, json!({"patch": text.trim_end_matches('\n')}));
    }
    if matches!(status, "renamed" | "copied") {
        merge(&mut value, json!({"previous_filename": path(delta.old_file())}));
    }
    Ok(value)
}
