//! The mutations clients of release work send.

use serde_json::{Map, Value, json};

use super::Fault;
use super::object::{Arguments, Out, Thing, data, find, unknown, word, words};
use super::pull::state_of;
use crate::forge::reply::Call;
use crate::forge::rest::{self, shape};
use crate::forge::state::State;
use crate::forge::world::{MergeMethod, Permission};

pub(super) fn mutation(
    state: &mut State,
    call: &Call,
    field: &str,
    arguments: &Arguments,
) -> Result<Out, Fault> {
    let empty = Map::new();
    let input = arguments.get("input").and_then(Value::as_object).unwrap_or(&empty);
    let login = rest::login(call)?.to_owned();
    let subject = ["pullRequestId", "subjectId", "issueId", "labelableId"]
        .iter()
        .find_map(|name| input.get(*name).and_then(Value::as_str));
    let mut result = json!({"__typename": "Payload", "clientMutationId": input.get("clientMutationId")});
    let thing = match (field, subject) {
        ("createPullRequest", _) => create_pull(state, call, input, &login)?,
        ("createIssue", _) => create_issue(state, call, input, &login)?,
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
    if let Some(comment) = repo.comments.values().rfind(|comment| comment.issue == number) {
        let url = format!("{}/{path}/{number}#issuecomment-{}", shape::web(state, repo), comment.id);
        let node = json!({
            "__typename": "IssueComment", "id": shape::node("IssueComment", comment.id), "url": url,
            "body": comment.body,
        });
        shape::merge(&mut result, json!({"commentEdge": {"__typename": "Edge", "node": node}}));
    }
    data(result)
}

pub(super) fn need(state: &State, key: &str, login: &str, level: Permission) -> Result<(), Fault> {
    if state.permission(Some(login), state.repo(key)?) < level {
        return Err(Fault::of(
            "FORBIDDEN",
            format!("{login} does not have the correct permissions to execute this"),
        ));
    }
    Ok(())
}

pub(super) fn create_pull(
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

pub(super) fn change(
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

fn create_issue(
    state: &mut State,
    call: &Call,
    input: &Arguments,
    login: &str,
) -> Result<(String, u64), Fault> {
    let Thing::Repository(key) = find(state, call, word(input, "repositoryId").unwrap_or(""))? else {
        return Err(Fault::of("NOT_FOUND", "Could not resolve to a Repository"));
    };
    let title = word(input, "title").unwrap_or("").to_owned();
    if title.is_empty() {
        return Err(Fault::of("UNPROCESSABLE", "Title can't be blank"));
    }
    let ids = words(input, "labelIds");
    let known = &state.repo(&key)?.labels;
    let labels = known.iter().filter(|label| ids.contains(&shape::node("Label", label.id)));
    let new = rest::issue::NewIssue {
        title,
        body: word(input, "body").map(str::to_owned),
        user: login.to_owned(),
        labels: labels.map(|label| label.name.clone()).collect(),
        ..rest::issue::NewIssue::default()
    };
    let number = rest::issue::open(state, &key, new)?;
    Ok((key, number))
}
