//! The trial: a pull request that nobody merges, in one repository, on which the new jobs run.

use castoff_sdk::Error;
use castoff_sdk::github::{self, Check, CheckState, PullState};
use castoff_sdk::process::{Condition, Context, Outcome};
use castoff_sdk::step::{conflict, done, invalid, not_found, waiting};
use serde::{Deserialize, Serialize};

use super::input::Inputs;
use super::{TRY, jobs};

/// Seconds between two looks: such a job takes an hour.
const POLL: u32 = 600;

/// What the steps `experimental-propose` and `trial-propose` left, as far as it matters here.
#[derive(Debug, Default, Deserialize)]
struct Proposed {
    number: Option<u64>,
    url: Option<String>,
    #[serde(default, rename = "jobs-added")]
    jobs_added: Vec<String>,
}

/// Output of the step `try`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Started {
    jobs: Vec<String>,
    comment: Option<String>,
}

/// Output of the step `tried`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Tried {
    /// The trial pull request; none where the repository had all changes already.
    pub(super) url: Option<String>,
    /// Jobs that passed.
    pub(super) passed: Vec<String>,
}

impl Tried {
    /// The trial in words.
    pub(super) fn lines(&self) -> Vec<String> {
        match &self.url {
            None => vec!["there was nothing to try: the repository had all changes already".to_owned()],
            Some(url) => self.passed.iter().map(|job| format!("{job} passed on {url}")).collect(),
        }
    }
}

/// Step `try`: asks Prow for the jobs, which do not run by themselves while the version is experimental.
pub(super) fn start(context: &Context, inputs: &Inputs) -> Result<Outcome, Error> {
    let repository = inputs.trial_repository()?;
    let trial: Proposed = context.needed_output("trial-propose")?;
    let generated: Proposed = context.output_of("experimental-propose")?.unwrap_or_default();
    let jobs = jobs::wanted(&inputs.trial_jobs, &generated.jobs_added, repository, &inputs.kubernetes);
    let Some(number) = trial.number else { return done(&Started { jobs, comment: None }) };
    let body: String = jobs.iter().map(|job| format!("/test {job}\n")).collect();
    let key = format!("test-kubernetes-{}", inputs.kubernetes);
    let comment = github::ensure_comment(repository, number, &key, &body)?;
    done(&Started { jobs, comment: Some(comment) })
}

/// Step `tried`: done when every one of these jobs passed; the other checks of the pull request do not count, since the shared scripts
/// were edited in place, which the unit job refuses.
pub(super) fn wait(context: &Context, inputs: &Inputs) -> Result<Outcome, Error> {
    let repository = inputs.trial_repository()?;
    let trial: Proposed = context.needed_output("trial-propose")?;
    let started: Started = context.needed_output(TRY)?;
    let Some(number) = trial.number else { return done(&Tried::default()) };
    let found = github::pull_requests(&[(repository.to_owned(), number)])?;
    let Some((_, pull)) = found.into_iter().next() else {
        return Err(not_found(format!("{repository} has no pull request {number} any more")));
    };
    if pull.state == PullState::Closed {
        return Err(conflict(format!("{} was closed before its jobs passed. Reopen it and go on", pull.url)));
    }
    let commit = pull.head_commit.ok_or_else(|| invalid(format!("{} has no head any more", pull.url)))?;
    match look(&started.jobs, &github::checks(repository, &commit)?) {
        Look::Passed => done(&Tried { url: trial.url.or(Some(pull.url)), passed: started.jobs }),
        Look::Failed(jobs) => Err(conflict(format!(
            "{} on {}. Mend the cause on that branch (or in the jobs), ask for the job again with /test, and retry this step; what \
             is mended in prow.sh belongs to the inputs as well",
            jobs.join(", "),
            pull.url
        ))),
        Look::Pending(jobs) => Ok(waiting(
            Condition::ChecksGreen((repository.to_owned(), commit)),
            format!("not passed yet on {}: {}", pull.url, jobs.join(", ")),
            Some(pull.url),
            POLL,
            0,
        )),
    }
}

/// How the jobs stand.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    Passed,
    Failed(Vec<String>),
    Pending(Vec<String>),
}

fn look(jobs: &[String], checks: &[Check]) -> Look {
    let state = |job: &String| checks.iter().find(|check| check.name == *job);
    let failed: Vec<String> = jobs
        .iter()
        .filter_map(|job| state(job).filter(|check| check.state == CheckState::Failure))
        .map(|check| format!("{} failed ({})", check.name, check.url.as_deref().unwrap_or("no page")))
        .collect();
    if !failed.is_empty() {
        return Look::Failed(failed);
    }
    let passed = |job: &&String| state(job).is_some_and(|check| check.state == CheckState::Success);
    let pending: Vec<String> = jobs.iter().filter(|job| !passed(job)).cloned().collect();
    if pending.is_empty() { Look::Passed } else { Look::Pending(pending) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_jobs_that_were_started_count() {
        let check = |name: &str, state| Check { name: name.to_owned(), state, url: Some("u".to_owned()) };
        let jobs = ["a".to_owned(), "b".to_owned()];
        let unit = check("unit", CheckState::Failure);
        let cases = [
            (vec![unit.clone()], Look::Pending(vec!["a".to_owned(), "b".to_owned()])),
            (
                vec![check("a", CheckState::Success), check("b", CheckState::Pending)],
                Look::Pending(vec!["b".to_owned()]),
            ),
            (
                vec![check("a", CheckState::Failure), check("b", CheckState::Success)],
                Look::Failed(vec!["a failed (u)".to_owned()]),
            ),
            (vec![check("a", CheckState::Success), check("b", CheckState::Success), unit], Look::Passed),
        ];
        for (checks, expected) in cases {
            assert_eq!(look(&jobs, &checks), expected);
        }
    }
}
