//! Commit statuses and check runs.

use git2::ObjectType;
use serde_json::{Value, json};

use super::page::{self, Page};
use super::shape;
use crate::forge::git;
use crate::forge::reply::{Call, Outcome, Reply, required, text};
use crate::forge::state::{CheckRun, State, Status};

const STATES: [&str; 4] = ["error", "failure", "pending", "success"];
const CONCLUSIONS: [&str; 8] =
    ["action_required", "cancelled", "failure", "neutral", "skipped", "stale", "success", "timed_out"];

/// `POST statuses/{sha}`.
pub(crate) fn create_status(state: &mut State, call: &Call, key: &str, sha: &str, login: &str) -> Outcome {
    let body = call.json()?;
    let value = required(&body, "Status", "state")?.to_owned();
    if !STATES.contains(&value.as_str()) {
        return Err(Reply::invalid("Status", "state", "invalid", None));
    }
    let git = state.repo(key)?.git()?;
    if git::object(&git, sha, ObjectType::Commit).is_none() {
        return Err(Reply::unprocessable(&format!("No commit found for SHA: {sha}")));
    }
    let status = Status {
        id: state.fresh_id(),
        sha: sha.to_owned(),
        state: value,
        context: text(&body, "context").unwrap_or_else(|| "default".into()),
        description: text(&body, "description"),
        target_url: text(&body, "target_url"),
        creator: login.to_owned(),
        at: state.now(),
    };
    state.repo_mut(key)?.statuses.push(status.clone());
    let repo = state.repo(key)?;
    let value = shape::status(state, repo, &status, true);
    Ok(Reply::json(201, &value).with("location", format!("{}/statuses/{sha}", shape::api(state, repo))))
}

/// `GET commits/{ref}/statuses`: all of them, newest first.
pub(crate) fn statuses(state: &State, call: &Call, key: &str, name: &str) -> Outcome {
    let repo = state.repo(key)?;
    let sha = super::history::resolve(&*repo.git()?, name)?.id().to_string();
    let found: Vec<&Status> = repo.statuses.iter().rev().filter(|status| status.sha == sha).collect();
    Ok(page::list(&state.url, call, &found, |status| shape::status(state, repo, status, true)))
}

/// `GET commits/{ref}/status`: the newest of each context and what they amount to.
pub(crate) fn combined(state: &State, call: &Call, key: &str, name: &str) -> Outcome {
    let repo = state.repo(key)?;
    let git = repo.git()?;
    let sha = git::commit_of(&git, name).ok_or_else(Reply::not_found)?.id().to_string();
    let mut latest: Vec<&Status> = Vec::new();
    for status in repo.statuses.iter().rev().filter(|status| status.sha == sha) {
        if !latest.iter().any(|newer| newer.context == status.context) {
            latest.push(status);
        }
    }
    latest.reverse();
    let any = |state: &str| latest.iter().any(|status| status.state == state);
    let overall = if any("failure") || any("error") {
        "failure"
    } else if latest.is_empty() || any("pending") {
        "pending"
    } else {
        "success"
    };
    let page = Page::of(call);
    let api = shape::api(state, repo);
    let body = json!({
        "state": overall, "sha": sha, "total_count": latest.len(),
        "statuses": page.slice(&latest).iter().map(|s| shape::status(state, repo, s, false)).collect::<Vec<_>>(),
        "repository": shape::repo(state, repo, call.user.as_deref(), false),
        "commit_url": format!("{api}/commits/{sha}"), "url": format!("{api}/commits/{sha}/status"),
    });
    Ok(page::linked(Reply::json(200, &body), page, &state.url, call, latest.len()))
}

/// `GET commits/{ref}/check-runs`.
pub(crate) fn runs(state: &State, call: &Call, key: &str, name: &str) -> Outcome {
    let repo = state.repo(key)?;
    let sha = super::history::resolve(&*repo.git()?, name)?.id().to_string();
    let (wanted, status) = (call.param("check_name"), call.param("status"));
    let every = call.param("filter").as_deref() == Some("all");
    let mut found: Vec<&CheckRun> = Vec::new();
    for run in repo.check_runs.iter().rev().filter(|run| run.sha == sha) {
        let fits = wanted.as_ref().is_none_or(|name| run.name == *name)
            && status.as_ref().is_none_or(|status| run.status == *status);
        if fits && (every || !found.iter().any(|newer| newer.name == run.name)) {
            found.push(run);
        }
    }
    let page = Page::of(call);
    let body = json!({
        "total_count": found.len(),
        "check_runs": page.slice(&found).iter().map(|run| shape::check_run(state, repo, run)).collect::<Vec<_>>(),
    });
    Ok(page::linked(Reply::json(200, &body), page, &state.url, call, found.len()))
}

/// `POST check-runs`, and `PATCH check-runs/{id}` with an id.
pub(crate) fn write_run(state: &mut State, call: &Call, key: &str, id: Option<u64>) -> Outcome {
    let body = call.json()?;
    let now = state.now();
    let repo = state.repo(key)?;
    let mut run = match id {
        Some(id) => repo.check_runs.iter().find(|run| run.id == id).cloned().ok_or_else(Reply::not_found)?,
        None => {
            let name = required(&body, "CheckRun", "name")?.to_owned();
            let sha = required(&body, "CheckRun", "head_sha")?.to_owned();
            if git::object(&*repo.git()?, &sha, ObjectType::Commit).is_none() {
                return Err(Reply::unprocessable(&format!("No commit found for SHA: {sha}")));
            }
            CheckRun {
                id: 0,
                sha,
                name,
                status: "queued".into(),
                conclusion: None,
                external_id: None,
                details_url: None,
                output: [None, None, None],
                started_at: now,
                completed_at: None,
            }
        }
    };
    fill(&mut run, &body)?;
    if run.status == "completed" {
        run.completed_at = run.completed_at.or(Some(now));
    }
    if id.is_none() {
        run.id = state.fresh_id();
    }
    let repo = state.repo_mut(key)?;
    repo.check_runs.retain(|old| old.id != run.id);
    repo.check_runs.push(run.clone());
    let repo = state.repo(key)?;
    let value = shape::check_run(state, repo, &run);
    let place = format!("{}/check-runs/{}", shape::api(state, repo), run.id);
    Ok(Reply::json(if id.is_some() { 200 } else { 201 }, &value).with("location", place))
}

fn fill(run: &mut CheckRun, body: &Value) -> Result<(), Reply> {
    if let Some(status) = text(body, "status") {
        if !["queued", "in_progress", "completed", "waiting", "requested", "pending"]
            .contains(&status.as_str())
        {
            return Err(Reply::invalid("CheckRun", "status", "invalid", None));
        }
        run.status = status;
    }
    if let Some(conclusion) = text(body, "conclusion") {
        if !CONCLUSIONS.contains(&conclusion.as_str()) {
            return Err(Reply::invalid("CheckRun", "conclusion", "invalid", None));
        }
        run.conclusion = Some(conclusion);
        run.status = "completed".into();
    }
    if run.status == "completed" && run.conclusion.is_none() {
        return Err(Reply::invalid("CheckRun", "conclusion", "missing_field", None));
    }
    run.external_id = text(body, "external_id").or(run.external_id.take());
    run.details_url = text(body, "details_url").or(run.details_url.take());
    if let Some(output) = body.get("output") {
        run.output = [text(output, "title"), text(output, "summary"), text(output, "text")];
    }
    Ok(())
}

/// `GET check-runs/{id}`.
pub(crate) fn get_run(state: &State, key: &str, id: u64) -> Outcome {
    let repo = state.repo(key)?;
    let run = repo.check_runs.iter().find(|run| run.id == id).ok_or_else(Reply::not_found)?;
    Ok(Reply::json(200, &shape::check_run(state, repo, run)))
}
