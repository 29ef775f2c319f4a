//! The numbers that the shell sees, each with its meaning: scripts may branch on them.

use std::process::ExitCode;

use castoff::journal::{RunState, Status, Verdict};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// What was asked is done.
    Done,
    /// It could not be done.
    Failed,
    /// The arguments or a file are wrong.
    Usage,
    /// The run waits for something outside.
    Waiting,
    /// The run waits for a person's answer.
    Asks,
    /// A plan shows something to do.
    Changes,
    /// The policy does not allow it.
    Denied,
    /// The world holds something else.
    Conflict,
    /// Nobody knows what became of an effect.
    Unknown,
    /// The plugin crashed.
    Fault,
    /// The plan does not show it.
    Unplanned,
    /// The world is not the one that the plan was made for.
    Moved,
    /// Another process drives the run.
    Held,
    /// The journal is damaged.
    Damaged,
    /// A remote does not answer.
    Unavailable,
    /// A bug of this program.
    Internal,
}

impl Exit {
    /// All of them, by number.
    pub(crate) const ALL: [Self; 16] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::Waiting,
        Self::Asks,
        Self::Changes,
        Self::Denied,
        Self::Conflict,
        Self::Unknown,
        Self::Fault,
        Self::Unplanned,
        Self::Moved,
        Self::Held,
        Self::Damaged,
        Self::Unavailable,
        Self::Internal,
    ];

    /// The number.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Waiting => 10,
            Self::Asks => 11,
            Self::Changes => 12,
            Self::Denied => 20,
            Self::Conflict => 21,
            Self::Unknown => 22,
            Self::Fault => 23,
            Self::Unplanned => 24,
            Self::Moved => 25,
            Self::Held => 30,
            Self::Damaged => 31,
            Self::Unavailable => 40,
            Self::Internal => 70,
        }
    }

    /// The word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::Waiting => "waiting",
            Self::Asks => "asks",
            Self::Changes => "changes",
            Self::Denied => "denied",
            Self::Conflict => "conflict",
            Self::Unknown => "unknown",
            Self::Fault => "fault",
            Self::Unplanned => "unplanned",
            Self::Moved => "moved",
            Self::Held => "held",
            Self::Damaged => "damaged",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }

    /// What it means and what to do.
    pub(crate) fn meaning(self) -> (&'static str, &'static str) {
        match self {
            Self::Done => ("What was asked is done; a run has finished.", "Nothing."),
            Self::Failed => (
                "It could not be done, or a step of the run failed for a reason of its own.",
                "`castoff status RUN` shows the step and its words. After mending the cause: `castoff retry RUN STEP`, \
                 then `castoff resume RUN`.",
            ),
            Self::Usage => (
                "The arguments, the release file, the policy or the inputs are wrong. Nothing has happened.",
                "Mend what the message points at.",
            ),
            Self::Waiting => (
                "The run is parked: something outside has to happen first. No process is left behind.",
                "`castoff status RUN` says what and whose move it is. `castoff resume RUN` looks again, \
                 `castoff resume RUN --watch` keeps looking.",
            ),
            Self::Asks => (
                "The run is parked: a person has to answer, or to confirm a step that cannot be undone.",
                "`castoff approve RUN` shows the question and takes the answer; then `castoff resume RUN`. \
                 `castoff resume RUN --confirm VERSION` confirms.",
            ),
            Self::Changes => (
                "A plan was made, and there is something to do; or a newer plugin asks for more powers. Nothing has happened.",
                "Read the plan, then `castoff run FILE --plan DIGEST` does exactly that. Grant a plugin's new powers in the \
                 policy, or keep the old version.",
            ),
            Self::Denied => (
                "The policy does not allow what a step wanted, or there is no policy. The call was not made.",
                "The message names the line that would allow it. A run keeps the policy it began with: abort it and \
                 begin again with the new one, or skip the step.",
            ),
            Self::Conflict => (
                "The world holds something else than the run was to make, for example a tag that points elsewhere. \
                 Nothing was overwritten.",
                "Find out who made it. Then retry the step, skip it, or abort the run.",
            ),
            Self::Unknown => (
                "An effect was sent and no answer came, and there is no way to look it up. It is not sent again.",
                "Look yourself whether it happened, then `castoff resume RUN --assume done` or `--assume not-done`.",
            ),
            Self::Fault => (
                "The plugin crashed or ran into a limit. It was contained; only its step is affected.",
                "This is a bug of the plugin: report it with `castoff log RUN`. `castoff retry RUN STEP` tries again.",
            ),
            Self::Unplanned => (
                "The run is held to a plan and came to something that the plan does not show: it was not done.",
                "`castoff plan RUN` makes the next plan from where the run stands; \
                 `castoff resume RUN --plan DIGEST` goes on with it.",
            ),
            Self::Moved => (
                "The plan was made for another world: a ref moved, or file, plugin or policy are not the same. \
                 Nothing has happened.",
                "Read the difference, then make a new plan with `castoff plan`.",
            ),
            Self::Held => (
                "Another process writes the journal of this run, another job has kept its state first, or another run of this \
                 release has not ended.",
                "Wait until the process ends; one that died holds nothing. Go on with the other run: \
                 `castoff resume RUN`.",
            ),
            Self::Damaged => (
                "The journal, or an export of it, holds something that was not written there in this order; or a signature \
                 is of something else; or the state that was kept for a job is not whole, or parted from the run that is \
                 here. A damaged journal is not continued.",
                "Restore the run's folder from a backup; otherwise look at the world by hand.",
            ),
            Self::Unavailable => (
                "A remote does not answer, or limits requests.",
                "Try later: `castoff resume RUN` tries such steps again.",
            ),
            Self::Internal => ("A bug of castoff.", "Report it with the message."),
        }
    }

    /// What an error that a step reported amounts to.
    pub(crate) fn of_error(kind: &str) -> Self {
        match kind {
            "denied" => Self::Denied,
            "conflict" => Self::Conflict,
            "fault" => Self::Fault,
            "unplanned" => Self::Unplanned,
            "unavailable" | "rate-limited" => Self::Unavailable,
            _ => Self::Failed,
        }
    }

    /// How a comparison of two versions of a plugin ends: more powers are a change that somebody decides about.
    pub(crate) fn of_difference(difference: &castoff::policy::Difference) -> Self {
        if difference.gained.is_empty() { Self::Done } else { Self::Changes }
    }

    /// How a command that drove a run to where it stands ends.
    pub(crate) fn of_run(state: &RunState) -> Self {
        match state.verdict() {
            Verdict::Finished => Self::Done,
            Verdict::Aborted => Self::Failed,
            Verdict::Unknown => Self::Unknown,
            Verdict::Asks => Self::Asks,
            // Something could start and did not: the driver was told to do only a part.
            Verdict::Waiting | Verdict::Ready => Self::Waiting,
            Verdict::Failed => state
                .steps()
                .find_map(|step| match &step.status {
                    Status::Failed { error, .. } => Some(Self::of_error(error)),
                    _ => None,
                })
                .unwrap_or(Self::Failed),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_words_are_different() {
        for (at, exit) in Exit::ALL.into_iter().enumerate() {
            for other in Exit::ALL.into_iter().skip(at + 1) {
                assert_ne!(exit.number(), other.number());
                assert_ne!(exit.word(), other.word());
            }
        }
    }
}
