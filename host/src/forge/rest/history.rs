//! History: lists of commits, one commit, comparisons, the pull requests of a commit.

use git2::{Commit, Oid, Repository, Sort};
use serde_json::{Value, json};

use super::page::{self, Page};
use super::shape::{api, web};
use super::{git_shape, shape};
use crate::forge::git;
use crate::forge::reply::{Call, Outcome, Reply, encode};
use crate::forge::state::{Repo, State};

/// Files a comparison shows at most, as on GitHub.
const MAX_FILES: usize = 300;

/// `GET commits`.
pub(crate) fn list(state: &State, call: &Call, key: &str) -> Outcome {
    let repo = state.repo(key)?;
    let git = repo.git()?;
    if git.is_empty()? {
        return Err(Reply::error(409, "Git Repository is empty."));
    }
    let start = call.param("sha").unwrap_or_else(|| repo.default_branch.clone());
    let head = git::commit_of(&git, &start).ok_or_else(Reply::not_found)?;
    let moment = |name: &str| {
        call.param(name)
            .and_then(|at| chrono::DateTime::parse_from_rfc3339(&at).ok())
            .map(|at| at.timestamp())
    };
    let (since, until) = (moment("since"), moment("until"));
    let (path, author) = (call.param("path"), call.param("author"));
    let mut walk = git.revwalk()?;
    walk.set_sorting(Sort::TIME | Sort::TOPOLOGICAL)?;
    walk.push(head.id())?;
    let mut found = Vec::new();
    for id in walk {
        let commit = git.find_commit(id?)?;
        let at = commit.time().seconds();
        let fits = since.is_none_or(|since| at >= since)
            && until.is_none_or(|until| at <= until)
            && author.as_deref().is_none_or(|author| by(state, &commit, author))
            && path.as_deref().is_none_or(|path| touches(&commit, path));
        if fits {
            found.push(commit.id());
        }
    }
    Ok(page::list(&state.url, call, &found, |id| rendered(state, repo, &git, *id)))
}

fn rendered(state: &State, repo: &Repo, git: &Repository, id: Oid) -> Value {
    git.find_commit(id).map_or(Value::Null, |commit| git_shape::commit(state, repo, &commit))
}

fn by(state: &State, commit: &Commit<'_>, author: &str) -> bool {
    let email = String::from_utf8_lossy(commit.author().email_bytes()).to_lowercase();
    email == author.to_lowercase()
        || state.account(author).is_some_and(|account| account.email.to_lowercase() == email)
}

/// Whether the commit changed a path against its first parent (and, for a merge, against all parents).
fn touches(commit: &Commit<'_>, path: &str) -> bool {
    let at = |commit: &Commit<'_>| {
        let tree = commit.tree().ok()?;
        tree.get_path(std::path::Path::new(path)).ok().map(|entry| entry.id())
    };
    let mine = at(commit);
    if commit.parent_count() == 0 {
        return mine.is_some();
    }
    commit.parents().all(|parent| at(&parent) != mine)
}

/// `GET commits/{ref}`; the media types `sha` and `diff` answer with text.
pub(crate) fn get(state: &State, call: &Call, key: &str, name: &str) -> Outcome {
    let repo = state.repo(key)?;
    let git = repo.git()?;
    let commit = resolve(&git, name)?;
    if call.header("accept").contains("vnd.github.sha") || call.header("accept").contains(".sha") {
        return Ok(Reply::text(200, &commit.id().to_string()));
    }
    Ok(Reply::json(200, &git_shape::commit_with_files(state, repo, &git, &commit)?))
}

/// The commit a path names, or GitHub's 422.
pub(crate) fn resolve<'r>(git: &'r Repository, name: &str) -> Result<Commit<'r>, Reply> {
    git::commit_of(git, name).ok_or_else(|| Reply::unprocessable(&format!("No commit found for SHA: {name}")))
}

/// `GET commits/{sha}/pulls`: merged pull requests that brought the commit, and open ones that hold it.
pub(crate) fn pulls(state: &State, call: &Call, key: &str, sha: &str) -> Outcome {
    let repo = state.repo(key)?;
    let git = repo.git()?;
    let commit = resolve(&git, sha)?;
    let mut found = Vec::new();
    for issue in repo.issues.values() {
        if let Some(pull) = &issue.pull
            && holds(&git, pull, commit.id())
        {
            found.push(issue.number);
        }
    }
    Ok(page::list(&state.url, call, &found, |number| {
        repo.pull(*number).map_or(Value::Null, |(issue, pull)| {
            shape::pull_simple(state, repo, issue, pull, call.user.as_deref())
        })
    }))
}

fn holds(git: &Repository, pull: &crate::forge::state::Pull, commit: Oid) -> bool {
    if pull.merged_at.is_some() && pull.merge_commit.as_deref() == Some(&commit.to_string()) {
        return true;
    }
    let (Ok(base), Ok(head)) = (Oid::from_str(&pull.base_sha), Oid::from_str(&pull.head_sha)) else {
        return false;
    };
    git::contains(git, head, commit) && !git::contains(git, base, commit)
}

/// `GET compare/{base}...{head}`; either side may be `owner:branch` of a fork.
pub(crate) fn compare(state: &State, call: &Call, key: &str, basehead: &str) -> Outcome {
    let repo = state.repo(key)?;
    let (base, head) = basehead.split_once("...").ok_or_else(Reply::not_found)?;
    let git = repo.git()?;
    let (base_id, head_id) = (side(state, repo, &git, base)?, side(state, repo, &git, head)?);
    let merge_base = git
        .merge_base(base_id, head_id)
        .map_err(|_| Reply::error(404, &format!("No common ancestor between {base} and {head}.")))?;
    let (ahead, behind) = git.graph_ahead_behind(head_id, base_id)?;
    let status = match (ahead, behind) {
        (0, 0) => "identical",
        (_, 0) => "ahead",
        (0, _) => "behind",
        _ => "diverged",
    };
    let commits = git::range(&git, base_id, head_id)?;
    // Without paging GitHub shows at most 250 commits.
    let paged = call.param("page").is_some() || call.param("per_page").is_some();
    let page = Page::of(call);
    let shown =
        if paged { page.slice(&commits) } else { commits.get(..commits.len().min(250)).unwrap_or(&[]) };
    let diff = git_shape::three_dot_diff(&git, base_id, head_id)?;
    let mut files = git_shape::files(state, repo, &diff, head_id)?;
    files.truncate(MAX_FILES);
    let quoted = encode(basehead);
    let html = format!("{}/compare/{quoted}", web(state, repo));
    let mut value = json!({
        "url": format!("{}/compare/{quoted}", api(state, repo)), "html_url": html,
        "permalink_url": format!("{}/compare/{base_id}...{head_id}", web(state, repo)),
        "diff_url": format!("{html}.diff"), "patch_url": format!("{html}.patch"),
        "base_commit": rendered(state, repo, &git, base_id),
        "merge_base_commit": rendered(state, repo, &git, merge_base),
        "status": status, "ahead_by": ahead, "behind_by": behind, "total_commits": commits.len(),
        "commits": shown.iter().map(|id| rendered(state, repo, &git, *id)).collect::<Vec<_>>(),
    });
    if call.number("page").unwrap_or(1) <= 1 {
        shape::merge(&mut value, json!({"files": files}));
    }
    let reply = Reply::json(200, &value);
    Ok(if paged { page::linked(reply, page, &state.url, call, commits.len()) } else { reply })
}

/// A side of a comparison; objects of a fork are copied over first, as GitHub shares them.
fn side(state: &State, repo: &Repo, git: &Repository, spec: &str) -> Result<Oid, Reply> {
    let Some((owner, name)) = spec.split_once(':') else {
        return git::commit_of(git, spec).map(|commit| commit.id()).ok_or_else(Reply::not_found);
    };
    let other = super::pull::head_repository(state, repo, owner).ok_or_else(Reply::not_found)?;
    let id = git::commit_of(&*other.git()?, name).map(|commit| commit.id()).ok_or_else(Reply::not_found)?;
    if git.find_commit(id).is_err() {
        git::run(
            &repo.dir,
            &["fetch", "--quiet", "--no-tags", &other.dir.to_string_lossy(), &id.to_string()],
        )?;
    }
    Ok(id)
}
