//! Merging pull requests: real three-way merges, squashes and rebases, with GitHub's refusals.

use git2::{Oid, Repository, Signature};
use serde_json::json;

use crate::forge::git;
use crate::forge::guard;
use crate::forge::reply::{Call, Outcome, Reply, text};
use crate::forge::state::{Issue, Pull, State};
use crate::forge::world::{AccountKind, MergeMethod};

/// How a pull request is to be merged.
#[derive(Debug, Clone, Default)]
pub(crate) struct Order {
    pub(crate) method: MergeMethod,
    /// The head the caller has seen.
    pub(crate) sha: Option<String>,
    pub(crate) title: Option<String>,
    pub(crate) message: Option<String>,
}

/// `PUT pulls/{number}/merge`.
pub(crate) fn put(state: &mut State, call: &Call, key: &str, number: u64, login: &str) -> Outcome {
    let body = call.json()?;
    let method = match text(&body, "merge_method").as_deref() {
        None | Some("merge") => MergeMethod::Merge,
        Some("squash") => MergeMethod::Squash,
        Some("rebase") => MergeMethod::Rebase,
        Some(_) => return Err(Reply::invalid("PullRequest", "merge_method", "invalid", None)),
    };
    let order = Order {
        method,
        sha: text(&body, "sha"),
        title: text(&body, "commit_title"),
        message: text(&body, "commit_message"),
    };
    let sha = perform(state, key, number, login, &order)?;
    let body = json!({"sha": sha, "merged": true, "message": "Pull Request successfully merged"});
    Ok(Reply::json(200, &body))
}

/// `GET pulls/{number}/merge`: 204 when merged.
pub(crate) fn get(state: &State, key: &str, number: u64) -> Outcome {
    let (_, pull) = state.repo(key)?.pull(number)?;
    if pull.merged_at.is_some() { Ok(Reply::empty(204)) } else { Err(Reply::not_found()) }
}

/// Merges a pull request and moves its base branch.
pub(crate) fn perform(
    state: &mut State,
    key: &str,
    number: u64,
    login: &str,
    order: &Order,
) -> Result<String, Reply> {
    let repo = state.repo(key)?.clone();
    let git = repo.git()?;
    let (issue, pull) = repo.pull(number)?;
    check(state, &repo, &git, issue, pull, login, order)?;
    let base = git::branch(&git, &pull.base).ok_or_else(|| refused("Base branch was deleted"))?;
    let head = Oid::from_str(&pull.head_sha)?;
    let merged = merge(state, &git, issue, pull, login, order, (base, head), &repo.owner)?
        .ok_or_else(|| refused("Pull Request is not mergeable"))?;
    git.reference(&format!("refs/heads/{}", pull.base), merged, true, "")?;
    mark(state, key, number, login, &merged.to_string(), &base.to_string())?;
    Ok(merged.to_string())
}

fn refused(why: &str) -> Reply {
    Reply::error(405, why)
}

fn check(
    state: &State,
    repo: &crate::forge::state::Repo,
    git: &Repository,
    issue: &Issue,
    pull: &Pull,
    login: &str,
    order: &Order,
) -> Result<(), Reply> {
    if !issue.open {
        return Err(refused("Pull Request is not mergeable"));
    }
    if pull.draft {
        return Err(refused("Pull Request is still a draft"));
    }
    if let Some(sha) = &order.sha
        && *sha != pull.head_sha
    {
        return Err(Reply::error(409, "Head branch was modified. Review and try the merge again."));
    }
    if git.find_commit(Oid::from_str(&pull.head_sha)?).is_err() {
        return Err(refused("Pull Request is not mergeable"));
    }
    let linear = repo.guard(&pull.base).is_some_and(|guard| guard.linear_history);
    if linear && order.method == MergeMethod::Merge {
        return Err(refused("This branch requires a linear history: merge commits are not allowed."));
    }
    match guard::merge_refusal(state, repo, issue, pull, Some(login)) {
        Some(why) => Err(refused(&why)),
        None => Ok(()),
    }
}

/// Marks a pull request as merged by `login` through commit `sha`, its base having been at `base` before.
pub(crate) fn mark(
    state: &mut State,
    key: &str,
    number: u64,
    login: &str,
    sha: &str,
    base: &str,
) -> Result<(), Reply> {
    let now = state.now();
    let issue = state.repo_mut(key)?.issue_mut(number)?;
    issue.open = false;
    issue.closed_at = Some(now);
    issue.updated_at = now;
    issue.closed_by = Some(login.to_owned());
    if let Some(pull) = &mut issue.pull {
        pull.merged_at = Some(now);
        pull.merged_by = Some(login.to_owned());
        pull.merge_commit = Some(sha.to_owned());
        base.clone_into(&mut pull.base_sha);
    }
    let git = state.repo(key)?.git()?;
    if let Ok(mut hidden) = git.find_reference(&format!("refs/pull/{number}/merge")) {
        hidden.delete()?;
    }
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "one place makes the three kinds of merge")]
fn merge(
    state: &mut State,
    git: &Repository,
    issue: &Issue,
    pull: &Pull,
    login: &str,
    order: &Order,
    (base, head): (Oid, Oid),
    owner: &str,
) -> Result<Option<Oid>, Reply> {
    let now = state.now();
    let committer = git::web_flow(now)?;
    let merger = state.ensure_account(login, AccountKind::User);
    if order.method == MergeMethod::Rebase {
        return Ok(git::rebase(git, base, head, &committer)?);
    }
    let Some(tree) = git::merge_trees(git, base, head)? else { return Ok(None) };
    let tree = git.find_tree(tree)?;
    let (base_commit, head_commit) = (git.find_commit(base)?, git.find_commit(head)?);
    if order.method == MergeMethod::Squash {
        let author = state.ensure_account(&issue.user, AccountKind::User);
        let author = git::signature(&author.name, &author.email, now)?;
        let message = squash_message(git, issue, order, base, head)?;
        return Ok(Some(git.commit(None, &author, &committer, &message, &tree, &[&base_commit])?));
    }
    let author: Signature<'static> = git::signature(&merger.name, &merger.email, now)?;
    let from = if pull.head_owner.is_empty() { owner } else { &pull.head_owner };
    let title = order
        .title
        .clone()
        .unwrap_or_else(|| format!("Merge pull request #{} from {from}/{}", issue.number, pull.head));
    let message = join(&title, order.message.as_deref().unwrap_or(&issue.title));
    let parents = [&base_commit, &head_commit];
    Ok(Some(git.commit(None, &author, &committer, &message, &tree, &parents)?))
}

fn join(title: &str, message: &str) -> String {
    if message.is_empty() { title.to_owned() } else { format!("{title}\n\n{message}") }
}

/// GitHub's defaults: one commit lends its message, several are listed.
fn squash_message(
    git: &Repository,
    issue: &Issue,
    order: &Order,
    base: Oid,
    head: Oid,
) -> Result<String, git2::Error> {
    let commits = git::range(git, base, head)?;
    let mut messages = Vec::new();
    for id in &commits {
        let commit = git.find_commit(*id)?;
        messages.push(String::from_utf8_lossy(commit.message_raw_bytes()).trim().to_owned());
    }
    let (title, text) = match messages.as_slice() {
        [one] => {
            let (subject, rest) = one.split_once('\n').unwrap_or((one, ""));
            (format!("{subject} (#{})", issue.number), rest.trim().to_owned())
        }
        many => {
            let list: Vec<String> = many.iter().map(|message| format!("* {message}")).collect();
            (format!("{} (#{})", issue.title, issue.number), list.join("\n\n"))
        }
    };
    Ok(join(order.title.as_deref().unwrap_or(&title), order.message.as_deref().unwrap_or(&text)))
}
