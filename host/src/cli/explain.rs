//! `castoff explain`: what a number or word means and what to do.

use super::args::ExplainArgs;
use super::error::CommandError;
use super::exit::Exit;
use super::{App, Done};

/// Kinds of errors that a step can end with, with meaning and advice.
const ERRORS: &[(&str, &str, &str)] = &[
    (
        "denied",
        "A step wanted something that the policy does not grant, or that its plugin does not ask for. The call was not \
         made.",
        "`castoff log RUN` names the missing power and the policy line. Grant it and begin a new run, or skip the step.",
    ),
    (
        "not-found",
        "Something a step needs is not there: a repository, a ref, a file, a pull request.",
        "Check the inputs of the release file; make what is missing; then retry the step.",
    ),
    (
        "conflict",
        "The world holds something else than the step was to make. Nothing was overwritten.",
        "Find out who made it. Then retry the step, skip it, or abort the run.",
    ),
    (
        "unavailable",
        "A remote did not answer or could not. Nothing was changed by that call.",
        "`castoff resume RUN` tries again.",
    ),
    (
        "rate-limited",
        "A remote limits how many requests it takes.",
        "Wait as long as the message says, then `castoff resume RUN`.",
    ),
    (
        "invalid",
        "The step, its inputs or a text it read are wrong.",
        "Mend what the message names. Inputs are fixed for a run: to change them, abort it and begin again.",
    ),
    ("cancelled", "The call was stopped because the run was.", "`castoff resume RUN` tries again."),
    (
        "timeout",
        "What a step waited for did not happen in time.",
        "See why; then `castoff retry RUN STEP` waits anew, or `castoff skip RUN STEP --reason …` goes on without.",
    ),
    (
        "unplanned",
        "The run is held to a plan, and the plan does not show what the step was about to do. It was not done.",
        "`castoff plan RUN` makes the next plan; `castoff resume RUN --plan DIGEST` goes on with it.",
    ),
    (
        "fault",
        "The plugin crashed or ran into a limit. It was contained; only its step is affected.",
        "This is a bug of the plugin: report it with `castoff log RUN`. `castoff retry RUN STEP` tries again.",
    ),
];

/// Kinds of events, with what they say and what to do.
const EVENTS: &[(&str, &str, &str)] = &[
    ("run-created", "The run exists, with its plugin, inputs, time and identity.", "Nothing."),
    ("started", "A step is about to start; after a crash it starts again.", "Nothing."),
    (
        "denied",
        "The policy refused a call; it was not made.",
        "Grant the power the event names, or skip the step.",
    ),
    ("intent", "An effect is about to be performed; written before anything leaves.", "Nothing."),
    (
        "outcome",
        "What became of an effect: done, found there already, certainly not done, or not known.",
        "When it is not known and the step stopped: `castoff resume RUN --assume done|not-done`.",
    ),
    ("remark", "A step had something worth reading to say.", "Read it."),
    ("artefact", "A document is kept with the run, in its folder `artefacts`.", "Nothing."),
    ("succeeded", "A step is done; its outputs are kept for the steps after it.", "Nothing."),
    (
        "waiting",
        "A step waits for something outside.",
        "`castoff status RUN` says for what and whose move it is; `castoff resume RUN` looks again.",
    ),
    ("asked", "A step asks people.", "`castoff approve RUN STEP`."),
    (
        "bound",
        "What a value of the plan that only the forge could invent stands for in the world.",
        "Nothing.",
    ),
    ("plan-adopted", "From here on the run is held to another plan.", "Nothing."),
    ("confirmed", "A person confirmed a step that cannot be undone.", "`castoff resume RUN`."),
    ("answered", "A person answered.", "`castoff resume RUN` when enough have."),
    (
        "failed",
        "A step ended with an error.",
        "`castoff explain` with the error's kind; then retry or skip the step.",
    ),
    (
        "fault",
        "The plugin crashed in a step, or ran into a limit.",
        "`castoff retry RUN STEP`; report the bug.",
    ),
    (
        "unknown",
        "A step stopped because nobody knows what became of one of its effects.",
        "Look yourself, then `castoff resume RUN --assume done|not-done`.",
    ),
    (
        "skipped",
        "A person decided that a step is not needed.",
        "Nothing; `castoff retry RUN STEP` takes it back.",
    ),
    ("retried", "A step was sent back to its beginning.", "`castoff resume RUN`."),
    ("aborted", "A person ended the run.", "Nothing; it cannot go on."),
    ("finished", "Every step is done or skipped.", "Nothing."),
    ("unrecognised", "An event of a newer version of castoff.", "Use that version to continue the run."),
];

pub(super) fn run(app: &App, args: &ExplainArgs) -> Done {
    let found = match &args.code {
        None => all(),
        Some(code) => about(code.trim()),
    };
    if found.is_empty() {
        return Err(CommandError::usage("there is no such exit code, kind of error or kind of event")
            .hint("castoff explain lists them all"));
    }
    app.ui.data(&found.join("\n\n"));
    app.ui.next(if args.code.is_some() { "castoff status" } else { "castoff explain CODE" });
    Ok(Exit::Done)
}

/// Everything that a number or word means.
fn about(code: &str) -> Vec<String> {
    let exits = Exit::ALL.into_iter().filter(|exit| exit.word() == code || exit.number().to_string() == code);
    let exits = exits.map(|exit| {
        let (meaning, advice) = exit.meaning();
        entry(&format!("exit code {} ({})", exit.number(), exit.word()), meaning, advice)
    });
    let in_table = |what: &'static str, table: &'static [(&str, &str, &str)]| {
        let code = code.to_owned();
        let found = table.iter().filter(move |(word, ..)| *word == code);
        found.map(move |(word, meaning, advice)| entry(&format!("{what} {word}"), meaning, advice))
    };
    exits.chain(in_table("error", ERRORS)).chain(in_table("event", EVENTS)).collect()
}

fn entry(head: &str, meaning: &str, advice: &str) -> String {
    format!("{head}\n  {meaning}\n  What to do: {advice}")
}

/// One line each.
fn all() -> Vec<String> {
    let line = |name: &str, meaning: &str| format!("  {name:<17} {meaning}");
    let exits = Exit::ALL
        .into_iter()
        .map(|exit| line(&format!("{:<3} {}", exit.number(), exit.word()), exit.meaning().0));
    let table = |head: &str, lines: Vec<String>| format!("{head}\n{}", lines.join("\n"));
    let words = |entries: &[(&str, &str, &str)]| -> Vec<String> {
        entries.iter().map(|(word, meaning, _)| line(word, meaning)).collect()
    };
    vec![
        table("Exit codes", exits.collect()),
        table("Errors of steps", words(ERRORS)),
        table("Events", words(EVENTS)),
    ]
}
