//! The objects of the GraphQL subset and their fields.

use base64::Engine as _;
use serde_json::{Map, Value, json};

use super::Fault;
use super::connection::{connection, cursor, paged};
use super::mutation::mutation;
use super::pull::issue;
use super::repository::repository;
use crate::forge::rate;
use crate::forge::reply::Call;
use crate::forge::rest::{self, shape};
use crate::forge::state::State;
use crate::forge::world::{AccountKind, Permission};

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

pub(super) type Arguments = Map<String, Value>;

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

pub(super) fn scalar(value: impl Into<Value>) -> Result<Out, Fault> {
    Ok(Out::Scalar(value.into()))
}

pub(super) fn data(value: Value) -> Result<Out, Fault> {
    Ok(if value.is_null() { Out::Scalar(value) } else { Out::Thing(Thing::Data(value)) })
}

pub(super) fn user(login: Option<&str>) -> Result<Out, Fault> {
    Ok(login.map_or(Out::Scalar(Value::Null), |login| Out::Thing(Thing::User(login.to_owned()))))
}

pub(super) fn unknown(kind: &str, field: &str) -> Fault {
    Fault::invalid(format!("Field '{field}' doesn't exist on type '{kind}'"))
}

pub(super) fn word<'a>(arguments: &'a Arguments, name: &str) -> Option<&'a str> {
    arguments.get(name).and_then(Value::as_str)
}

pub(super) fn words(arguments: &Arguments, name: &str) -> Vec<String> {
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
pub(super) fn find(state: &State, call: &Call, id: &str) -> Result<Thing, Fault> {
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
