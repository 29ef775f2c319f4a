//! `castoff status` of a train: one screen, a line a release, and under it whose move it is.

use castoff::journal::{RunState, Status, Verdict};
use castoff::train::{Member, Standing};
use serde_json::json;

use super::{exit, next_command, standing};
use crate::cli::args::StatusArgs;
use crate::cli::exit::Exit;
use crate::cli::next::Timing;
use crate::cli::ui::Paint;
use crate::cli::{App, Done, status, text, time};

pub(in crate::cli) fn status(app: &App, args: &StatusArgs, state: RunState) -> Done {
    let site = app.site()?;
    let standing = standing(&site, state);
    if args.json {
        app.ui.json(&as_json(&standing))?;
    } else {
        let timing = |member: &Member| {
            let records = site.member(member).and_then(|run| run.journal_read_only().ok()?.events().ok());
            Timing::of(&records.unwrap_or_default())
        };
        app.ui.data(&screen(app.ui.data_paint(), &standing, timing));
        app.ui.next(&next_command(&standing));
    }
    Ok(if args.exit_code { exit(&standing) } else { Exit::Done })
}

fn as_json(standing: &Standing) -> serde_json::Value {
    let member = |member: &Member| {
        let run = standing.run(member);
        json!({
            "name": member.name,
            "title": member.header.title,
            "run": member.header.run,
            "needs": member.needs,
            "waits-for": standing.needed(member),
            "begun": run.is_some(),
            "verdict": standing.verdict_of(member),
            "next": run.map(crate::cli::next::command),
            "state": run,
        })
    };
    json!({
        "run": standing.state.header().run,
        "verdict": standing.verdict(),
        "exit-code": exit(standing).number(),
        "next": next_command(standing),
        "members": standing.members.iter().map(member).collect::<Vec<_>>(),
        "state": standing.state,
    })
}

fn screen(paint: Paint, standing: &Standing, timing: impl Fn(&Member) -> Timing) -> String {
    let header = standing.state.header();
    let world = status::place(header);
    let mut out = vec![
        format!("{}  {}", paint.bold(&text::line(&header.title)), paint.dim(&header.run)),
        format!(
            "train of {} releases, {world}, begun {} by {}",
            standing.members.len(),
            time::moment(header.pinned),
            text::line(&header.started_by)
        ),
        String::new(),
    ];
    let width = standing.members.iter().map(|member| member.name.len()).max().unwrap_or_default();
    for member in &standing.members {
        out.push(row(paint, standing, member, width));
        let details = details(standing, member, || timing(member));
        out.extend(details.iter().map(|more| text::indented(more, "      ")));
    }
    out.push(String::new());
    out.push(paint.bold(&sum(standing)));
    out.join("\n")
}

fn row(paint: Paint, standing: &Standing, member: &Member, width: usize) -> String {
    let name = &member.name;
    let run = standing.run(member);
    let mark = match (standing.state.step(name).map(|step| &step.status), run) {
        (Some(status @ (Status::Done { .. } | Status::Skipped { .. } | Status::Failed { .. })), _) => {
            paint.mark(status)
        }
        (_, None) => paint.mark(&Status::Pending),
        (_, Some(run)) => mark(paint, run),
    };
    let mut line = format!("  {mark} {name:<width$}  {}", text::line(&member.header.title));
    if let Some(run) = run {
        let over = run.steps().filter(|step| step.status.is_over()).count();
        line += &paint.dim(&format!("  {over} of {} steps  {}", run.steps().count(), run.header().run));
    }
    line
}

/// The mark of the step that shows best where a run stands.
fn mark(paint: Paint, run: &RunState) -> String {
    let shows = |status: &Status| {
        matches!(
            (run.verdict(), status),
            (Verdict::Unknown, Status::Unknown { .. })
                | (Verdict::Failed, Status::Failed { .. })
                | (Verdict::Asks, Status::Asks { .. })
                | (Verdict::Waiting, Status::Waiting { .. })
        )
    };
    let step = run.steps().find(|step| shows(&step.status));
    match (run.verdict(), step) {
        (_, Some(step)) => paint.mark(&step.status),
        (Verdict::Finished, _) => paint.green("✓"),
        (Verdict::Aborted, _) => paint.red("✗"),
        (Verdict::Asks, _) => paint.yellow("?"),
        _ => paint.mark(&Status::Running),
    }
}

/// What a release that is not simply out has to say: its own steps that are not, or what it waits for.
fn details(standing: &Standing, member: &Member, timing: impl Fn() -> Timing) -> Vec<String> {
    match (standing.state.step(&member.name).map(|step| &step.status), standing.run(member)) {
        (Some(Status::Done { .. }), _) => Vec::new(),
        (Some(Status::Skipped { reason, by }), _) => {
            vec![format!("skipped by {}: {}", text::line(by), text::line(reason))]
        }
        (Some(Status::Failed { message, .. }), _) => vec![text::line(message)],
        (_, None) => match standing.needed(member).as_slice() {
            [] => vec!["can begin".to_owned()],
            needed => vec![format!("waits for {}", needed.join(", "))],
        },
        (_, Some(run)) => {
            let timing = timing();
            let mut said = Vec::new();
            for step in run.steps() {
                let details = status::details(run, step, &timing);
                let mut lines = details.iter();
                if let Some(first) = lines.next() {
                    said.push(format!("{} {first}", step.node.id));
                    said.extend(lines.map(|line| text::indented(line, "  ")));
                }
            }
            let confirm: Vec<&str> = run.to_confirm().map(|step| step.node.id.as_str()).collect();
            if !confirm.is_empty() {
                said.push(format!(
                    "{} cannot be undone: castoff resume {} --confirm '{}={}'",
                    confirm.join(", "),
                    standing.state.header().run,
                    member.name,
                    text::line(run.header().version()).replace('\'', "")
                ));
            }
            said
        }
    }
}

/// The train as a whole in one line.
pub(in crate::cli) fn sum(standing: &Standing) -> String {
    let over = standing.state.steps().filter(|step| step.status.is_over()).count();
    let runs = standing.runs.values();
    let effects = runs.flat_map(RunState::steps).flat_map(|step| &step.effects);
    let effects = effects.filter(|effect| effect.happened()).count();
    let names = || standing.worst().map(|member| member.name.as_str()).collect::<Vec<_>>().join(", ");
    let stands = match standing.verdict() {
        Verdict::Finished => "finished".to_owned(),
        Verdict::Aborted => "aborted".to_owned(),
        Verdict::Ready => "can go on".to_owned(),
        Verdict::Unknown => format!("stopped: the outcome of an effect is not known ({})", names()),
        Verdict::Failed => format!("stopped: {} failed", names()),
        Verdict::Asks => format!("a person has to answer ({})", names()),
        Verdict::Waiting => "waits for something outside".to_owned(),
    };
    format!("{over} of {} releases out, {effects} effects in the world: {stands}", standing.members.len())
}
