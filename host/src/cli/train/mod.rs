//! Trains at the command line: the commands that take a release or a run, for several releases side by side.
//!
//! - `leave`: `run` and `rehearse` of a train file.
//! - `drive`: driving the releases of a train, and `resume`.
//! - `screen`: `status`, one screen for the whole train.
//! - here: what the other commands make of a train.

mod drive;
mod leave;
mod screen;

use std::path::Path;

use castoff::journal::{Event, RunState, Verdict};
use castoff::plan::Plan;
use castoff::site::{Site, Stored};
use castoff::train::{self, Member, Standing, TrainFile};

use super::args::{AbortArgs, LogArgs, PlanArgs};
use super::error::CommandError;
use super::exit::Exit;
use super::run::Start;
use super::{App, Done, next, person, plan, text};

pub(super) use drive::resume;
pub(super) use leave::{rehearse, run};
pub(super) use screen::{status, sum};

/// Whether a file tells a train; a file that cannot be read tells nothing.
pub(super) fn is_file(path: &Path) -> bool {
    std::fs::read_to_string(path).is_ok_and(|text| TrainFile::is_train(&text))
}

/// Where a train stands, from what its members say.
pub(super) fn standing(site: &Site, state: RunState) -> Standing {
    let members = train::members(state.header());
    let run = |member: &Member| {
        let journal = site.member(member)?.journal_read_only().ok()?;
        Some((member.name.clone(), journal.state().ok()?))
    };
    let runs = members.iter().filter_map(run).collect();
    Standing { state, members, runs }
}

/// How a command that drove a train to where it stands ends: as the member that needs somebody most.
pub(super) fn exit(standing: &Standing) -> Exit {
    match standing.verdict() {
        Verdict::Finished => Exit::Done,
        Verdict::Aborted => Exit::Failed,
        Verdict::Asks => Exit::Asks,
        Verdict::Waiting | Verdict::Ready => Exit::Waiting,
        Verdict::Unknown | Verdict::Failed => {
            let run = standing.worst().find_map(|member| standing.run(member));
            run.map_or(Exit::Failed, Exit::of_run)
        }
    }
}

/// The command that brings a train on, or shows how it ended.
pub(super) fn next_command(standing: &Standing) -> String {
    let own = standing.state.header();
    let name = &own.run;
    let over = own.world == castoff::journal::World::Rehearsal;
    let worst = || standing.worst().filter_map(|member| Some((member, standing.run(member)?)));
    match standing.verdict() {
        _ if over => format!("castoff log {name}"),
        Verdict::Finished | Verdict::Aborted => format!("castoff log {name}"),
        Verdict::Ready => format!("castoff resume {name}"),
        Verdict::Waiting => format!("castoff resume {name} --watch"),
        Verdict::Failed if worst().any(|(_, run)| run.verdict() == Verdict::Aborted) => {
            let aborted = worst().find(|(_, run)| run.verdict() == Verdict::Aborted);
            let member = aborted.map(|(member, _)| member.name.as_str()).unwrap_or_default();
            format!("castoff skip {name} {member} --reason …")
        }
        Verdict::Asks => {
            let unasked = |run: &RunState| next::asked(run).is_empty();
            match worst().find(|(_, run)| !unasked(run)) {
                Some((_, run)) => next::command(run),
                None => {
                    let confirm = worst().map(|(member, run)| {
                        let version = text::line(run.header().version());
                        format!(" --confirm '{}={}'", member.name, version.replace('\'', ""))
                    });
                    format!("castoff resume {name}{}", confirm.collect::<String>())
                }
            }
        }
        Verdict::Unknown | Verdict::Failed => match worst().next() {
            Some((_, run)) => next::command(run),
            None => format!("castoff resume {name}"),
        },
    }
}

/// The release of a train that a command about one run means: the only one that asks.
pub(super) fn asking(app: &App, state: &RunState) -> Result<String, CommandError> {
    let standing = standing(&app.site()?, state.clone());
    let asks = standing.members.iter().filter_map(|member| standing.run(member));
    let asks: Vec<&RunState> = asks.filter(|run| !next::asked(run).is_empty()).collect();
    match asks.as_slice() {
        [one] => Ok(one.header().run.clone()),
        [] => Err(CommandError::usage("no release of this train asks anything")
            .hint(format!("castoff status {}", state.header().run))),
        several => {
            let runs = several.iter().map(|run| format!("castoff approve {}", run.header().run));
            let error = CommandError::usage("several releases of this train ask something: name one");
            Err(runs.fold(error, CommandError::hint))
        }
    }
}

/// Refuses what only one release has.
pub(super) fn only_release(state: &RunState, command: &str) -> Result<(), CommandError> {
    let header = state.header();
    let Some(first) = train::members(header).into_iter().next() else { return Ok(()) };
    let (verb, option) = command
        .split_once(' ')
        .map_or((command, String::new()), |(verb, option)| (verb, format!(" {option}")));
    Err(CommandError::usage(format!("{} is a train: {command} is for one of its releases", header.run))
        .hint(format!("castoff {verb} {}/{}{option}", header.run, first.name)))
}

/// `castoff plan` of a train file: the plan of every release whose world is known now.
pub(super) async fn plan(app: &App, args: &PlanArgs) -> Done {
    if args.out.is_some() || args.html.is_some() {
        return Err(CommandError::usage(
            "a train has a plan for every release: --json prints them, a line each",
        ));
    }
    let file = Path::new(&args.target);
    let starts = Start::of_train(app, file, &args.start).await?;
    let mut plans: Vec<Plan> = Vec::new();
    for (member, start) in &starts {
        let title = text::line(&start.prepared.graph.title);
        if !args.json {
            app.ui.data(&app.ui.data_paint().bold(&format!("{}: {title}", member.name)));
        }
        if !member.needs.is_empty() {
            // What it reads is what the others will have released: nothing of that is known, and nothing is invented.
            let needs = member.needs.join(", ");
            let said = format!("begins when {needs} are out and reads what they released: planned then\n");
            app.ui.say(&format!("{}: {said}", member.name));
            continue;
        }
        let plan = plan::of_release(app, start, start.beginning()).await?;
        app.site()?.keep_plan(&plan)?;
        match args.json {
            true => app.ui.json(&serde_json::json!({ "release": member.name, "plan": plan }))?,
            false => app.ui.data(&plan::plain(&plan)),
        }
        plans.push(plan);
    }
    for plan in &plans {
        if let Some((step, error, message)) = plan.failures().next() {
            let said = format!("{step} would fail ({error}): {}", text::line(&plan.readable(message)));
            app.ui.say(&app.ui.talk_paint().red(&said));
            app.ui.next(&format!("castoff explain {}", Exit::of_error(error).word()));
            return Ok(Exit::of_error(error));
        }
    }
    app.ui.next(&format!("castoff run {}", file.display()));
    let later = starts.iter().any(|(member, _)| !member.needs.is_empty());
    Ok(if later || plans.iter().any(|plan| !plan.is_empty()) { Exit::Changes } else { Exit::Done })
}

/// `castoff log` of a train: what it and its releases wrote down, in the order of time.
pub(super) fn log(app: &App, args: &LogArgs, stored: &Stored, state: &RunState) -> Done {
    let site = app.site()?;
    let mut lines = Vec::new();
    let journals = train::members(state.header()).into_iter().filter_map(|member| {
        let stored = site.member(&member)?;
        Some((Some(member.name), stored))
    });
    let own = Stored { name: stored.name.clone(), folder: stored.folder.clone(), policy: None };
    for (member, stored) in std::iter::once((None, own)).chain(journals) {
        for record in stored.journal_read_only()?.events()? {
            lines.push((record.time, member.clone(), stored.name.clone(), record));
        }
    }
    lines.sort_by_key(|(time, ..)| *time);
    for (_, member, run, record) in lines {
        if args.json {
            let mut line = serde_json::to_value(&record)
                .map_err(|error| CommandError::internal(format!("cannot be written as JSON: {error}")))?;
            line["run"] = run.into();
            app.ui.json(&line)?;
        } else {
            let of = member.map(|member| format!("{member:<18} ")).unwrap_or_default();
            app.ui.data(&format!("{of}{}", super::log::line(&record)));
        }
    }
    if !args.json {
        app.ui.next(&format!("castoff status {}", state.header().run));
    }
    Ok(Exit::Done)
}

/// `castoff abort` of a train: the train first, so that nothing begins any more, then every release that is under way.
pub(super) fn abort(app: &App, args: AbortArgs, stored: &Stored, state: &RunState) -> Done {
    let by = person(args.person, state);
    let event = || Event::Aborted { reason: args.reason.clone(), by: by.clone() };
    if !state.is_finished() {
        app.decide(stored, event())?;
    }
    let site = app.site()?;
    let standing = standing(&site, state.clone());
    let mut left = Vec::new();
    for member in &standing.members {
        let Some(run) = standing.run(member) else { continue };
        let run = match (run.is_finished(), site.member(member)) {
            (false, Some(stored)) => app.decide(&stored, event())?,
            _ => run.clone(),
        };
        left.extend(
            super::abort::left_behind(&run).into_iter().map(|line| format!("{}: {line}", member.name)),
        );
    }
    if left.is_empty() {
        app.ui.say("the train is aborted; it changed nothing");
    } else {
        app.ui.say(
            "the train is aborted; it leaves this in the world, to be undone by hand where that is wanted:",
        );
        left.iter().for_each(|line| app.ui.data(line));
    }
    app.ui.next(&format!("castoff log {}", state.header().run));
    Ok(Exit::Done)
}
