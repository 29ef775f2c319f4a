//! The objects of the GraphQL subset and their fields.

use base64::Engine as _;
use serde_json::{Map, Value, json};

use super::Fault;
use crate::forge::git;
use crate::forge::rate;
use crate::forge::reply::{Call, Reply};
use crate::forge::rest::{self, shape};
use crate::forge::state::{Issue, Pull, Repo, State};
use crate::forge::world::{AccountKind, MergeMethod, Permission};

/// Something fields can be selected of.
#[derive(Debug, Clone)]
pub(crate) enum Thing {
    Query,
    Mutation,
    User(String),
    Repository(String),
    /// An issue or pull request: repository key and number.
    Issue(String, u64),
    /// A page of a list: items, index of the first, total.
    Connection {
        items: Vec<Thing>,
        start: usize,
        total: usize,
    },
    Edge(Box<Thing>, usize),
    /// Plain data with a `__typename`.
    Data(Value),
}

/// What a field is.
#[derive(Debug)]
pub(crate) enum Out {
    Scalar(Value),
    Thing(Thing),
    List(Vec<Thing>),
}

type Arguments = Map<String, Value>;

impl Thing {
    /// Name of its type.
    pub(crate) fn kind(&self, state: &State) -> String {
        match self {
            Self::Query => "Query".into(),
            Self::Mutation => "Mutation".into(),
            Self::User(login) => state.account(login).map_or(AccountKind::User, |a| a.kind).as_str().into(),
            Self::Repository(_) => "Repository".into(),
            Self::Issue(key, number) => {
                let pull = state.repos.get(key).is_some_and(|repo| repo.pull(*number).is_ok());
                if pull { "PullRequest".into() } else { "Issue".into() }
            }
            Self::Connection { .. } => "Connection".into(),
            Self::Edge(..) => "Edge".into(),
            Self::Data(value) => {
                value.get("__typename").and_then(Value::as_str).unwrap_or("Object").to_owned()
            }
        }
    }

    /// Whether a fragment on that type or interface applies.
    pub(crate) fn is(&self, state: &State, on: &str) -> bool {
        let kind = self.kind(state);
        let interfaces: &[&str] = match kind.as_str() {
            "User" | "Bot" | "Organization" => &[
                "Actor",
                "RepositoryOwner",
                "Node",
                "UniformResourceLocatable",
                "Assignee",
                "RequestedReviewer",
            ],
            "PullRequest" | "Issue" => {
                &["Node", "IssueOrPullRequest", "Comment", "Labelable", "Closable", "SearchResultItem"]
            }
            "Repository" => &["Node", "SearchResultItem"],
            "Commit" | "Tag" => &["Node", "GitObject"],
            "Connection" | "Edge" | "Object" => return true,
            _ => &["Node"],
        };
        kind == on || interfaces.contains(&on)
    }
}

fn scalar(value: impl Into<Value>) -> Result<Out, Fault> {
    Ok(Out::Scalar(value.into()))
}

fn data(value: Value) -> Result<Out, Fault> {
    Ok(if value.is_null() { Out::Scalar(value) } else { Out::Thing(Thing::Data(value)) })
}

fn user(login: Option<&str>) -> Result<Out, Fault> {
    Ok(login.map_or(Out::Scalar(Value::Null), |login| Out::Thing(Thing::User(login.to_owned()))))
}

fn unknown(kind: &str, field: &str) -> Fault {
    Fault::invalid(format!("Field '{field}' doesn't exist on type '{kind}'"))
}

fn word<'a>(arguments: &'a Arguments, name: &str) -> Option<&'a str> {
    arguments.get(name).and_then(Value::as_str)
}

fn words(arguments: &Arguments, name: &str) -> Vec<String> {
    match arguments.get(name) {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// Resolves one field.
pub(crate) fn resolve(
    state: &mut State,
    call: &Call,
    thing: &Thing,
    field: &str,
    arguments: &Arguments,
) -> Result<Out, Fault> {
    if field == "__typename" {
        return scalar(thing.kind(state));
    }
    match thing {
        Thing::Query => query(state, call, field, arguments),
        Thing::Mutation => mutation(state, call, field, arguments),
        Thing::User(login) => account(state, login, field),
        Thing::Repository(key) => repository(state, call, key, field, arguments),
        Thing::Issue(key, number) => issue(state, call, key, *number, field, arguments),
        Thing::Connection { items, start, total } => connection(items, *start, *total, field),
        Thing::Edge(node, index) => match field {
            "node" => Ok(Out::Thing((**node).clone())),
            "cursor" => scalar(cursor(*index)),
            _ => Err(unknown("Edge", field)),
        },
        Thing::Data(value) => plain(state, thing, value, field),
    }
}

fn plain(state: &State, thing: &Thing, value: &Value, field: &str) -> Result<Out, Fault> {
    match value.get(field) {
        Some(login)
            if matches!(field, "author" | "user" | "mergedBy" | "requestedReviewer") && login.is_string() =>
        {
            user(login.as_str())
        }
        Some(Value::Array(list)) if list.iter().all(Value::is_object) => {
            Ok(Out::List(list.iter().cloned().map(Thing::Data).collect()))
        }
        Some(object @ Value::Object(_)) => data(object.clone()),
        Some(other) => scalar(other.clone()),
        None => Err(unknown(&thing.kind(state), field)),
    }
}

fn query(state: &mut State, call: &Call, field: &str, arguments: &Arguments) -> Result<Out, Fault> {
    match field {
        "viewer" => user(call.user.as_deref()),
        "rateLimit" => {
            let budget = rate::budget(state, call);
            let reset = chrono::DateTime::from_timestamp(budget.reset, 0).unwrap_or_default();
            data(json!({
                "__typename": "RateLimit", "cost": 1, "limit": budget.limit, "nodeCount": 1,
                "remaining": budget.remaining().saturating_sub(1), "used": budget.used + 1,
                "resetAt": shape::time(reset),
            }))
        }
        "repository" => {
            let (owner, name) =
                (word(arguments, "owner").unwrap_or(""), word(arguments, "name").unwrap_or(""));
            let key = rest::visible(state, call, owner, name).map_err(|_| {
                Fault::of(
                    "NOT_FOUND",
                    format!("Could not resolve to a Repository with the name '{owner}/{name}'."),
                )
            })?;
            Ok(Out::Thing(Thing::Repository(key)))
        }
        "user" | "organization" | "repositoryOwner" => {
            let login = word(arguments, "login").unwrap_or("").to_owned();
            let found = state.account(&login).map(|account| account.login.clone());
            let found = found.ok_or_else(|| {
                Fault::of("NOT_FOUND", format!("Could not resolve to a User with the login of '{login}'."))
            })?;
            user(Some(&found))
        }
        "node" => {
            let id = word(arguments, "id").unwrap_or("");
            find(state, call, id).map(Out::Thing)
        }
        "search" => search(state, call, arguments),
        "__type" => data(described(word(arguments, "name").unwrap_or(""))),
        _ => Err(unknown("Query", field)),
    }
}

/// What clients that probe for features get to see of a type.
fn described(name: &str) -> Value {
    let fields: &[&str] = match name {
        "PullRequest" => PULL_FIELDS,
        "Repository" => &["id", "name", "owner", "pullRequests", "pullRequest", "issue", "issues"],
        "Query" => &["viewer", "repository", "rateLimit", "search", "node"],
        "StatusCheckRollupContextConnection" | "WorkflowRun" | "CheckRun" | "ReleaseAsset" | "Release" => &[],
        _ => return Value::Null,
    };
    let fields: Vec<Value> =
        fields.iter().map(|name| json!({"__typename": "__Field", "name": name})).collect();
    json!({"__typename": "__Type", "name": name, "kind": "OBJECT", "fields": fields, "enumValues": [], "inputFields": []})
}

const PULL_FIELDS: &[&str] = &[
    "additions",
    "assignees",
    "author",
    "baseRefName",
    "baseRefOid",
    "body",
    "changedFiles",
    "closed",
    "closedAt",
    "comments",
    "commits",
    "createdAt",
    "deletions",
    "files",
    "headRefName",
    "headRefOid",
    "headRepository",
    "headRepositoryOwner",
    "id",
    "isCrossRepository",
    "isDraft",
    "labels",
    "maintainerCanModify",
    "mergeCommit",
    "mergeStateStatus",
    "mergeable",
    "merged",
    "mergedAt",
    "mergedBy",
    "milestone",
    "number",
    "potentialMergeCommit",
    "reviewDecision",
    "reviewRequests",
    "reviews",
    "state",
    "title",
    "updatedAt",
    "url",
];

fn account(state: &State, login: &str, field: &str) -> Result<Out, Fault> {
    let account = state.account(login);
    match field {
        "login" => scalar(account.map_or(login, |account| &account.login)),
        "id" => scalar(shape::node("User", account.map_or(0, |account| account.id))),
        "databaseId" => scalar(account.map(|account| account.id)),
        "name" => scalar(account.map(|account| account.name.clone())),
        "email" => scalar(account.map_or("", |account| &account.email)),
        "url" => scalar(format!("{}/{login}", state.url)),
        "avatarUrl" => scalar(format!("{}/avatars/u/{}", state.url, account.map_or(0, |account| account.id))),
        "resourcePath" => scalar(format!("/{login}")),
        _ => Err(unknown("User", field)),
    }
}

fn repository(
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
        "labels" => {
            let labels = repo.labels.iter().map(|label| {
                Thing::Data(json!({
                    "__typename": "Label", "id": shape::node("Label", label.id), "name": label.name,
                    "color": label.color, "description": label.description,
                }))
            });
            paged(labels.collect(), arguments)
        }
        "milestones" | "assignableUsers" | "projects" | "projectsV2" => paged(Vec::new(), arguments),
        "pullRequestTemplates" | "issueTemplates" => Ok(Out::List(Vec::new())),
        _ => Err(unknown("Repository", field)),
    }
}

fn viewer_permission(rights: Permission) -> Option<String> {
    (rights > Permission::None).then(|| rights.as_str().to_uppercase())
}

fn reference(repo: &Repo, name: &str) -> Result<Out, Fault> {
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

fn object(state: &State, repo: &Repo, expression: &str) -> Result<Out, Fault> {
    let git = repo.git().map_err(Reply::from)?;
    let Some(commit) = git::commit_of(&git, expression) else { return scalar(Value::Null) };
    data(commit_data(state, repo, &commit))
}

fn commit_data(state: &State, repo: &Repo, commit: &git2::Commit<'_>) -> Value {
    let message = String::from_utf8_lossy(commit.message_raw_bytes()).trim_end().to_owned();
    let (headline, rest) = message.split_once('\n').unwrap_or((&message, ""));
    let at = chrono::DateTime::from_timestamp(commit.time().seconds(), 0).unwrap_or_default();
    json!({
        "__typename": "Commit", "oid": commit.id().to_string(), "id": shape::node("Commit", commit.id()),
        "abbreviatedOid": commit.id().to_string().get(..7), "message": message, "messageHeadline": headline,
        "messageBody": rest.trim(), "committedDate": shape::time(at), "authoredDate": shape::time(at),
        "url": format!("{}/commit/{}", shape::web(state, repo), commit.id()), "statusCheckRollup": null,
        "authors": {"__typename": "Connection", "nodes": []},
    })
}

fn one(repo: &Repo, key: &str, field: &str, arguments: &Arguments) -> Result<Out, Fault> {
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

fn many(repo: &Repo, key: &str, field: &str, arguments: &Arguments) -> Result<Out, Fault> {
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

fn state_of(issue: &Issue) -> &'static str {
    match &issue.pull {
        Some(pull) if pull.merged_at.is_some() => "MERGED",
        _ if issue.open => "OPEN",
        _ => "CLOSED",
    }
}

fn issue(
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
    let known = issue.labels.iter().filter_map(|name| repo.label(name));
    known
        .map(|label| {
            Thing::Data(json!({
                "__typename": "Label", "id": shape::node("Label", label.id), "name": label.name, "color": label.color,
                "description": label.description,
            }))
        })
        .collect()
}

fn comments(state: &State, repo: &Repo, issue: &Issue) -> Vec<Thing> {
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

fn pull_request(
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

fn ends(pull: &Pull) -> Result<(git2::Oid, git2::Oid), git2::Error> {
    Ok((git2::Oid::from_str(&pull.base_sha)?, git2::Oid::from_str(&pull.head_sha)?))
}

fn decision(repo: &Repo, pull: &Pull) -> Value {
    let wanted = repo.protections.get(&pull.base).and_then(|guard| guard.reviews.as_ref());
    let has = |state: &str| pull.reviews.iter().any(|review| review.state == state);
    match wanted {
        None => Value::Null,
        Some(_) if has("CHANGES_REQUESTED") => json!("CHANGES_REQUESTED"),
        Some(_) if has("APPROVED") => json!("APPROVED"),
        Some(_) => json!("REVIEW_REQUIRED"),
    }
}

fn reviews(state: &State, repo: &Repo, issue: &Issue, pull: &Pull) -> Vec<Thing> {
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

fn cursor(index: usize) -> String {
    base64::engine::general_purpose::STANDARD.encode(format!("cursor:{index}"))
}

fn index(arguments: &Arguments, name: &str) -> Option<usize> {
    let decoded = base64::engine::general_purpose::STANDARD.decode(word(arguments, name)?).ok()?;
    String::from_utf8(decoded).ok()?.strip_prefix("cursor:")?.parse().ok()
}

/// The page `first`/`after` or `last`/`before` ask for; at most 100 items, as on GitHub.
fn paged(items: Vec<Thing>, arguments: &Arguments) -> Result<Out, Fault> {
    let total = items.len();
    let count =
        |name: &str| arguments.get(name).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
    if let Some(too_many) = count("first").or(count("last")).filter(|count| *count > 100) {
        let why = format!(
            "Requesting {too_many} records on the connection exceeds the `first` limit of 100 records."
        );
        return Err(Fault::of("EXCESSIVE_PAGINATION", why));
    }
    let mut start = index(arguments, "after").map_or(0, |after| after + 1).min(total);
    let mut end = index(arguments, "before").unwrap_or(total).min(total).max(start);
    match (count("first"), count("last")) {
        (Some(first), _) => end = end.min(start + first),
        (None, Some(last)) => start = start.max(end.saturating_sub(last)),
        (None, None) => end = end.min(start + 100),
    }
    let items = items.into_iter().skip(start).take(end - start).collect();
    Ok(Out::Thing(Thing::Connection { items, start, total }))
}

fn connection(items: &[Thing], start: usize, total: usize, field: &str) -> Result<Out, Fault> {
    match field {
        "nodes" => Ok(Out::List(items.to_vec())),
        "edges" => {
            let edges = items.iter().zip(start..);
            Ok(Out::List(edges.map(|(item, index)| Thing::Edge(Box::new(item.clone()), index)).collect()))
        }
        "totalCount" | "issueCount" => scalar(total),
        "pageInfo" => {
            let end = start + items.len();
            let at = |index: usize| if items.is_empty() { Value::Null } else { json!(cursor(index)) };
            data(json!({
                "__typename": "PageInfo", "hasNextPage": end < total, "hasPreviousPage": start > 0,
                "startCursor": at(start), "endCursor": at(end.saturating_sub(1)),
            }))
        }
        _ => Err(unknown("Connection", field)),
    }
}

fn search(state: &State, call: &Call, arguments: &Arguments) -> Result<Out, Fault> {
    let query = rest::search::Query::parse(word(arguments, "query").unwrap_or(""));
    let mut found = Vec::new();
    for repo in state.repos.values() {
        if state.permission(call.user.as_deref(), repo) >= Permission::Read {
            let own = repo.issues.values().filter(|issue| query.fits(repo, issue));
            found.extend(own.map(|issue| (issue.created_at, repo.key.clone(), issue.number)));
        }
    }
    found.sort();
    found.reverse();
    paged(found.into_iter().map(|(_, key, number)| Thing::Issue(key, number)).collect(), arguments)
}

/// The object of a global id that the caller may see.
fn find(state: &State, call: &Call, id: &str) -> Result<Thing, Fault> {
    let unknown =
        || Fault::of("NOT_FOUND", format!("Could not resolve to a node with the global id of '{id}'"));
    let decoded = base64::engine::general_purpose::STANDARD.decode(id).ok();
    let decoded = decoded.and_then(|raw| String::from_utf8(raw).ok()).ok_or_else(unknown)?;
    let (kind, number) = decoded.split_once(':').ok_or_else(unknown)?;
    let number: u64 = number.parse().map_err(|_| unknown())?;
    for repo in state.repos.values() {
        if state.permission(call.user.as_deref(), repo) < Permission::Read {
            continue;
        }
        if kind == "Repository" && repo.id == number {
            return Ok(Thing::Repository(repo.key.clone()));
        }
        let issue = repo.issues.values().find(|issue| issue.id == number);
        if let Some(issue) = issue.filter(|_| kind == "PullRequest" || kind == "Issue") {
            return Ok(Thing::Issue(repo.key.clone(), issue.number));
        }
    }
    Err(unknown())
}

fn mutation(state: &mut State, call: &Call, field: &str, arguments: &Arguments) -> Result<Out, Fault> {
    let empty = Map::new();
    let input = arguments.get("input").and_then(Value::as_object).unwrap_or(&empty);
    let login = rest::login(call)?.to_owned();
    let subject = ["pullRequestId", "subjectId", "issueId", "labelableId"]
        .iter()
        .find_map(|name| input.get(*name).and_then(Value::as_str));
    let mut result = json!({"__typename": "Payload", "clientMutationId": input.get("clientMutationId")});
    let thing = match (field, subject) {
        ("createPullRequest", _) => create_pull(state, call, input, &login)?,
        (_, Some(id)) => match find(state, call, id)? {
            Thing::Issue(key, number) => {
                change(state, field, input, (&key, number), &login)?;
                (key, number)
            }
            _ => return Err(Fault::of("NOT_FOUND", "Could not resolve to a node")),
        },
        _ => return Err(unknown("Mutation", field)),
    };
    crate::forge::settle::settle(state, &thing.0, &login)?;
    // The payload names the changed object the way the mutation's result does.
    let repo = state.repo(&thing.0)?;
    let number = thing.1;
    let issue = repo.issue(number)?;
    let kind = if issue.pull.is_some() { "PullRequest" } else { "Issue" };
    let path = if issue.pull.is_some() { "pull" } else { "issues" };
    let summary = json!({
        "__typename": kind, "id": shape::node(kind, issue.id), "number": number, "title": issue.title,
        "state": state_of(issue), "url": format!("{}/{path}/{number}", shape::web(state, repo)),
        "headRefName": issue.pull.as_ref().map(|pull| pull.head.clone()), "body": issue.body,
    });
    shape::merge(&mut result, json!({"pullRequest": summary, "issue": summary, "subject": summary}));
    if let Some(comment) = repo.comments.values().filter(|comment| comment.issue == number).next_back() {
        let url = format!("{}/{path}/{number}#issuecomment-{}", shape::web(state, repo), comment.id);
        let node = json!({
            "__typename": "IssueComment", "id": shape::node("IssueComment", comment.id), "url": url,
            "body": comment.body,
        });
        shape::merge(&mut result, json!({"commentEdge": {"__typename": "Edge", "node": node}}));
    }
    data(result)
}

fn need(state: &State, key: &str, login: &str, level: Permission) -> Result<(), Fault> {
    if state.permission(Some(login), state.repo(key)?) < level {
        return Err(Fault::of(
            "FORBIDDEN",
            format!("{login} does not have the correct permissions to execute this"),
        ));
    }
    Ok(())
}

fn create_pull(
    state: &mut State,
    call: &Call,
    input: &Arguments,
    login: &str,
) -> Result<(String, u64), Fault> {
    let Thing::Repository(key) = find(state, call, word(input, "repositoryId").unwrap_or(""))? else {
        return Err(Fault::of("NOT_FOUND", "Could not resolve to a Repository"));
    };
    let repo = state.repo(&key)?;
    let head = word(input, "headRefName").unwrap_or("");
    let (owner, head) = head.split_once(':').unwrap_or((&repo.owner, head));
    let new = rest::pull::NewPull {
        number: None,
        title: word(input, "title").unwrap_or("").to_owned(),
        body: word(input, "body").map(str::to_owned),
        user: login.to_owned(),
        head_owner: owner.to_owned(),
        head: head.to_owned(),
        base: word(input, "baseRefName").unwrap_or("").to_owned(),
        draft: input.get("draft").and_then(Value::as_bool).unwrap_or(false),
        maintainer_can_modify: input.get("maintainerCanModify").and_then(Value::as_bool).unwrap_or(true),
    };
    let number = rest::pull::open(state, &key, new)?;
    Ok((key, number))
}

fn change(
    state: &mut State,
    field: &str,
    input: &Arguments,
    (key, number): (&str, u64),
    login: &str,
) -> Result<(), Fault> {
    let now = state.now();
    match field {
        "mergePullRequest" => {
            need(state, key, login, Permission::Write)?;
            let method = match word(input, "mergeMethod") {
                Some("SQUASH") => MergeMethod::Squash,
                Some("REBASE") => MergeMethod::Rebase,
                _ => MergeMethod::Merge,
            };
            let text = |name: &str| word(input, name).map(str::to_owned);
            let order = rest::merge::Order {
                method,
                sha: text("expectedHeadOid"),
                title: text("commitHeadline"),
                message: text("commitBody"),
            };
            rest::merge::perform(state, key, number, login, &order)?;
        }
        "closePullRequest" | "closeIssue" | "reopenPullRequest" | "reopenIssue" => {
            let own = state.repo(key)?.issue(number)?.user.eq_ignore_ascii_case(login);
            if !own {
                need(state, key, login, Permission::Triage)?;
            }
            let wanted = if field.starts_with("close") { "closed" } else { "open" };
            rest::issue::edit(
                state.repo_mut(key)?.issue_mut(number)?,
                &json!({"state": wanted}),
                login,
                now,
            )?;
        }
        "addComment" => {
            rest::issue::add_comment(state, key, number, login, word(input, "body").unwrap_or(""))?;
        }
        "addPullRequestReview" => {
            let verdict = match word(input, "event") {
                Some("APPROVE") => "APPROVED",
                Some("REQUEST_CHANGES") => "CHANGES_REQUESTED",
                _ => "COMMENTED",
            };
            rest::review::add(state, key, number, login, verdict, word(input, "body").unwrap_or(""))?;
        }
        "addLabelsToLabelable" => {
            need(state, key, login, Permission::Triage)?;
            let ids = words(input, "labelIds");
            let labels = &state.repo(key)?.labels;
            let known = labels.iter().filter(|label| ids.contains(&shape::node("Label", label.id)));
            let names = known.map(|label| label.name.clone()).collect();
            rest::issue::add_labels(state, key, number, names, false)?;
        }
        "updatePullRequest" | "updateIssue" => {
            need(state, key, login, Permission::Triage)?;
            let body: Map<String, Value> = input
                .iter()
                .filter(|(name, _)| matches!(name.as_str(), "title" | "body"))
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect();
            rest::issue::edit(state.repo_mut(key)?.issue_mut(number)?, &Value::Object(body), login, now)?;
        }
        "markPullRequestReadyForReview" => {
            need(state, key, login, Permission::Write)?;
            if let Some(pull) = &mut state.repo_mut(key)?.issue_mut(number)?.pull {
                pull.draft = false;
            }
        }
        _ => return Err(unknown("Mutation", field)),
    }
    Ok(())
}
