//! `castoff approve`: shows what a step asks, takes a person's answer, writes it down.
//!
//! The journal is held only while the answer is written: an open editor keeps nobody out.

use std::io::{BufRead, Write};
use std::path::Path;
use std::process::Command;

use castoff::clock::Clock;
use castoff::journal::{Answer, Document, Event, Question, RunState, Status, StepState};

use super::args::ApproveArgs;
use super::error::CommandError;
use super::exit::Exit;
use super::time::SystemClock;
use super::{App, Done, event, next, person, text};

pub(super) fn run(app: &App, args: ApproveArgs) -> Done {
    let (stored, _, state) = app.look(&args.run)?;
    let (step, question) = open_question(&state, args.step.as_deref())?;
    show(app, step, question);
    let document = document(app, question.document.as_ref(), args.file.as_deref())?;
    let choice = choice(app, question, args.choice)?;
    let answer = Answer {
        question: question.id.clone(),
        choice,
        document,
        comment: args.comment,
        by: person(args.person, &state),
        at: SystemClock.now(),
    };
    let said = format!("{} by {}", event::choice(&text::line(&answer.choice)), text::line(&answer.by));
    let id = step.node.id.clone();
    let state = app.decide(&stored, Event::Answered { step: id.clone(), answer })?;
    app.ui.say(&format!("{id}: {said}"));
    more_needed(app, &state, &id);
    app.ui.next(&next::command(&state));
    Ok(Exit::Done)
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

fn show(app: &App, step: &StepState, question: &Question) {
    let ui = &app.ui;
    ui.say(&ui.talk_paint().bold(&format!("{}  {}", step.node.id, text::line(&step.node.title))));
    ui.say(text::block(&question.prompt).trim_end());
    if let Some(document) = &question.document {
        ui.say(&format!("--- {}", text::line(&document.name)));
        ui.data(text::block(&document.text).trim_end());
        ui.say("---");
    }
    for artefact in &step.artefacts {
        ui.say(&format!("kept with the run: {}", text::line(&artefact.name)));
    }
}

/// The document as the person leaves it, when it may be edited: from a file, from the editor, or as it was generated.
fn document(
    app: &App,
    document: Option<&Document>,
    file: Option<&Path>,
) -> Result<Option<String>, CommandError> {
    let Some(document) = document else {
        return match file {
            Some(_) => Err(CommandError::usage("the question is about no document")),
            None => Ok(None),
        };
    };
    match (file, app.environment.editor()) {
        (Some(_), _) if !document.editable => {
            Err(CommandError::usage(format!("{} is not to be edited", text::line(&document.name))))
        }
        (None, _) if !document.editable => Ok(None),
        (Some(path), _) => {
            std::fs::read_to_string(path).map(Some).map_err(|error| CommandError::file(path, &error))
        }
        (None, Some(editor)) if app.ui.is_interactive() => edit(app, editor, document).map(Some),
        (None, _) => Ok(Some(document.text.clone())),
    }
}

/// Opens the person's editor on the document. The variable may hold arguments, as it does for git.
fn edit(app: &App, editor: &std::ffi::OsStr, document: &Document) -> Result<String, CommandError> {
    let folder = tempfile::tempdir()
        .map_err(|error| CommandError::new(Exit::Failed, format!("no temporary folder: {error}")))?;
    // Only the last part of the plugin's name for it, and nothing hidden: the file stays in its folder.
    let name: String = document
        .name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '-' })
        .collect();
    let path = folder.path().join(format!("document-{name}"));
    std::fs::write(&path, &document.text).map_err(|error| CommandError::file(&path, &error))?;
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
    let Some(step) = state.step(id) else { return };
    if let Status::Asks { question, .. } = &step.status
        && !step.is_answered()
    {
        app.ui
            .say(&format!("{} different people have to agree: more answers are needed", question.approvals));
    }
}
