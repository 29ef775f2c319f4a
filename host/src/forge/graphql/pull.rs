//! Fields of issues and pull requests.

use serde_json::{Value, json};

use super::Fault;
use super::connection::paged;
use super::object::{Arguments, Out, Thing, data, scalar, unknown, user};
use super::repository::{commit_data, label, reference};
use crate::forge::git;
use crate::forge::reply::{Call, Reply};
use crate::forge::rest::{self, shape};
use crate::forge::state::{Issue, Pull, Repo, State};
use crate::forge::world::Permission;

pub(super) fn state_of(issue: &Issue) -> &'static str {
    match &issue.pull {
        Some(pull) if pull.merged_at.is_some() => "MERGED",
        _ if issue.open => "OPEN",
        _ => "CLOSED",
    }
}

pub(super) fn issue(
    state: &State,
    call: &Call,
    key: &str,
    number: u64,
    field: &str,
    arguments: &Arguments,
) -> Result<Out, Fault> {
    let repo = state.repo(key)?;
    let issue = repo.issue(number)?;
    let kind = if issue.pull.is_some() { "PullRequest" } else { "Issue" };
    let path = if issue.pull.is_some() { "pull" } else { "issues" };
    match field {
        "id" => scalar(shape::node(kind, issue.id)),
        "databaseId" | "fullDatabaseId" => scalar(issue.id),
        "number" => scalar(number),
        "title" => scalar(issue.title.clone()),
        "body" | "bodyText" => scalar(issue.body.clone().unwrap_or_default()),
        "state" => scalar(state_of(issue)),
        "stateReason" => scalar(issue.state_reason.as_ref().map(|reason| reason.to_uppercase())),
        "closed" => scalar(!issue.open),
        "url" => scalar(format!("{}/{path}/{number}", shape::web(state, repo))),
        "createdAt" => scalar(shape::time(issue.created_at)),
        "updatedAt" => scalar(shape::time(issue.updated_at)),
        "closedAt" => scalar(shape::maybe_time(issue.closed_at)),
        "author" => user(Some(&issue.user)),
        "authorAssociation" => scalar(shape::association(state, repo, &issue.user)),
        "repository" => Ok(Out::Thing(Thing::Repository(key.to_owned()))),
        "locked" | "isReadByViewer" | "isPinned" => scalar(false),
        "labels" => paged(labels(repo, issue), arguments),
        "assignees" => {
            paged(issue.assignees.iter().map(|login| Thing::User(login.clone())).collect(), arguments)
        }
        "comments" => paged(comments(state, repo, issue), arguments),
        "milestone" => {
            let stone = repo.milestones.iter().find(|stone| Some(stone.number) == issue.milestone);
            data(stone.map_or(Value::Null, |stone| {
                json!({
                    "__typename": "Milestone", "id": shape::node("Milestone", stone.id), "number": stone.number,
                    "title": stone.title, "description": null, "dueOn": null,
                })
            }))
        }
        "reactionGroups" => Ok(Out::List(Vec::new())),
        "projectCards" | "projectItems" => paged(Vec::new(), arguments),
        _ => match &issue.pull {
            Some(pull) => pull_request(state, call, repo, issue, pull, field, arguments),
            None => Err(unknown(kind, field)),
        },
    }
}

fn labels(repo: &Repo, issue: &Issue) -> Vec<Thing> {
    issue.labels.iter().filter_map(|name| repo.label(name)).map(label).collect()
}

pub(super) fn comments(state: &State, repo: &Repo, issue: &Issue) -> Vec<Thing> {
    let own = repo.comments.values().filter(|comment| comment.issue == issue.number);
    own.map(|comment| {
        Thing::Data(json!({
            "__typename": "IssueComment", "id": shape::node("IssueComment", comment.id), "author": comment.user,
            "databaseId": comment.id, "body": comment.body, "createdAt": shape::time(comment.created_at),
            "authorAssociation": shape::association(state, repo, &comment.user), "includesCreatedEdit": false,
            "isMinimized": false, "minimizedReason": "", "reactionGroups": [], "viewerDidAuthor": false,
            "updatedAt": shape::time(comment.updated_at),
            "url": format!("{}/issues/{}#issuecomment-{}", shape::web(state, repo), issue.number, comment.id),
        }))
    })
    .collect()
}

pub(super) fn pull_request(
    state: &State,
    call: &Call,
    repo: &Repo,
    issue: &Issue,
    pull: &Pull,
    field: &str,
    arguments: &Arguments,
) -> Result<Out, Fault> {
    let commit = |sha: Option<&String>| -> Result<Out, Fault> {
        let git = repo.git().map_err(Reply::from)?;
        let found = sha.and_then(|sha| git::commit_of(&git, sha));
        data(found.map_or(Value::Null, |commit| commit_data(state, repo, &commit)))
    };
    match field {
        "merged" => scalar(pull.merged_at.is_some()),
        "mergedAt" => scalar(shape::maybe_time(pull.merged_at)),
        "mergedBy" => user(pull.merged_by.as_deref()),
        "mergeCommit" => commit(pull.merge_commit.as_ref().filter(|_| pull.merged_at.is_some())),
        "potentialMergeCommit" => commit(pull.merge_commit.as_ref().filter(|_| issue.open)),
        "baseRefName" => scalar(pull.base.clone()),
        "baseRefOid" => scalar(pull.base_sha.clone()),
        "baseRef" => reference(repo, &format!("refs/heads/{}", pull.base)),
        "headRefName" => scalar(pull.head.clone()),
        "headRefOid" => scalar(pull.head_sha.clone()),
        "headRef" => match state.repos.get(&pull.head_repo) {
            Some(head) => reference(head, &format!("refs/heads/{}", pull.head)),
            None => scalar(Value::Null),
        },
        "headRepositoryOwner" => user(Some(&pull.head_owner)),
        "headRepository" => Ok(match state.repos.contains_key(&pull.head_repo) {
            true => Out::Thing(Thing::Repository(pull.head_repo.clone())),
            false => Out::Scalar(Value::Null),
        }),
        "isCrossRepository" => scalar(pull.head_repo != repo.key),
        "isDraft" => scalar(pull.draft),
        "maintainerCanModify" => scalar(pull.maintainer_can_modify),
        "mergeable" => scalar(match (issue.open, &pull.merge_commit) {
            (true, Some(_)) => "MERGEABLE",
            (true, None) => "CONFLICTING",
            _ => "UNKNOWN",
        }),
        "mergeStateStatus" => scalar(rest::pull::merge_state(state, repo, issue, pull).to_uppercase()),
        "reviewDecision" => scalar(decision(repo, pull)),
        "reviews" | "latestReviews" => paged(reviews(state, repo, issue, pull), arguments),
        "reviewRequests" => {
            let asked = pull.requested.iter();
            let asked = asked
                .map(|login| Thing::Data(json!({"__typename": "ReviewRequest", "requestedReviewer": login})));
            paged(asked.collect(), arguments)
        }
        "commits" => {
            let git = repo.git().map_err(Reply::from)?;
            let ids =
                ends(pull).and_then(|(base, head)| git::range(&git, base, head)).map_err(Reply::from)?;
            let found = ids.into_iter().filter_map(|id| git.find_commit(id).ok());
            let nodes = found.map(|commit| {
                Thing::Data(json!({
                    "__typename": "PullRequestCommit", "commit": commit_data(state, repo, &commit),
                }))
            });
            paged(nodes.collect(), arguments)
        }
        "files" => {
            let git = repo.git().map_err(Reply::from)?;
            let (base, head) = ends(pull).map_err(Reply::from)?;
            let diff = rest::git_shape::three_dot_diff(&git, base, head).map_err(Reply::from)?;
            let files = rest::git_shape::files(state, repo, &diff, head).map_err(Reply::from)?;
            let nodes = files.iter().map(|file| {
                Thing::Data(json!({
                    "__typename": "PullRequestChangedFile", "path": file.get("filename"),
                    "additions": file.get("additions"), "deletions": file.get("deletions"),
                }))
            });
            paged(nodes.collect(), arguments)
        }
        "additions" | "deletions" | "changedFiles" => {
            let full = rest::pull::full(state, &repo.key, issue.number, call.user.as_deref())?;
            let name = if field == "changedFiles" { "changed_files" } else { field };
            scalar(full.get(name).cloned().unwrap_or(Value::Null))
        }
        "autoMergeRequest" | "statusCheckRollup" => scalar(Value::Null),
        "viewerCanUpdate" => scalar(state.permission(call.user.as_deref(), repo) >= Permission::Write),
        _ => Err(unknown("PullRequest", field)),
    }
}

pub(super) fn ends(pull: &Pull) -> Result<(git2::Oid, git2::Oid), git2::Error> {
    Ok((git2::Oid::from_str(&pull.base_sha)?, git2::Oid::from_str(&pull.head_sha)?))
}

pub(super) fn decision(repo: &Repo, pull: &Pull) -> Value {
    let wanted = repo.guard(&pull.base).and_then(|guard| guard.reviews.as_ref());
    let has = |state: &str| pull.reviews.iter().any(|review| review.state == state);
    match wanted {
        None => Value::Null,
        Some(_) if has("CHANGES_REQUESTED") => json!("CHANGES_REQUESTED"),
        Some(_) if has("APPROVED") => json!("APPROVED"),
        Some(_) => json!("REVIEW_REQUIRED"),
    }
}

pub(super) fn reviews(state: &State, repo: &Repo, issue: &Issue, pull: &Pull) -> Vec<Thing> {
    let all = pull.reviews.iter().map(|review| {
        let url = format!("{}/pull/{}#pullrequestreview-{}", shape::web(state, repo), issue.number, review.id);
        Thing::Data(json!({
            "__typename": "PullRequestReview", "id": shape::node("PullRequestReview", review.id),
            "author": review.user, "body": review.body, "state": review.state, "submittedAt": shape::time(review.at),
            "authorAssociation": shape::association(state, repo, &review.user), "includesCreatedEdit": false,
            "reactionGroups": [], "url": url,
            "commit": {"__typename": "Commit", "oid": review.commit},
        }))
    });
    all.collect()
}
