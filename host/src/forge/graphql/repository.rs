//! Fields of repositories, refs and commits.

use serde_json::{Value, json};

use super::Fault;
use super::connection::paged;
use super::object::{Arguments, Out, Thing, data, scalar, unknown, user, word, words};
use super::pull::state_of;
use crate::forge::git;
use crate::forge::reply::{Call, Reply};
use crate::forge::rest::{self, shape};
use crate::forge::state::{Issue, Label, Pull, Release, Repo, State};
use crate::forge::world::Permission;

pub(super) fn repository(
    state: &State,
    call: &Call,
    key: &str,
    field: &str,
    arguments: &Arguments,
) -> Result<Out, Fault> {
    let repo = state.repo(key)?;
    let rights = state.permission(call.user.as_deref(), repo);
    match field {
        "id" => scalar(shape::node("Repository", repo.id)),
        "databaseId" => scalar(repo.id),
        "name" => scalar(repo.name.clone()),
        "nameWithOwner" => scalar(repo.full_name()),
        "owner" => user(Some(&repo.owner)),
        "url" => scalar(shape::web(state, repo)),
        "sshUrl" => scalar(format!("git@127.0.0.1:{}.git", repo.full_name())),
        "description" => scalar(repo.description.clone()),
        "isPrivate" => scalar(repo.private),
        "isFork" => scalar(repo.fork_of.is_some()),
        "isArchived" | "isEmpty" | "isMirror" | "hasWikiEnabled" | "hasProjectsEnabled" => scalar(false),
        "hasIssuesEnabled" | "mergeCommitAllowed" | "squashMergeAllowed" | "rebaseMergeAllowed" => {
            scalar(true)
        }
        "autoMergeAllowed" | "deleteBranchOnMerge" => scalar(false),
        "visibility" => scalar(if repo.private { "PRIVATE" } else { "PUBLIC" }),
        "viewerPermission" => scalar(viewer_permission(rights)),
        "viewerDefaultMergeMethod" => scalar("MERGE"),
        "viewerCanAdminister" => scalar(rights >= Permission::Admin),
        "createdAt" => scalar(shape::time(repo.created_at)),
        "pushedAt" | "updatedAt" => scalar(shape::time(repo.pushed_at)),
        "parent" => Ok(match &repo.fork_of {
            Some(parent) if state.repos.contains_key(parent) => Out::Thing(Thing::Repository(parent.clone())),
            _ => Out::Scalar(Value::Null),
        }),
        "defaultBranchRef" => reference(repo, &format!("refs/heads/{}", repo.default_branch)),
        "ref" => reference(repo, word(arguments, "qualifiedName").unwrap_or("")),
        "object" => {
            object(state, repo, word(arguments, "expression").or(word(arguments, "oid")).unwrap_or(""))
        }
        "pullRequest" | "issue" | "issueOrPullRequest" => one(repo, key, field, arguments),
        "pullRequests" | "issues" => many(repo, key, field, arguments),
        "labels" => paged(repo.labels.iter().map(label).collect(), arguments),
        "label" => {
            let found = repo.label(word(arguments, "name").unwrap_or(""));
            Ok(found.map_or(Out::Scalar(Value::Null), |found| Out::Thing(label(found))))
        }
        "release" => {
            let tag = word(arguments, "tagName").unwrap_or("");
            // Unlike REST's look-up by tag, this one shows drafts to those who may push.
            let pushes = rights >= Permission::Write;
            let found = repo.releases.values().find(|one| (pushes || !one.draft) && one.tag == tag);
            Ok(found.map_or(Out::Scalar(Value::Null), |found| Out::Thing(release(state, repo, found))))
        }
        "latestRelease" => {
            let found = rest::latest_of(repo);
            Ok(found.map_or(Out::Scalar(Value::Null), |found| Out::Thing(release(state, repo, found))))
        }
        "releases" => paged(releases(state, call, repo), arguments),
        "milestones" | "assignableUsers" | "projects" | "projectsV2" => paged(Vec::new(), arguments),
        "pullRequestTemplates" | "issueTemplates" => Ok(Out::List(Vec::new())),
        _ => Err(unknown("Repository", field)),
    }
}

pub(super) fn viewer_permission(rights: Permission) -> Option<String> {
    (rights > Permission::None).then(|| rights.as_str().to_uppercase())
}

pub(super) fn reference(repo: &Repo, name: &str) -> Result<Out, Fault> {
    let git = repo.git().map_err(Reply::from)?;
    let full = git::full_ref(&git, name);
    let target = full.as_ref().and_then(|full| git.refname_to_id(full).ok());
    let (Some(full), Some(target)) = (full, target) else { return scalar(Value::Null) };
    let short = full.trim_start_matches("refs/heads/").trim_start_matches("refs/tags/");
    let prefix = full.strip_suffix(short).unwrap_or("refs/");
    let kind = git.find_object(target, None).ok().and_then(|object| object.kind());
    let kind = if kind == Some(git2::ObjectType::Tag) { "Tag" } else { "Commit" };
    data(json!({
        "__typename": "Ref", "id": shape::node("Ref", format!("{}:{full}", repo.id)), "name": short, "prefix": prefix,
        "target": {"__typename": kind, "oid": target.to_string()},
    }))
}

pub(super) fn object(state: &State, repo: &Repo, expression: &str) -> Result<Out, Fault> {
    let git = repo.git().map_err(Reply::from)?;
    let Some(commit) = git::commit_of(&git, expression) else { return scalar(Value::Null) };
    data(commit_data(state, repo, &commit))
}

pub(super) fn commit_data(state: &State, repo: &Repo, commit: &git2::Commit<'_>) -> Value {
    let message = String::from_utf8_lossy(commit.message_raw_bytes()).trim_end().to_owned();
    let (headline, rest) = message.split_once('\n').unwrap_or((&message, ""));
    let at = chrono::DateTime::from_timestamp(commit.time().seconds(), 0).unwrap_or_default();
    json!({
        "__typename": "Commit", "oid": commit.id().to_string(), "id": shape::node("Commit", commit.id()),
        "abbreviatedOid": commit.id().to_string().get(..7), "message": message, "messageHeadline": headline,
        "messageBody": rest.trim(), "committedDate": shape::time(at), "authoredDate": shape::time(at),
        "url": format!("{}/commit/{}", shape::web(state, repo), commit.id()), "statusCheckRollup": rollup(state, repo, &commit.id().to_string()),
        "authors": {"__typename": "Connection", "nodes": []},
    })
}

pub(super) fn one(repo: &Repo, key: &str, field: &str, arguments: &Arguments) -> Result<Out, Fault> {
    let number = arguments.get("number").and_then(Value::as_u64).unwrap_or(0);
    let found = repo.issues.get(&number).filter(|issue| match field {
        "pullRequest" => issue.pull.is_some(),
        "issue" => issue.pull.is_none(),
        _ => true,
    });
    let kind = match field {
        "pullRequest" => "a PullRequest",
        "issue" => "an Issue",
        _ => "an issue or pull request",
    };
    match found {
        Some(_) => Ok(Out::Thing(Thing::Issue(key.to_owned(), number))),
        None => {
            Err(Fault::of("NOT_FOUND", format!("Could not resolve to {kind} with the number of {number}.")))
        }
    }
}

pub(super) fn many(repo: &Repo, key: &str, field: &str, arguments: &Arguments) -> Result<Out, Fault> {
    let states = words(arguments, "states");
    let labels = words(arguments, "labels");
    let (base, head) = (word(arguments, "baseRefName"), word(arguments, "headRefName"));
    let mut found: Vec<&Issue> = repo
        .issues
        .values()
        .filter(|issue| issue.pull.is_some() == (field == "pullRequests"))
        .filter(|issue| states.is_empty() || states.iter().any(|state| *state == state_of(issue)))
        .filter(|issue| labels.is_empty() || labels.iter().any(|label| issue.labels.contains(label)))
        .filter(|issue| {
            let fits = |pull: &Pull| {
                base.is_none_or(|base| pull.base == base) && head.is_none_or(|head| pull.head == head)
            };
            issue.pull.as_ref().is_none_or(fits)
        })
        .collect();
    let order = arguments.get("orderBy");
    let ask = |name: &str| order.and_then(|order| order.get(name)).and_then(Value::as_str);
    if ask("field") == Some("UPDATED_AT") {
        found.sort_by_key(|issue| (issue.updated_at, issue.number));
    } else {
        found.sort_by_key(|issue| (issue.created_at, issue.number));
    }
    if ask("direction") == Some("DESC") {
        found.reverse();
    }
    paged(found.into_iter().map(|issue| Thing::Issue(key.to_owned(), issue.number)).collect(), arguments)
}

/// Releases, newest first; drafts for those who may push.
fn releases(state: &State, call: &Call, repo: &Repo) -> Vec<Thing> {
    let pushes = state.permission(call.user.as_deref(), repo) >= Permission::Write;
    let shown = repo.releases.values().rev().filter(|release| pushes || !release.draft);
    shown.map(|found| release(state, repo, found)).collect()
}

fn release(state: &State, repo: &Repo, release: &Release) -> Thing {
    let latest = rest::latest_of(repo).map(|release| release.id);
    Thing::Data(json!({
        "__typename": "Release", "id": shape::node("Release", release.id), "databaseId": release.id,
        "name": release.name.clone().unwrap_or_default(), "tagName": release.tag, "description": release.body,
        "isDraft": release.draft, "isPrerelease": release.prerelease, "isLatest": latest == Some(release.id),
        "createdAt": shape::time(release.created_at), "publishedAt": shape::maybe_time(release.published_at),
        "url": format!("{}/releases/tag/{}", shape::web(state, repo), release.tag),
    }))
}

/// A label as data.
pub(super) fn label(label: &Label) -> Thing {
    Thing::Data(json!({
        "__typename": "Label", "id": shape::node("Label", label.id), "name": label.name, "color": label.color,
        "description": label.description,
    }))
}

/// What statuses and check runs of a commit amount to; null without any.
fn rollup(state: &State, repo: &Repo, sha: &str) -> Value {
    let mut nodes: Vec<Value> = Vec::new();
    let mut names: Vec<&str> = Vec::new();
    let mut verdicts: Vec<String> = Vec::new();
    for run in repo.check_runs.iter().rev().filter(|run| run.sha == sha) {
        if !names.contains(&run.name.as_str()) {
            names.push(&run.name);
            verdicts.push(run.conclusion.clone().unwrap_or_else(|| "pending".into()));
            nodes.push(json!({
                "__typename": "CheckRun", "name": run.name, "status": run.status.to_uppercase(),
                "conclusion": run.conclusion.as_ref().map(|conclusion| conclusion.to_uppercase()),
                "startedAt": shape::time(run.started_at), "completedAt": shape::maybe_time(run.completed_at),
                "detailsUrl": format!("{}/runs/{}", shape::web(state, repo), run.id), "isRequired": false,
                "checkSuite": {"__typename": "CheckSuite", "workflowRun": null},
            }));
        }
    }
    for status in repo.statuses.iter().rev().filter(|status| status.sha == sha) {
        if !names.contains(&status.context.as_str()) {
            names.push(&status.context);
            verdicts.push(status.state.clone());
            nodes.push(json!({
                "__typename": "StatusContext", "context": status.context, "state": status.state.to_uppercase(),
                "targetUrl": status.target_url, "description": status.description, "isRequired": false,
                "createdAt": shape::time(status.at),
            }));
        }
    }
    if nodes.is_empty() {
        return Value::Null;
    }
    let any = |wanted: &[&str]| verdicts.iter().any(|verdict| wanted.contains(&verdict.as_str()));
    let overall = if any(&["failure", "error", "timed_out", "cancelled", "action_required"]) {
        "FAILURE"
    } else if any(&["pending"]) {
        "PENDING"
    } else {
        "SUCCESS"
    };
    json!({
        "__typename": "StatusCheckRollup", "state": overall,
        "contexts": {
            "__typename": "Connection", "totalCount": nodes.len(), "nodes": nodes,
            "pageInfo": {"__typename": "PageInfo", "hasNextPage": false, "endCursor": null},
        },
    })
}
