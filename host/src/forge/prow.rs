//! Prow's list of jobs, for promotions that are jobs.

use serde_json::{Value, json};

use super::reply::{Call, Reply};
use super::rest::shape;
use super::state::State;

/// Where the list lives.
pub(crate) const HOST: &str = "prow.k8s.io";

/// A job.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) name: String,
    pub(crate) repository: String,
    pub(crate) sha: String,
    pub(crate) state: &'static str,
    pub(crate) started: chrono::DateTime<chrono::Utc>,
}

/// Answers for the service.
pub(crate) fn answer(state: &State, call: &Call) -> Reply {
    if call.path != "/prowjobs.js" || !matches!(call.method.as_str(), "GET" | "HEAD") {
        return Reply::text(404, "Not Found");
    }
    let items: Vec<Value> =
        state.services.jobs.iter().enumerate().rev().map(|(number, job)| shown(number, job)).collect();
    Reply::json(200, &json!({ "items": items }))
}

fn shown(number: usize, job: &Job) -> Value {
    let (org, repo) = job.repository.split_once('/').unwrap_or_default();
    let id = format!("{}", 1_800_000_000 + number);
    json!({
        "kind": "ProwJob", "metadata": { "name": format!("job-{id}") },
        "spec": {
            "type": "postsubmit", "job": job.name,
            "refs": { "org": org, "repo": repo, "base_sha": job.sha },
        },
        "status": {
            "state": job.state, "startTime": shape::time(job.started), "build_id": id,
            "url": format!("https://{HOST}/view/gs/kubernetes-ci-logs/logs/{}/{id}", job.name),
        },
    })
}
