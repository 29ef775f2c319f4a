//! `castoff ci`: runs what is ready and parks, for a job that nobody watches; and what `castoff step` shares with it.
//!
//! - here: which run it is, and going on with it.
//! - `report`: where a run stands after a job, for everything that is told of it.
//! - `github`: summary, outputs and annotations of GitHub Actions.
//! - `junit`: the report that other forges show.

mod github;
mod junit;
mod report;

use std::path::Path;
use std::sync::Arc;

use castoff::journal::{Header, Restored, RunState};
use castoff::parcel::{Keeper, Shelf};
use castoff::policy::Policy;
use castoff::site::Stored;

use super::args::{CarryArgs, CiArgs, DrivingArgs, ResumeArgs, RunArgs};
use super::error::CommandError;
use super::exit::Exit;
use super::run::Start;
use super::{App, Done, next, resume, text, train, world};

use report::Report;

pub(super) async fn run(app: &App, mut args: CiArgs) -> Done {
    // A job of an Enterprise Server acts there, unless it says otherwise.
    let server = app.environment.github().and_then(|job| job.server.clone());
    args.start.forge = args.start.forge.take().or(server);
    let mut run = None;
    let done = go(app, &args, &mut run).await;
    finish(app, &args.carry, Some(&args.file), run.as_deref(), done)
}

async fn go(app: &App, args: &CiArgs, run: &mut Option<String>) -> Done {
    take(app, &args.carry)?;
    let wanted = Wanted::read(app, args).await?;
    *run = wanted.run(app, args)?;
    let Some(name) = run.clone().filter(|_| !args.again) else {
        if let Some(keeper) = app.keeper.get() {
            keeper.leave();
        }
        let began = super::run::run(app, beginning(args)).await;
        *run = app.site()?.runs_of(&wanted.headers, wanted.train).into_iter().next();
        return began;
    };
    if let Some(keeper) = app.keeper.get() {
        keeper.turn_to(&name);
    }
    let state = app.look(&name)?.2;
    if state.is_finished() {
        app.ui.say(&format!("{} has ended; --again begins another run", text::line(&state.header().title)));
        return ended(app, state);
    }
    wanted.note_policies(app, &name)?;
    resume::run(app, going_on(args, &state, name)).await
}

/// What `castoff run` would have been given.
fn beginning(args: &CiArgs) -> RunArgs {
    RunArgs {
        file: args.file.clone(),
        plan: args.plan.clone(),
        start: args.start.clone(),
        again: args.again,
        driving: driving(args),
    }
}

/// What `castoff resume` would have been given.
fn going_on(args: &CiArgs, state: &RunState, run: String) -> ResumeArgs {
    // A machine that has never seen the plan need not find it again to know that the run is held to it.
    let held = |plan: &String| {
        let digits = plan.strip_prefix("sha256:").unwrap_or(plan);
        let known = state.plan().map(|known| known.trim_start_matches("sha256:"));
        digits.len() >= 8 && known.is_some_and(|known| known.starts_with(digits))
    };
    ResumeArgs {
        run,
        assume: None,
        plan: args.plan.clone().filter(|plan| !held(plan)),
        person: None,
        listen: None,
        secret_env: None,
        driving: driving(args),
    }
}

fn driving(args: &CiArgs) -> DrivingArgs {
    DrivingArgs {
        watch: false,
        confirm: args.confirm.clone(),
        only: Vec::new(),
        alone: false,
        parallel: args.parallel,
        json: args.json,
    }
}

/// How a run ended that is not gone on with.
fn ended(app: &App, state: RunState) -> Done {
    if castoff::train::is_train(state.header()) {
        let standing = train::standing(&app.site()?, state);
        app.ui.next(&train::next_command(&standing));
        return Ok(train::exit(&standing));
    }
    app.ui.next(&next::command(&state));
    Ok(Exit::of_run(&state))
}

/// The release or the train of a file, to be recognised among the runs there are.
struct Wanted {
    headers: Vec<Header>,
    train: bool,
    /// The policy of each release, by the name of its member.
    policies: Vec<(Option<String>, Arc<Policy>)>,
}

impl Wanted {
    async fn read(app: &App, args: &CiArgs) -> Result<Self, CommandError> {
        let train = train::is_file(&args.file);
        let starts = match train {
            true => {
                let starts = Start::of_train(app, &args.file, &args.start).await?;
                starts.into_iter().map(|(member, start)| (Some(member.name), start)).collect()
            }
            false => vec![(None, Start::read(app, &args.file, &args.start).await?)],
        };
        let headers = starts.iter().map(|(_, start)| start.prepared.header(&start.beginning())).collect();
        let policies = starts.into_iter().map(|(member, start)| (member, start.policy)).collect();
        Ok(Self { headers, train, policies })
    }

    /// Its run: the one that was carried here, otherwise the newest.
    fn run(&self, app: &App, args: &CiArgs) -> Result<Option<String>, CommandError> {
        let known = app.site()?.runs_of(&self.headers, self.train);
        let Some(carried) = app.keeper.get().and_then(|keeper| keeper.root()) else {
            return Ok(known.into_iter().next());
        };
        if known.contains(&carried) {
            return Ok(Some(carried));
        }
        let file = args.file.display();
        Err(CommandError::usage(format!("the state is that of {carried}, and {file} is another release"))
            .hint("each release has a state of its own"))
    }

    /// Where the policies are on this machine: secrets in files are relative to them.
    fn note_policies(&self, app: &App, run: &str) -> Result<(), CommandError> {
        let site = app.site()?;
        let stored = site.find(run)?;
        for (member, policy) in &self.policies {
            let Some(member) = member else {
                world::keep_policy_folder(&stored, policy)?;
                continue;
            };
            let folder = stored.folder.join("members").join(member);
            let waiting = Stored { name: member.clone(), folder, policy: None };
            world::keep_policy_folder(&waiting, policy)?;
            if let Ok(begun) = site.find(&format!("{run}/{member}")) {
                world::keep_policy_folder(&begun, policy)?;
            }
        }
        Ok(())
    }
}

/// Takes over the state that was kept for this job, and keeps it from here on.
pub(super) fn take(app: &App, args: &CarryArgs) -> Result<(), CommandError> {
    let shelf = match (&args.state_file, &args.state_bucket) {
        (Some(file), _) => Shelf::file(file)?,
        (None, Some(folder)) => Shelf::bucket(folder)?,
        (None, None) => return Ok(()),
    };
    let place = shelf.path().display().to_string();
    let (keeper, restored) = Keeper::open(&app.state_folder()?, shelf)?;
    match restored {
        Some(Restored::Ahead(more)) => app.ui.say(&format!(
            "warning: {place} is older than what is here: the run has gone on by {more} events, which count"
        )),
        Some(Restored::New | Restored::Forward(_)) => app.ui.say(&format!("the state is taken from {place}")),
        Some(Restored::Same) => {}
        None => app.ui.say(&format!("there is no state yet in {place}")),
    }
    app.keeper
        .set(Arc::new(keeper))
        .map_err(|_| CommandError::internal("the state is taken over twice in one process"))
}

/// Keeps the state, and tells everybody who reads along where the run stands.
pub(super) fn finish(
    app: &App,
    args: &CarryArgs,
    file: Option<&Path>,
    run: Option<&str>,
    done: Done,
) -> Done {
    let done = match (done, keep(app)) {
        (Ok(_), Err(error)) => Err(error),
        (done, _) => done,
    };
    let exit = done.as_ref().map_or_else(|error| error.exit, |exit| *exit);
    let report = run.map(|run| Report::of(app, run, exit)).transpose();
    let told = report.and_then(|report| {
        if let (Some(report), Some(path)) = (&report, &args.junit) {
            let text = junit::text(report)?;
            std::fs::write(path, text).map_err(|error| CommandError::file(path, &error))?;
        }
        let error = done.as_ref().err();
        github::tell(app, file, report.as_ref(), exit, error)
    });
    match (done, told) {
        (Ok(_), Err(error)) => Err(error),
        (done, _) => done,
    }
}

fn keep(app: &App) -> Result<(), CommandError> {
    let Some(keeper) = app.keeper.get() else { return Ok(()) };
    keeper.save()?;
    Ok(keeper.tidy()?)
}
