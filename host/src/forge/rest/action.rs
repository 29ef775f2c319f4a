//! Dispatches and workflow runs. No workflow is executed: rules of the world say how runs end.

use serde_json::{Value, json};

use super::page::{self, Page};
use super::{git_shape, shape};
use crate::forge::git;
use crate::forge::people::{self, Subject};
use crate::forge::reply::{Call, Outcome, Reply, required};
use crate::forge::state::{Repo, Run, State};
use crate::forge::world::Trigger;

/// `POST dispatches`: recorded.
pub(crate) fn repository_dispatch(state: &mut State, call: &Call, key: &str) -> Outcome {
    let body = call.json()?;
    required(&body, "RepositoryDispatch", "event_type")
        .map_err(|_| Reply::unprocessable("Invalid request.\n\n\"event_type\" wasn't supplied."))?;
    state.repo_mut(key)?.dispatches.push(body);
    Ok(Reply::empty(204))
}

/// `POST actions/workflows/{workflow}/dispatches`: starts a run that waits for a rule to complete it.
pub(crate) fn workflow_dispatch(
    state: &mut State,
    call: &Call,
    key: &str,
    workflow: &str,
    login: &str,
) -> Outcome {
    let body = call.json()?;
    let reference = required(&body, "Workflow", "ref")
        .map_err(|_| Reply::unprocessable("Invalid request.\n\n\"ref\" wasn't supplied."))?
        .to_owned();
    let git = state.repo(key)?.git()?;
    let name = reference.trim_start_matches("refs/heads/").trim_start_matches("refs/tags/").to_owned();
    let commit = git::commit_of(&git, &name)
        .ok_or_else(|| Reply::unprocessable(&format!("No ref found for: {reference}")))?;
    let inputs = body.get("inputs").cloned().unwrap_or_else(|| json!({}));
    let sha = commit.id().to_string();
    let id = start(state, key, workflow, "workflow_dispatch", &name, &sha, login, inputs)?;
    people::cause(state, Trigger::WorkflowDispatched, key, &Subject::Run(id));
    Ok(Reply::empty(204))
}

/// Starts a queued run and answers with its id.
#[expect(clippy::too_many_arguments, reason = "a run has this many independent properties")]
pub(crate) fn start(
    state: &mut State,
    key: &str,
    workflow: &str,
    event: &str,
    branch: &str,
    sha: &str,
    actor: &str,
    inputs: Value,
) -> Result<u64, Reply> {
    let (id, now) = (state.fresh_id(), state.now());
    let repo = state.repo_mut(key)?;
    let number = repo.runs.iter().filter(|run| run.workflow == workflow).count() as u64 + 1;
    repo.runs.push(Run {
        id,
        number,
        workflow: workflow.to_owned(),
        event: event.to_owned(),
        branch: branch.to_owned(),
        sha: sha.to_owned(),
        status: "queued".into(),
        conclusion: None,
        inputs,
        actor: actor.to_owned(),
        created_at: now,
        updated_at: now,
    });
    Ok(id)
}

fn render(state: &State, repo: &Repo, run: &Run) -> Value {
    let head = || -> Option<Value> {
        let git = repo.git().ok()?;
        git.find_commit(git2::Oid::from_str(&run.sha).ok()?)
            .ok()
            .map(|commit| git_shape::simple_commit(&commit))
    };
    shape::run(state, repo, run, head().unwrap_or(Value::Null))
}

/// `GET actions/runs`, and of one workflow.
pub(crate) fn list(state: &State, call: &Call, key: &str, workflow: Option<&str>) -> Outcome {
    let repo = state.repo(key)?;
    let fits = |name: &str, own: &str| call.param(name).is_none_or(|wanted| wanted == own);
    let found: Vec<&Run> = repo
        .runs
        .iter()
        .rev()
        .filter(|run| workflow.is_none_or(|name| run.workflow.ends_with(name)))
        .filter(|run| fits("branch", &run.branch) && fits("event", &run.event) && fits("head_sha", &run.sha))
        .filter(|run| fits("actor", &run.actor))
        .filter(|run| {
            fits("status", &run.status) || call.param("status").as_deref() == run.conclusion.as_deref()
        })
        .collect();
    let page = Page::of(call);
    let shown: Vec<Value> = page.slice(&found).iter().map(|run| render(state, repo, run)).collect();
    let body = json!({"total_count": found.len(), "workflow_runs": shown});
    Ok(page::linked(Reply::json(200, &body), page, &state.url, call, found.len()))
}

/// `GET actions/runs/{id}`.
pub(crate) fn get(state: &State, key: &str, id: u64) -> Outcome {
    let repo = state.repo(key)?;
    let run = repo.runs.iter().find(|run| run.id == id).ok_or_else(Reply::not_found)?;
    Ok(Reply::json(200, &render(state, repo, run)))
}
