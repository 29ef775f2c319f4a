//! Answers that are given elsewhere: a question written to a file, and a signed file taken as an answer.

use std::path::Path;

use castoff::ballot::{Ballot, BallotError};
use castoff::clock::Clock;
use castoff::journal::{Journal, RunState, StepState};
use castoff::site::Stored;

use super::error::CommandError;
use super::exit::Exit;
use super::time::SystemClock;
use super::{App, Done, approve, text};

/// Writes the question of a step to a file.
pub(super) fn write(app: &App, journal: &Journal, state: &RunState, step: &StepState, file: &Path) -> Done {
    let id = &step.node.id;
    let ballot = Ballot::of(state, &journal.events()?, id).and_then(|ballot| ballot.text())?;
    std::fs::write(file, ballot).map_err(|error| CommandError::file(file, &error))?;
    let (run, shown) = (&state.header().run, file.display());
    app.ui.say(&format!("{id}: whoever answers fills in `answer` in {shown}, then"));
    app.ui.say(&format!("ssh-keygen -Y sign -n castoff -f KEY {shown}"));
    app.ui.next(&format!("castoff approve {run} {id} --answer {shown} --signature {shown}.sig"));
    Ok(Exit::Done)
}

/// Takes the answer in a signed file.
pub(super) fn take(
    app: &App,
    stored: &Stored,
    journal: &Journal,
    state: &RunState,
    step: &StepState,
    [file, signature]: [&Path; 2],
) -> Done {
    let bytes = std::fs::read(file).map_err(|error| CommandError::file(file, &error))?;
    let signed = std::fs::read_to_string(signature).map_err(|error| CommandError::file(signature, &error))?;
    let ballot = Ballot::of(state, &journal.events()?, &step.node.id)?;
    let approval = stored.policy.as_deref().map(|policy| policy.approval());
    let keys = |person: &str| approval.map(|approval| approval.keys_of(person)).unwrap_or_default();
    let answer = ballot.accept(&bytes, &signed, keys, SystemClock.now())?;
    app.ui.say(&format!("signed by {}", text::line(&answer.by)));
    approve::record(app, stored, step, answer)
}

impl From<BallotError> for CommandError {
    fn from(error: BallotError) -> Self {
        let exit = match &error {
            BallotError::NoKey(_) | BallotError::Signature { .. } => Exit::Denied,
            _ => Exit::Usage,
        };
        let made = Self::new(exit, error.to_string());
        match error {
            BallotError::NoKey(_) => made.hint("[approval.keys] in the policy that the run began with"),
            BallotError::Other { .. } => made.hint("write the question again: --write-request FILE"),
            _ => made,
        }
    }
}
