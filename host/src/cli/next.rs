//! What to type next: the last line of most commands.

use castoff::journal::{Event, Record, RunState, Status, Verdict, World};
use castoff::run::UNPLANNED;

/// The command that brings a run on, or shows how it ended.
pub(crate) fn command(state: &RunState) -> String {
    let run = &state.header().run;
    if state.header().world == World::Rehearsal {
        // Its forge ended with it: there is nothing to go on with.
        return format!("castoff log {run}");
    }
    match state.verdict() {
        Verdict::Finished | Verdict::Aborted => format!("castoff log {run}"),
        Verdict::Ready => format!("castoff resume {run}"),
        Verdict::Waiting => format!("castoff resume {run} --watch"),
        Verdict::Unknown => format!("castoff resume {run} --assume done|not-done"),
        Verdict::Asks => match asked(state).as_slice() {
            [] => format!("castoff resume {run} --confirm {}", confirmable(state)),
            [step] => format!("castoff approve {run} {step}"),
            steps => format!("castoff approve {run} {}", steps.join("|")),
        },
        Verdict::Failed => failed(state),
    }
}

/// Steps whose question is not answered.
pub(crate) fn asked(state: &RunState) -> Vec<&str> {
    let open = state.steps().filter(|step| matches!(step.status, Status::Asks { .. }) && !step.is_answered());
    open.map(|step| step.node.id.as_str()).collect()
}

/// The version as a shell takes it as one word.
fn confirmable(state: &RunState) -> String {
    let version = super::text::line(state.header().version());
    if version.contains(|c: char| c.is_whitespace() || "'\"$`\\&|;<>()".contains(c)) {
        format!("'{}'", version.replace('\'', ""))
    } else {
        version
    }
}

fn failed(state: &RunState) -> String {
    let run = &state.header().run;
    let failed = state.steps().find_map(|step| match &step.status {
        Status::Failed { retryable, error, .. } => Some((&step.node.id, *retryable, error)),
        _ => None,
    });
    match failed {
        Some((_, _, error)) if error == UNPLANNED => format!("castoff plan {run}"),
        Some((step, false, _)) => format!("castoff retry {run} {step}"),
        _ => format!("castoff resume {run}"),
    }
}

/// When steps began and ended, from the times of events.
#[derive(Debug, Default)]
pub(crate) struct Timing {
    started: std::collections::BTreeMap<String, chrono::DateTime<chrono::Utc>>,
    last: std::collections::BTreeMap<String, (chrono::DateTime<chrono::Utc>, chrono::TimeDelta)>,
}

impl Timing {
    /// The times of a journal.
    pub(crate) fn of(records: &[Record]) -> Self {
        let mut timing = Self::default();
        for record in records {
            timing.take(record);
        }
        timing
    }

    /// Takes one more event into account.
    pub(crate) fn take(&mut self, record: &Record) {
        let Some(step) = record.event.step() else { return };
        match &record.event {
            Event::Started { .. } => {
                self.started.insert(step.to_owned(), record.time);
            }
            Event::Succeeded { .. }
            | Event::Waiting { .. }
            | Event::Asked { .. }
            | Event::Failed { .. }
            | Event::Fault { .. }
            | Event::Unknown { .. } => {
                let began = self.started.get(step).copied().unwrap_or(record.time);
                self.last.insert(step.to_owned(), (record.time, record.time - began));
            }
            Event::Skipped { .. } => {
                self.last.insert(step.to_owned(), (record.time, chrono::TimeDelta::zero()));
            }
            _ => {}
        }
    }

    /// When the latest attempt of a step ended and how long it took.
    pub(crate) fn ended(&self, step: &str) -> Option<(chrono::DateTime<chrono::Utc>, chrono::TimeDelta)> {
        self.last.get(step).copied()
    }

    /// When the latest attempt of a step began.
    pub(crate) fn began(&self, step: &str) -> Option<chrono::DateTime<chrono::Utc>> {
        self.started.get(step).copied()
    }
}
