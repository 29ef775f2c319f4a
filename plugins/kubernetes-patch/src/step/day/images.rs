//! Promotion of the day's images: one pull request, its job, the proof.

use castoff_sdk::Error;
use castoff_sdk::process::{Condition, Context, Outcome};
use castoff_sdk::step::{approval, conflict, done, waiting};
use serde::Deserialize;
use serde_json::json;

use super::super::promote::{self, Promoted};
use super::super::propose::{Merged, wait_merged};
use super::chat::{Saying, say};
use super::input::{Cut, Day, MadeFrom, Opened, Preflight, bound};
use super::{proof, service};
use crate::core::thread;

/// Name of the job.
const JOB: &str = "post-k8sio-image-promo";

/// Seconds between two looks at the job.
const POLL: u32 = 300;

/// All tags of the day, in the order of its cuts.
fn tags(context: &Context) -> Result<Vec<String>, Error> {
    let preflight: Preflight = context.needed_output("preflight")?;
    Ok(preflight.cuts.into_iter().flat_map(|cut| cut.tags.ordered).collect())
}

/// Nothing is promoted that was not made from what the day is bound to.
pub(super) fn promote(context: &Context, day: &Day) -> Result<Outcome, Error> {
    let of_stage = |cut: &Cut| Ok((cut.branch.clone(), proof::of_stage(day, cut, &bound(context, cut)?)?));
    let made_from = day.cuts.iter().map(of_stage).collect::<Result<_, Error>>()?;
    let promoted = promote::promote(&day.place, &tags(context)?)?;
    if let Some(why) = &promoted.incomplete {
        return Err(conflict(format!("what is promoted already should not have been: {why}")));
    }
    done(&MadeFrom { promoted, made_from })
}

pub(super) fn merged(context: &Context) -> Result<Outcome, Error> {
    wait_merged(&context.needed_output::<Promoted>("promote")?.pull, "The promotion")
}

/// Prow's list of jobs.
#[derive(Deserialize)]
struct Jobs {
    items: Vec<Job>,
}

#[derive(Deserialize)]
struct Job {
    spec: Spec,
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Spec {
    r#type: String,
    job: String,
    refs: Refs,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Refs {
    base_sha: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    state: String,
    #[serde(rename = "startTime")]
    start: String,
    build_id: String,
    url: String,
}

/// The newest job of a merge.
fn newest(jobs: Vec<Job>, merge: &str) -> Option<Status> {
    let own = jobs.into_iter().filter(|job| {
        job.spec.r#type == "postsubmit" && job.spec.job == JOB && job.spec.refs.base_sha == merge
    });
    own.map(|job| job.status)
        .max_by(|one, other| (&one.start, &one.build_id).cmp(&(&other.start, &other.build_id)))
}

/// Waits for the promotion job of the merge; a failed one is run again by a person.
pub(super) fn job(context: &Context, day: &Day) -> Result<Outcome, Error> {
    let merged: Merged = context.needed_output("promoted")?;
    let Some(merge) = merged.commit else { return done(&json!({ "state": "nothing to promote" })) };
    let promoted: Promoted = context.needed_output("promote")?;
    let url = "https://prow.k8s.io/prowjobs.js?omit=annotations,labels,decoration_config,pod_spec";
    let jobs: Jobs = serde_json::from_value(service::json(url, None)?)
        .map_err(|error| Error::Unavailable(format!("Prow's jobs cannot be read: {error}")))?;
    let job = newest(jobs.items, &merge);
    let state = job.as_ref().map_or("", |job| job.state.as_str());
    match (job.as_ref(), state) {
        (_, "success") => return done(&json!({ "state": state })),
        (Some(job), "failure" | "error" | "aborted") => {
            let question = format!("rerun-{}", job.build_id);
            if context.approved(&question)?.is_none() {
                let prompt = format!(
                    "The promotion job of {merge} ended {state}: {}\nLook for the cause; where it is a 429, click its rerun \
                     button. Was it started again?",
                    job.url
                );
                return Ok(approval(&question, prompt, None));
            }
        }
        // Jobs disappear from Prow's list: what counts are the digests in production.
        (None, _) if promote::missing(&day.place, &promoted.images)?.is_empty() => {
            return done(&json!({ "state": "no longer listed" }));
        }
        _ => {}
    }
    let page = job.map(|job| job.url).filter(|url| !url.is_empty());
    let on = Condition::JobSucceeded((JOB.to_owned(), page.clone().unwrap_or_default()));
    Ok(waiting(on, format!("{JOB} of {merge} has not succeeded yet"), page, POLL, 0))
}

/// Proves every digest, and says so in every thread.
pub(super) fn production(context: &Context, day: &Day) -> Result<Outcome, Error> {
    let promoted: Promoted = context.needed_output("promote")?;
    let missing = promote::missing(&day.place, &promoted.images)?;
    if !missing.is_empty() {
        return Ok(promote::waits(&missing, &promoted.images));
    }
    let signatures = proof::signatures(day, &day.place, &promoted.images)?;
    for cut in &day.cuts {
        tell(context, day, cut, promoted.pull.url.as_deref().unwrap_or_default())?;
    }
    let proved: usize = promoted.images.values().map(std::collections::BTreeMap::len).sum();
    done(&json!({ "proved": proved, "signatures": signatures }))
}

fn tell(context: &Context, day: &Day, cut: &Cut, url: &str) -> Result<(), Error> {
    let opened: Opened = context.needed_output(&cut.step("open"))?;
    let text = thread::promotion(url, thread::State::Done);
    let key = cut.step("images");
    let saying = Saying { key: &key, text: &text, thread: opened.thread.as_deref(), replaces: None };
    say(context, day, &saying).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_job_of_the_merge_counts() {
        let text = r#"{"items": [
            {"spec": {"type": "postsubmit", "job": "post-k8sio-image-promo", "refs": {"base_sha": "a"}},
             "status": {"state": "failure", "startTime": "2026-03-10T10:00:00Z", "build_id": "1", "url": "u"}},
            {"spec": {"type": "postsubmit", "job": "post-k8sio-image-promo", "refs": {"base_sha": "a"}},
             "status": {"state": "pending", "startTime": "2026-03-10T11:00:00Z", "build_id": "2"}},
            {"spec": {"type": "postsubmit", "job": "post-k8sio-image-promo", "refs": {"base_sha": "b"}},
             "status": {"state": "success", "startTime": "2026-03-10T12:00:00Z", "build_id": "3"}},
            {"spec": {"type": "periodic", "job": "ci-k8sio-image-promo"}, "status": {"state": "success"}}]}"#;
        for (merge, state) in [("a", Some("pending")), ("b", Some("success")), ("c", None)] {
            let jobs: Jobs = serde_json::from_str(text).expect("a list");
            assert_eq!(newest(jobs.items, merge).map(|job| job.state).as_deref(), state, "{merge}");
        }
    }
}
