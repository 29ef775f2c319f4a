//! `castoff approve`: shows what a step asks, takes a person's answer, writes it down.
//!
//! The journal is held only while the answer is written: an open editor keeps nobody out.

use std::io::{BufRead, Write};
use std::path::Path;
use std::process::Command;

use castoff::clock::Clock;
use castoff::draft::{self, Draft};
use castoff::journal::{
    Answer, Document, Event, Question, Refusal, Rule, RunState, Status, StepState, Via, approval,
};
use castoff::site::Stored;

use super::args::ApproveArgs;
use super::error::CommandError;
use super::exit::Exit;
use super::time::SystemClock;
use super::{App, Done, ballot, event, next, person, text, train};

pub(super) fn run(app: &App, args: ApproveArgs) -> Done {
    let (stored, journal, state) = match app.look(&args.run)? {
        (_, _, state) if castoff::train::is_train(state.header()) => {
            app.look(&train::asking(app, &state)?)?
        }
        found => found,
    };
    let (step, question) = open_question(&state, args.step.as_deref())?;
    if let Some(file) = &args.write_request {
        return ballot::write(app, &journal, &state, step, file);
    }
    if let (Some(file), Some(signature)) = (&args.answer, &args.signature) {
        return ballot::take(app, &stored, &journal, &state, step, [file, signature]);
    }
    let by = person(args.person, &state);
    // Before anybody reads or edits: is it theirs to answer?
    if let Some(refusal) = refusal(step, question, &by) {
        return Err(refused(refusal, step));
    }
    let draft = draft::draft(step);
    show(app, step, question, draft.as_ref());
    let document = document(app, question.document.as_ref(), draft.as_ref(), args.file.as_deref())?;
    let choice = choice(app, question, args.choice)?;
    let answer = Answer {
        question: question.id.clone(),
        choice,
        document,
        comment: args.comment,
        by,
        at: SystemClock.now(),
        via: Some(Via::Cli),
    };
    record(app, &stored, step, answer)
}

/// Writes an answer down; when that fails, what the person wrote is kept.
pub(super) fn record(app: &App, stored: &Stored, step: &StepState, answer: Answer) -> Done {
    let id = step.node.id.clone();
    let said = format!("{} by {}", event::choice(&text::line(&answer.choice)), text::line(&answer.by));
    let written = answer.document.clone();
    let event = Event::Answered { step: id.clone(), answer };
    let state = app.decide(stored, event).map_err(|error| match written {
        Some(text) => keep(stored, &id, &text, error),
        None => error,
    })?;
    app.ui.say(&format!("{id}: {said}"));
    more_needed(app, &state, &id);
    app.ui.next(&next::command(&state));
    Ok(Exit::Done)
}

/// Why a person's answer to a question would be refused, before it is given.
fn refusal(step: &StepState, question: &Question, by: &str) -> Option<Refusal> {
    let unproved = question.rule.as_ref().is_some_and(|rule| rule.proof);
    approval::refusal_of_person(question, step.given(), by).or(unproved.then_some(Refusal::Unproved))
}

/// A refusal with what to do instead.
fn refused(refusal: Refusal, step: &StepState) -> CommandError {
    let rule = step.question().and_then(|question| question.rule.as_ref());
    let others = rule.and_then(Rule::eligible).unwrap_or_default().join(", ");
    let mut error = CommandError::from(refusal.clone());
    match refusal {
        Refusal::Nameless => error.hints.push("--as LOGIN".into()),
        Refusal::Author(_) if others.is_empty() => {
            error.hints.push("somebody else answers with --as LOGIN".into());
        }
        Refusal::Author(_) | Refusal::Stranger { .. } | Refusal::Twice(_) if !others.is_empty() => {
            error.hints.push(format!("who may answer: {}", text::line(&others)));
        }
        Refusal::Unproved => {
            if let Some(channel) = rule.and_then(|rule| rule.channel.as_ref()) {
                let comment = format!("/castoff approve {}", step.node.id);
                error.hints.push(format!("on {}: a comment `{comment}`", text::line(channel)));
            }
            error.hints.push("--write-request FILE, for an answer that is signed".into());
        }
        _ => {}
    }
    error
}

/// Keeps a text that could not be answered with, so that nobody types it twice.
fn keep(stored: &Stored, step: &str, text: &str, mut error: CommandError) -> CommandError {
    let path = stored.folder.join(format!("unsent-{step}"));
    if std::fs::write(&path, text).is_ok() {
        error.hints.push(format!("the document is kept: --file {}", path.display()));
    }
    error
}

/// The step that asks; the only one when none is named.
fn open_question<'a>(
    state: &'a RunState,
    named: Option<&str>,
) -> Result<(&'a StepState, &'a Question), CommandError> {
    let asking = next::asked(state);
    let run = &state.header().run;
    let name = match (named, asking.as_slice()) {
        (Some(named), _) => named,
        (None, [only]) => only,
        (None, []) => {
            return Err(CommandError::usage("no step asks anything").hint(next::command(state)));
        }
        (None, several) => {
            return Err(CommandError::usage("several steps ask: name one")
                .hint(format!("castoff approve {run} {}", several.join("|"))));
        }
    };
    let Some(step) = state.step(name) else {
        let steps: Vec<&str> = state.steps().map(|step| step.node.id.as_str()).collect();
        return Err(CommandError::usage(format!("there is no step {name:?}"))
            .hint(format!("the run has: {}", steps.join(", "))));
    };
    match &step.status {
        Status::Asks { question, .. } => Ok((step, question)),
        other => Err(CommandError::usage(format!("{name} asks nothing: it is {}", other.word()))
            .hint(next::command(state))),
    }
}

fn show(app: &App, step: &StepState, question: &Question, draft: Option<&Draft>) {
    let ui = &app.ui;
    ui.say(&ui.talk_paint().bold(&format!("{}  {}", step.node.id, text::line(&step.node.title))));
    ui.say(text::block(&question.prompt).trim_end());
    if let Some(document) = &question.document {
        ui.say(&format!("--- {}", text::line(&document.name)));
        ui.data(text::block(draft.map_or(&document.text, |draft| &draft.text)).trim_end());
        ui.say("---");
    }
    if let Some(draft) = draft {
        warn(app, draft);
    }
    for artefact in &step.artefacts {
        ui.say(&format!("kept with the run: {}", text::line(&artefact.name)));
    }
}

/// Says what became of earlier edits.
fn warn(app: &App, draft: &Draft) {
    let Some(by) = &draft.edited_by else { return };
    let by = text::line(by);
    if !draft.regenerated {
        app.ui.say(&format!("as {by} left it"));
        return;
    }
    app.ui.say(&format!(
        "warning: the text was generated anew since {by} edited it; the edits are put in again: read the result"
    ));
    if draft.conflicts > 0 {
        app.ui.say(&format!(
            "warning: {} places changed on both sides and are marked with <<<<<<< and >>>>>>>: settle them",
            draft.conflicts
        ));
    }
}

/// The document as the person leaves it, when it may be edited: from a file, from the editor, or as it was generated.
fn document(
    app: &App,
    document: Option<&Document>,
    draft: Option<&Draft>,
    file: Option<&Path>,
) -> Result<Option<String>, CommandError> {
    let Some(document) = document else {
        return match file {
            Some(_) => Err(CommandError::usage("the question is about no document")),
            None => Ok(None),
        };
    };
    let start = draft.map_or(&document.text, |draft| &draft.text);
    match (file, app.environment.editor()) {
        (Some(_), _) if !document.editable => {
            Err(CommandError::usage(format!("{} is not to be edited", text::line(&document.name))))
        }
        (None, _) if !document.editable => Ok(None),
        (Some(path), _) => {
            std::fs::read_to_string(path).map(Some).map_err(|error| CommandError::file(path, &error))
        }
        (None, Some(editor)) if app.ui.is_interactive() => edit(app, editor, &document.name, start).map(Some),
        (None, _) if draft.is_some_and(|draft| draft.conflicts > 0) => {
            Err(CommandError::from(Refusal::Markers).hint("settle them in a file: --file FILE"))
        }
        (None, _) => Ok(Some(start.to_owned())),
    }
}

/// Opens the person's editor on the document. The variable may hold arguments, as it does for git.
fn edit(app: &App, editor: &std::ffi::OsStr, name: &str, start: &str) -> Result<String, CommandError> {
    let folder = tempfile::tempdir()
        .map_err(|error| CommandError::new(Exit::Failed, format!("no temporary folder: {error}")))?;
    // Only the last part of the plugin's name for it, and nothing hidden: the file stays in its folder.
    let name: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '-' })
        .collect();
    let path = folder.path().join(format!("document-{name}"));
    std::fs::write(&path, start).map_err(|error| CommandError::file(&path, &error))?;
    let editor = editor.to_string_lossy();
    let mut words = editor.split_whitespace();
    let program = words.next().unwrap_or("vi");
    app.ui.say(&format!("opening {}", text::line(&editor)));
    let status =
        Command::new(program).args(words).arg(&path).status().map_err(|error| {
            CommandError::usage(format!("the editor {program:?} cannot be started: {error}"))
        })?;
    if !status.success() {
        return Err(CommandError::usage("the editor ended with an error: nothing was answered"));
    }
    std::fs::read_to_string(&path).map_err(|error| CommandError::file(&path, &error))
}

/// The choice: as given, as typed, or the only one.
fn choice(app: &App, question: &Question, given: Option<String>) -> Result<String, CommandError> {
    let offered = question.choices.join(", ");
    let check = |choice: String| {
        if question.choices.is_empty() || question.choices.contains(&choice) {
            Ok(choice)
        } else {
            Err(CommandError::usage(format!("the choice {choice:?} is not offered"))
                .hint(format!("offered are: {}", text::line(&offered))))
        }
    };
    match (given, question.choices.first()) {
        (Some(given), _) => check(given),
        (None, None) => Ok(String::new()),
        (None, Some(_)) if app.ui.is_interactive() => {
            check(ask(&format!("your answer ({})", text::line(&offered)))?)
        }
        (None, Some(first)) => Err(CommandError::usage("an answer is needed")
            .hint(format!("--choice {}", text::line(first)))
            .hint(format!("offered are: {}", text::line(&offered)))),
    }
}

/// Asks the person at the terminal for one line.
pub(super) fn ask(what: &str) -> Result<String, CommandError> {
    let failed = |error: std::io::Error| CommandError::new(Exit::Failed, format!("the terminal: {error}"));
    let mut err = std::io::stderr().lock();
    write!(err, "{what}: ").and_then(|()| err.flush()).map_err(failed)?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(failed)?;
    Ok(answer.trim().to_owned())
}

/// Says so when one person's answer is not enough.
fn more_needed(app: &App, state: &RunState, id: &str) {
    if let Some(line) = state.step(id).and_then(still_needed) {
        app.ui.say(&line);
    }
}

/// Who agreed to the open question and who is still needed; `None` when it is decided.
pub(super) fn still_needed(step: &StepState) -> Option<String> {
    let (question, tally) = (step.question()?, step.tally()?);
    if tally.is_decided() {
        return None;
    }
    let mut line = format!("{} of {} agreed", tally.agreed.len(), tally.required);
    if !tally.agreed.is_empty() {
        line += &format!(" ({})", tally.agreed.join(", "));
    }
    let rule = question.rule.as_ref();
    let others: Option<Vec<&str>> = rule.and_then(Rule::eligible).map(|named| {
        let open = |person: &&str| !tally.agreed.iter().any(|one| approval::same(one, person));
        named.into_iter().filter(open).collect()
    });
    line += &match others {
        Some(others) if others.len() < tally.missing() => {
            format!(
                ": {} more are needed and only {} may answer ({}): the policy cannot be met",
                tally.missing(),
                others.len(),
                others.join(", ")
            )
        }
        Some(others) => format!(": {} more of {}", tally.missing(), others.join(", ")),
        None => format!(": {} more", tally.missing()),
    };
    if let Some(author) = rule.and_then(|rule| rule.excluded.first()).filter(|_| rule.is_some()) {
        line += &format!(", not {author}, who began the run");
    }
    Some(text::line(&line))
}
