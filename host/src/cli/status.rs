//! `castoff status`: one screen that says where a run stands and whose move it is.

use castoff::clock::Clock;
use castoff::journal::{
    Answer, Condition, End, Header, Journal, Rule, RunState, Status, StepKind, StepState, Verdict, World,
};
use castoff::site::Stored;
use serde_json::json;

use super::args::StatusArgs;
use super::error::CommandError;
use super::exit::Exit;
use super::next::{self, Timing};
use super::time::{self, SystemClock};
use super::ui::Paint;
use super::{App, Done, approve, event, text, train};

pub(super) fn run(app: &App, args: &StatusArgs) -> Done {
    if args.all {
        return list(app, args.json);
    }
    let (stored, journal, state) = app.look(&args.run)?;
    if castoff::train::is_train(state.header()) {
        return train::status(app, args, state);
    }
    let timing = Timing::of(&journal.events()?);
    if args.json {
        app.ui.json(&as_json(&stored, &state, &timing))?;
    } else {
        app.ui.data(&screen(app.ui.data_paint(), &state, &timing));
        let others = app.site()?.runs().len().saturating_sub(1);
        if others > 0 && args.run == "@latest" {
            app.ui.say(&format!("{others} more with castoff status --all"));
        }
        app.ui.next(&next::command(&state));
    }
    Ok(if args.exit_code { Exit::of_run(&state) } else { Exit::Done })
}

/// The state for programs: the fold of the journal, the verdict, and what to do next.
fn as_json(stored: &Stored, state: &RunState, timing: &Timing) -> serde_json::Value {
    let times: serde_json::Map<String, serde_json::Value> = state
        .steps()
        .map(|step| {
            let id = step.node.id.as_str();
            let (ended, took) = timing.ended(id).unzip();
            let took = took.map(|took| took.num_milliseconds());
            (id.to_owned(), json!({ "began": timing.began(id), "ended": ended, "milliseconds": took }))
        })
        .collect();
    json!({
        "run": stored.name,
        "verdict": state.verdict(),
        "exit-code": Exit::of_run(state).number(),
        "next": next::command(state),
        "times": times,
        "state": state,
    })
}

fn screen(paint: Paint, state: &RunState, timing: &Timing) -> String {
    let header = state.header();
    let world = place(header);
    let mut out = vec![
        format!("{}  {}", paint.bold(&text::line(&header.title)), paint.dim(&header.run)),
        format!(
            "{} {}, process {}, profile {}, {world}, begun {} by {}",
            text::line(&header.plugin.name),
            text::line(&header.plugin.version),
            text::line(&header.process),
            text::line(&header.profile),
            time::moment(header.pinned),
            text::line(&header.started_by)
        ),
        String::new(),
    ];
    let width = state.steps().map(|step| step.node.id.len()).max().unwrap_or_default();
    for step in state.steps() {
        out.push(row(paint, step, timing, width));
        out.extend(details(state, step, timing).iter().map(|more| text::indented(more, "      ")));
    }
    out.push(String::new());
    out.push(paint.bold(&verdict(state)));
    out.join("\n")
}

/// Where a run acts, in words.
pub(super) fn place(header: &Header) -> String {
    match (header.world, &header.forge) {
        (World::Live, None) => "in the world".to_owned(),
        (World::Live, Some(forge)) => format!("at {}", text::line(forge)),
        (World::Rehearsal, _) => "rehearsal".to_owned(),
    }
}

fn row(paint: Paint, step: &StepState, timing: &Timing, width: usize) -> String {
    let id = &step.node.id;
    let mut line = format!("  {} {id:<width$}  {}", paint.mark(&step.status), text::line(&step.node.title));
    if step.node.irreversible && !step.status.is_over() {
        line += &paint.dim("  (cannot be undone)");
    }
    if let (Status::Done { .. }, Some((_, took))) = (&step.status, timing.ended(id)) {
        line += &paint.dim(&format!("  {}", time::span(took)));
    }
    line
}

/// What a step that is not simply done or pending has to say.
pub(super) fn details(state: &RunState, step: &StepState, timing: &Timing) -> Vec<String> {
    let run = &state.header().run;
    let id = &step.node.id;
    let since = |at: chrono::DateTime<chrono::Utc>| {
        format!("since {} ({})", time::moment(at), time::span(SystemClock.now() - at))
    };
    match &step.status {
        Status::Pending => Vec::new(),
        Status::Done { .. } => decided(step),
        Status::Running => {
            let began = timing.began(id).map(|at| format!(" {}", since(at))).unwrap_or_default();
            vec![format!("running{began}, attempt {}", step.attempts)]
        }
        Status::Waiting { wait } => {
            let mut said = vec![format!("waits {} for {}", since(wait.since), event::waits(wait))];
            if wait.timeout_seconds > 0 && !matches!(wait.condition, Condition::Time { .. }) {
                let end = wait.since + chrono::TimeDelta::seconds(i64::from(wait.timeout_seconds));
                said.push(format!("gives up at {}", time::moment(end)));
            }
            said
        }
        Status::Asks { question, .. } if step.is_answered() => {
            vec![format!("answered: {}", text::line(&question.prompt)), format!("castoff resume {run}")]
        }
        Status::Asks { question, .. } => {
            let at = timing.ended(id).map(|(at, _)| format!(" {}", since(at))).unwrap_or_default();
            let mut said = vec![format!("asks{at}: {}", text::block(&question.prompt).trim_end())];
            if !question.choices.is_empty() {
                said.push(format!("answers: {}", text::line(&question.choices.join(", "))));
            }
            let open = question.rule.as_ref().is_none_or(Rule::is_open);
            match approve::still_needed(step) {
                Some(line) if !open || question.approvals > 1 => said.push(line),
                _ => {}
            }
            if let Some(channel) = question.rule.as_ref().and_then(|rule| rule.channel.as_ref()) {
                said.push(format!("or on {}: a comment `/castoff approve {id}`", text::line(channel)));
            }
            said.push(format!("castoff approve {run} {id}"));
            said
        }
        Status::Failed { error, message, retryable } => {
            let next = match retryable {
                true => format!("castoff resume {run}"),
                false => format!("castoff retry {run} {id}"),
            };
            vec![
                format!("failed ({}): {}", text::line(error), text::block(message)),
                format!("{next}, or castoff explain {}", text::line(error)),
            ]
        }
        Status::Unknown { .. } => {
            let open = step
                .unsettled()
                .map(|effect| format!("nobody knows whether this happened: {}", text::line(&effect.summary)));
            open.chain([format!("castoff resume {run} --assume done|not-done")]).collect()
        }
        Status::Skipped { reason, by } => {
            vec![format!("skipped by {}: {}", text::line(by), text::line(reason))]
        }
    }
}

/// What people decided on the way to a step that is done, where that is more than one agreement to what it asks anyway: a
/// refusal first, an answer to something that went wrong.
fn decided(step: &StepState) -> Vec<String> {
    let plain = step.node.kind == StepKind::Gate && step.answers.len() <= 1;
    if plain || step.answers.is_empty() {
        return Vec::new();
    }
    let said = |answer: &Answer| {
        format!(
            "{} {} by {}",
            text::line(&answer.question),
            text::line(&answer.choice),
            text::line(&answer.by)
        )
    };
    vec![format!("answered: {}", step.answers.iter().map(said).collect::<Vec<_>>().join("; "))]
}

/// The run as a whole in one line.
pub(super) fn verdict(state: &RunState) -> String {
    let steps = state.steps().count();
    let over = state.steps().filter(|step| step.status.is_over()).count();
    let effects = state.steps().flat_map(|step| &step.effects).filter(|effect| effect.happened()).count();
    let stands = match state.verdict() {
        Verdict::Finished => "finished".to_owned(),
        Verdict::Aborted => match state.end() {
            Some(End::Aborted { reason, by }) => {
                format!("aborted by {}: {}", text::line(by), text::line(reason))
            }
            _ => "aborted".to_owned(),
        },
        Verdict::Ready => "can go on".to_owned(),
        Verdict::Unknown => "stopped: the outcome of an effect is not known".to_owned(),
        Verdict::Failed => "stopped: a step failed".to_owned(),
        Verdict::Asks => "a person has to answer".to_owned(),
        Verdict::Waiting => "waits for something outside".to_owned(),
    };
    format!("{over} of {steps} steps done, {effects} effects in the world: {stands}")
}

/// One line a run, the newest first. A run whose journal cannot be read is listed with the reason.
fn list(app: &App, as_json: bool) -> Done {
    let site = app.site()?;
    let names = site.runs();
    if names.is_empty() {
        app.ui.say("nothing has been run yet");
        app.ui.next("castoff run FILE");
        return Ok(Exit::Done);
    }
    for name in names.iter().rev() {
        let found = site.find(name).map_err(CommandError::from);
        let state = found.and_then(|stored| {
            let journal: Journal = stored.journal_read_only()?;
            Ok(journal.state()?)
        });
        match (state, as_json) {
            (Ok(state), true) => {
                let header = state.header();
                app.ui.json(&json!({
                    "run": name, "verdict": state.verdict(), "title": header.title, "world": header.world,
                    "begun": header.pinned,
                }))?;
            }
            (Ok(state), false) => {
                let word = serde_json::to_value(state.verdict()).unwrap_or_default();
                let word = word.as_str().unwrap_or_default();
                app.ui.data(&format!("{word:<9}  {name}  {}", text::line(&state.header().title)));
            }
            (Err(error), true) => app.ui.json(&json!({ "run": name, "error": error.message }))?,
            (Err(error), false) => app.ui.data(&format!("unreadable {name}  {}", text::line(&error.message))),
        }
    }
    if !as_json {
        app.ui.next("castoff status RUN");
    }
    Ok(Exit::Done)
}
