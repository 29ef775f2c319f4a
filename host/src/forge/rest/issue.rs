//! Issues, comments, labels and milestones (pull requests are issues too).

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{page, shape};
use crate::forge::people::{self, Subject};
use crate::forge::reply::{Call, Outcome, Reply, required, strings, text};
use crate::forge::state::{Comment, Issue, Label, Repo, State};
use crate::forge::world::{Permission, Trigger};

/// An open issue with nothing but a title.
pub(crate) fn blank(
    id: u64,
    number: u64,
    title: &str,
    body: Option<String>,
    user: &str,
    at: DateTime<Utc>,
) -> Issue {
    Issue {
        id,
        number,
        title: title.to_owned(),
        body,
        user: user.to_owned(),
        labels: Vec::new(),
        assignees: Vec::new(),
        milestone: None,
        open: true,
        state_reason: None,
        created_at: at,
        updated_at: at,
        closed_at: None,
        closed_by: None,
        pull: None,
    }
}

/// What a new issue consists of.
#[derive(Debug, Clone, Default)]
pub(crate) struct NewIssue {
    pub(crate) title: String,
    pub(crate) body: Option<String>,
    pub(crate) user: String,
    pub(crate) milestone: Option<u64>,
    pub(crate) labels: Vec<String>,
    pub(crate) assignees: Vec<String>,
}

/// Opens an issue; rules about opened issues start to run.
pub(crate) fn open(state: &mut State, key: &str, new: NewIssue) -> Result<u64, Reply> {
    let (id, now) = (state.fresh_id(), state.now());
    let number = state.repo_mut(key)?.take_number();
    let mut issue = blank(id, number, &new.title, new.body, &new.user, now);
    issue.assignees = new.assignees;
    issue.milestone = new.milestone;
    issue.labels = ensure_labels(state, key, new.labels)?;
    state.repo_mut(key)?.issues.insert(number, issue);
    people::cause(state, Trigger::IssueOpened, key, &Subject::Issue(number));
    Ok(number)
}

/// `POST issues`. Labels, assignees and milestone need triage rights and are dropped without them, as on GitHub.
pub(crate) fn create(state: &mut State, call: &Call, key: &str, login: &str) -> Outcome {
    let body = call.json()?;
    let title = required(&body, "Issue", "title")?.to_owned();
    let allowed = state.permission(Some(login), state.repo(key)?) >= Permission::Triage;
    let mut new = NewIssue {
        title,
        body: text(&body, "body"),
        user: login.to_owned(),
        milestone: milestone_of(state.repo(key)?, &body)?,
        labels: strings(&body, "labels").unwrap_or_default(),
        assignees: strings(&body, "assignees").unwrap_or_default(),
    };
    if !allowed {
        new = NewIssue { milestone: None, labels: Vec::new(), assignees: Vec::new(), ..new };
    }
    let number = open(state, key, new)?;
    let repo = state.repo(key)?;
    let place = format!("{}/issues/{number}", shape::api(state, repo));
    Ok(Reply::json(201, &shape::issue(state, repo, repo.issue(number)?)).with("location", place))
}

fn milestone_of(repo: &Repo, body: &Value) -> Result<Option<u64>, Reply> {
    match body.get("milestone").and_then(Value::as_u64) {
        Some(number) if repo.milestones.iter().any(|stone| stone.number == number) => Ok(Some(number)),
        Some(_) => Err(Reply::invalid("Issue", "milestone", "invalid", None)),
        None => Ok(None),
    }
}

/// The given labels in the repository's own spelling, made when they do not exist.
pub(crate) fn ensure_labels(state: &mut State, key: &str, names: Vec<String>) -> Result<Vec<String>, Reply> {
    let mut found: Vec<String> = Vec::new();
    for name in names {
        let own = match state.repo(key)?.label(&name) {
            Some(label) => label.name.clone(),
            None => {
                let id = state.fresh_id();
                let label = Label { id, name: name.clone(), color: "ededed".into(), description: None };
                state.repo_mut(key)?.labels.push(label);
                name
            }
        };
        if !found.contains(&own) {
            found.push(own);
        }
    }
    Ok(found)
}

/// `GET issues`: pull requests included.
pub(crate) fn list(state: &State, call: &Call, key: &str) -> Outcome {
    let repo = state.repo(key)?;
    let wanted = call.param("state").unwrap_or_else(|| "open".into());
    let labels: Vec<String> = call.param("labels").map(split).unwrap_or_default();
    let (creator, assignee) = (call.param("creator"), call.param("assignee"));
    let milestone = call.number("milestone");
    let since = call.param("since").and_then(|at| DateTime::parse_from_rfc3339(&at).ok());
    let mut found: Vec<&Issue> = repo
        .issues
        .values()
        .filter(|issue| wanted == "all" || (wanted == "open") == issue.open)
        .filter(|issue| labels.iter().all(|label| has(&issue.labels, label)))
        .filter(|issue| creator.as_ref().is_none_or(|login| issue.user.eq_ignore_ascii_case(login)))
        .filter(|issue| assignee.as_ref().is_none_or(|login| has(&issue.assignees, login)))
        .filter(|issue| milestone.is_none_or(|number| issue.milestone == Some(number)))
        .filter(|issue| since.is_none_or(|since| issue.updated_at >= since))
        .collect();
    sort(&mut found, call, |issue| *issue);
    Ok(page::list(&state.url, call, &found, |issue| shape::issue(state, repo, issue)))
}

fn split(text: String) -> Vec<String> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

fn has(list: &[String], wanted: &str) -> bool {
    list.iter().any(|one| one.eq_ignore_ascii_case(wanted))
}

/// Sorts by `sort` and `direction`: created, updated or comments; newest first unless asked otherwise.
pub(crate) fn sort<T>(found: &mut [T], call: &Call, issue: impl Fn(&T) -> &Issue) {
    if call.param("sort").as_deref() == Some("updated") {
        found.sort_by_key(|item| (issue(item).updated_at, issue(item).number));
    } else {
        found.sort_by_key(|item| (issue(item).created_at, issue(item).number));
    }
    if call.param("direction").as_deref() != Some("asc") {
        found.reverse();
    }
}

/// `GET issues/{number}`.
pub(crate) fn get(state: &State, key: &str, number: u64) -> Outcome {
    let repo = state.repo(key)?;
    Ok(Reply::json(200, &shape::issue(state, repo, repo.issue(number)?)))
}

/// `PATCH issues/{number}`.
pub(crate) fn update(state: &mut State, call: &Call, key: &str, number: u64, login: &str) -> Outcome {
    let body = call.json()?;
    let repo = state.repo(key)?;
    let issue = repo.issue(number)?;
    let rights = state.permission(Some(login), repo);
    if rights < Permission::Triage && !issue.user.eq_ignore_ascii_case(login) {
        return Err(Reply::forbidden("Must have admin rights to Repository."));
    }
    let milestone = milestone_of(repo, &body)?;
    let labels = match strings(&body, "labels") {
        Some(labels) => Some(ensure_labels(state, key, labels)?),
        None => None,
    };
    let now = state.now();
    let issue = state.repo_mut(key)?.issue_mut(number)?;
    edit(issue, &body, login, now)?;
    if let Some(labels) = labels {
        issue.labels = labels;
    }
    if let Some(assignees) = strings(&body, "assignees") {
        issue.assignees = assignees;
    }
    if body.get("milestone").is_some() {
        issue.milestone = milestone;
    }
    get(state, key, number)
}

/// Title, body and state: what issues and pull requests share.
pub(crate) fn edit(issue: &mut Issue, body: &Value, login: &str, now: DateTime<Utc>) -> Result<(), Reply> {
    if let Some(title) = text(body, "title") {
        if title.is_empty() {
            return Err(Reply::invalid("Issue", "title", "missing_field", None));
        }
        issue.title = title;
    }
    if let Some(words) = body.get("body") {
        issue.body = words.as_str().map(str::to_owned);
    }
    match text(body, "state").as_deref() {
        None => {}
        Some("closed") if issue.open => {
            issue.open = false;
            issue.closed_at = Some(now);
            issue.closed_by = Some(login.to_owned());
            if issue.pull.is_none() {
                issue.state_reason = Some(text(body, "state_reason").unwrap_or_else(|| "completed".into()));
            }
        }
        Some("open") if !issue.open => {
            issue.open = true;
            issue.closed_at = None;
            issue.closed_by = None;
            issue.state_reason = issue.pull.is_none().then(|| "reopened".to_owned());
        }
        Some("open" | "closed") => {}
        Some(_) => return Err(Reply::invalid("Issue", "state", "invalid", None)),
    }
    issue.updated_at = now;
    Ok(())
}

/// `GET issues/{number}/comments`.
pub(crate) fn comments(state: &State, call: &Call, key: &str, number: u64) -> Outcome {
    let repo = state.repo(key)?;
    repo.issue(number)?;
    let found: Vec<&Comment> = repo.comments.values().filter(|comment| comment.issue == number).collect();
    Ok(page::list(&state.url, call, &found, |comment| shape::comment(state, repo, comment)))
}

/// `POST issues/{number}/comments`.
pub(crate) fn create_comment(state: &mut State, call: &Call, key: &str, number: u64, login: &str) -> Outcome {
    let body = call.json()?;
    let words = required(&body, "IssueComment", "body")?;
    let id = add_comment(state, key, number, login, words)?;
    let repo = state.repo(key)?;
    let comment = repo.comments.get(&id).ok_or_else(Reply::not_found)?;
    let value = shape::comment(state, repo, comment);
    let place = value.get("url").and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(Reply::json(201, &value).with("location", place))
}

/// Adds a comment and answers with its id.
pub(crate) fn add_comment(
    state: &mut State,
    key: &str,
    number: u64,
    login: &str,
    body: &str,
) -> Result<u64, Reply> {
    let (id, now) = (state.fresh_id(), state.now());
    let repo = state.repo_mut(key)?;
    repo.issue_mut(number)?.updated_at = now;
    let comment = Comment {
        id,
        issue: number,
        user: login.to_owned(),
        body: body.to_owned(),
        created_at: now,
        updated_at: now,
    };
    repo.comments.insert(id, comment);
    Ok(id)
}

/// `GET`, `PATCH` and `DELETE issues/comments/{id}`.
pub(crate) fn comment(state: &mut State, call: &Call, key: &str, id: u64, login: Option<&str>) -> Outcome {
    let repo = state.repo(key)?;
    let found = repo.comments.get(&id).ok_or_else(Reply::not_found)?;
    if call.method == "GET" {
        return Ok(Reply::json(200, &shape::comment(state, repo, found)));
    }
    let own = login.is_some_and(|login| found.user.eq_ignore_ascii_case(login));
    if !own && state.permission(login, repo) < Permission::Write {
        return Err(Reply::forbidden("Must have admin rights to Repository."));
    }
    if call.method == "DELETE" {
        state.repo_mut(key)?.comments.remove(&id);
        return Ok(Reply::empty(204));
    }
    let body = call.json()?;
    let words = required(&body, "IssueComment", "body")?.to_owned();
    let now = state.now();
    if let Some(found) = state.repo_mut(key)?.comments.get_mut(&id) {
        found.body = words;
        found.updated_at = now;
    }
    let repo = state.repo(key)?;
    let found = repo.comments.get(&id).ok_or_else(Reply::not_found)?;
    Ok(Reply::json(200, &shape::comment(state, repo, found)))
}

/// `GET`, `POST` and `PUT issues/{number}/labels`.
pub(crate) fn labels(state: &mut State, call: &Call, key: &str, number: u64) -> Outcome {
    if call.writes() {
        // The body may be a bare array, which `Call::json` refuses.
        let parsed: Value =
            serde_json::from_slice(&call.body).map_err(|_| Reply::error(400, "Problems parsing JSON"))?;
        let wrapped = if parsed.is_array() { serde_json::json!({"labels": parsed}) } else { parsed };
        state.repo(key)?.issue(number)?;
        let names = strings(&wrapped, "labels")
            .ok_or_else(|| Reply::invalid("Label", "labels", "missing_field", None))?;
        let names = ensure_labels(state, key, names)?;
        add_labels(state, key, number, names, call.method == "PUT")?;
    }
    let repo = state.repo(key)?;
    Ok(Reply::json(200, &shape::issue_labels(state, repo, repo.issue(number)?)))
}

/// Adds labels to an issue, or replaces them.
pub(crate) fn add_labels(
    state: &mut State,
    key: &str,
    number: u64,
    names: Vec<String>,
    replace: bool,
) -> Result<(), Reply> {
    let now = state.now();
    let issue = state.repo_mut(key)?.issue_mut(number)?;
    if replace {
        issue.labels.clear();
    }
    for name in names {
        if !issue.labels.contains(&name) {
            issue.labels.push(name);
        }
    }
    issue.updated_at = now;
    Ok(())
}

/// `DELETE issues/{number}/labels/{name}`.
pub(crate) fn remove_label(state: &mut State, key: &str, number: u64, name: &str) -> Outcome {
    let issue = state.repo_mut(key)?.issue_mut(number)?;
    let before = issue.labels.len();
    issue.labels.retain(|label| !label.eq_ignore_ascii_case(name));
    if issue.labels.len() == before {
        return Err(Reply::error(404, "Label does not exist"));
    }
    let repo = state.repo(key)?;
    Ok(Reply::json(200, &shape::issue_labels(state, repo, repo.issue(number)?)))
}

/// `GET labels`.
pub(crate) fn list_labels(state: &State, call: &Call, key: &str) -> Outcome {
    let repo = state.repo(key)?;
    Ok(page::list(&state.url, call, &repo.labels, |label| shape::label(state, repo, label)))
}

/// `GET labels/{name}`.
pub(crate) fn get_label(state: &State, key: &str, name: &str) -> Outcome {
    let repo = state.repo(key)?;
    let label = repo.label(name).ok_or_else(Reply::not_found)?;
    Ok(Reply::json(200, &shape::label(state, repo, label)))
}

/// `POST labels`.
pub(crate) fn create_label(state: &mut State, call: &Call, key: &str) -> Outcome {
    let body = call.json()?;
    let name = required(&body, "Label", "name")?.to_owned();
    if state.repo(key)?.label(&name).is_some() {
        return Err(Reply::invalid("Label", "name", "already_exists", None));
    }
    let color = text(&body, "color").unwrap_or_else(|| "ededed".into());
    if color.len() != 6 || !color.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Reply::invalid("Label", "color", "invalid", None));
    }
    let label = Label { id: state.fresh_id(), name, color, description: text(&body, "description") };
    state.repo_mut(key)?.labels.push(label.clone());
    let repo = state.repo(key)?;
    Ok(Reply::json(201, &shape::label(state, repo, &label)))
}

/// `GET milestones`.
pub(crate) fn milestones(state: &State, call: &Call, key: &str) -> Outcome {
    let repo = state.repo(key)?;
    let closed = call.param("state").as_deref() == Some("closed");
    let found = if closed { &[] } else { repo.milestones.as_slice() };
    Ok(page::list(&state.url, call, found, |stone| shape::milestone(state, repo, stone)))
}
