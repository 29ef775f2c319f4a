//! Dispatches and workflow runs. No workflow is executed: rules of the world say how runs end.

use serde_json::{Value, json};

use super::page::{self, Page};
use super::{git_shape, shape};
use crate::forge::git;
use crate::forge::people::{self, Subject};
use crate::forge::reply::{Call, Outcome, Reply, flag, required};
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
    // A workflow nobody declared may be dispatched too: worlds need not hold workflow files.
    let workflow = named(state.repo(key)?, workflow)?.unwrap_or_else(|| workflow.to_owned());
    let id = start(state, key, &workflow, "workflow_dispatch", &name, &sha, login, inputs)?;
    people::cause(state, Trigger::WorkflowDispatched, key, &Subject::Run(id));
    if !flag(&body, "return_run_details").unwrap_or(false) {
        return Ok(Reply::empty(204));
    }
    let repo = state.repo(key)?;
    let tail = format!("actions/runs/{id}");
    let body = json!({
        "workflow_run_id": id, "run_url": format!("{}/{tail}", shape::api(state, repo)),
        "html_url": format!("{}/{tail}", shape::web(state, repo)),
    });
    Ok(Reply::json(200, &body))
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
    let workflow = match workflow {
        Some(wanted) => Some(named(repo, wanted)?.ok_or_else(Reply::not_found)?),
        None => None,
    };
    let fits = |name: &str, own: &str| call.param(name).is_none_or(|wanted| wanted == own);
    let found: Vec<&Run> = repo
        .runs
        .iter()
        .rev()
        .filter(|run| workflow.as_ref().is_none_or(|name| run.workflow.ends_with(name.as_str())))
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

/// Workflows: the files under `.github/workflows` of the default branch, and those that ran.
fn names(repo: &Repo) -> Result<Vec<String>, git2::Error> {
    let git = repo.git()?;
    let mut names: Vec<String> = Vec::new();
    if let Some(commit) = git::commit_of(&git, &repo.default_branch)
        && let Ok(entry) = commit.tree()?.get_path(std::path::Path::new(".github/workflows"))
        && let Ok(tree) = git.find_tree(entry.id())
    {
        names.extend(tree.iter().map(|entry| String::from_utf8_lossy(entry.name_bytes()).into_owned()));
    }
    for run in &repo.runs {
        let name = run.workflow.trim_start_matches(".github/workflows/");
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

fn render_workflow(state: &State, repo: &Repo, name: &str) -> Value {
    let id = shape::workflow_id(name);
    let (at, web) = (shape::time(repo.created_at), shape::web(state, repo));
    json!({
        "id": id, "node_id": shape::node("Workflow", id), "name": name, "state": "active",
        "url": format!("{}/actions/workflows/{id}", shape::api(state, repo)),
        "path": format!(".github/workflows/{name}"), "created_at": at, "updated_at": at,
        "html_url": format!("{web}/blob/{}/.github/workflows/{name}", repo.default_branch),
        "badge_url": format!("{web}/workflows/{name}/badge.svg"),
    })
}

/// `GET actions/workflows`.
pub(crate) fn workflows(state: &State, call: &Call, key: &str) -> Outcome {
    let repo = state.repo(key)?;
    let names = names(repo)?;
    let page = Page::of(call);
    let shown: Vec<Value> =
        page.slice(&names).iter().map(|name| render_workflow(state, repo, name)).collect();
    let body = json!({"total_count": names.len(), "workflows": shown});
    Ok(page::linked(Reply::json(200, &body), page, &state.url, call, names.len()))
}

/// `GET actions/workflows/{id or file name}`.
pub(crate) fn workflow(state: &State, key: &str, wanted: &str) -> Outcome {
    let repo = state.repo(key)?;
    let name = named(repo, wanted)?.ok_or_else(Reply::not_found)?;
    Ok(Reply::json(200, &render_workflow(state, repo, &name)))
}

/// The file name of a workflow given by number or file name.
fn named(repo: &Repo, wanted: &str) -> Result<Option<String>, git2::Error> {
    let mut names = names(repo)?.into_iter();
    Ok(names.find(|name| name == wanted || shape::workflow_id(name).to_string() == wanted))
}
