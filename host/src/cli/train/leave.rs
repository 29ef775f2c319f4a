//! `castoff run` and `castoff rehearse` of a train file.

use std::path::Path;
use std::sync::Arc;

use castoff::clock::Clock;
use castoff::forge;
use castoff::journal::{Identity, Journal, World};
use castoff::rehearsal::{Stage, StageYard};
use castoff::run::Ledger;
use castoff::site::{Beginning, Leaving, Prepared, PreparedTrain, SiteError, Stored, run_name};
use castoff::train::{Standing, TrainRunner};

use super::drive::{Plugins, TrainDrive, summary};
use super::standing;
use crate::cli::args::{RehearseArgs, RunArgs, StartArgs};
use crate::cli::drive::{call_limits, engine_limits};
use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::forge::read_world;
use crate::cli::instance::Instance;
use crate::cli::rehearse::{clear, forge_folder, git_folder, rehearser, world_path};
use crate::cli::run::{Start, announce, identity, need_token, refuse, warn};
use crate::cli::time::SystemClock;
use crate::cli::watch::{Part, Screen};
use crate::cli::{App, Done, world};

/// A release of a train file, by name and needs.
pub(in crate::cli) struct Coupled {
    pub(in crate::cli) name: String,
    pub(in crate::cli) needs: Vec<String>,
}

impl Start {
    /// Reads everything that the releases of a train begin with; nothing has happened yet.
    pub(in crate::cli) async fn of_train(
        app: &App,
        file: &Path,
        args: &StartArgs,
    ) -> Result<Vec<(Coupled, Self)>, CommandError> {
        let train = app.site()?.prepare_train(file, args.policy.as_deref()).await?;
        let mut starts = Vec::new();
        for member in train.members {
            let Some(policy) = member.prepared.policy.clone() else {
                return Err(refuse(app, &member.prepared, file).hint(format!("release: {}", member.name)));
            };
            let identity = identity(&member.prepared, &policy, &args.identity)?;
            let instance = Instance::parse(args.forge.as_deref())?;
            let site = app.site_with(engine_limits(Some(&policy)))?;
            let start = Self { site, prepared: member.prepared, policy, identity, instance };
            starts.push((Coupled { name: member.name, needs: member.needs }, start));
        }
        Ok(starts)
    }
}

pub(in crate::cli) async fn run(app: &App, args: RunArgs) -> Done {
    one_release_only(args.plan.is_some(), "--plan holds one release to its plan")?;
    one_release_only(!args.driving.only.is_empty(), "--only names steps of one release")?;
    let site = app.site()?;
    let train = site.prepare_train(&args.file, args.start.policy.as_deref()).await?;
    let instance = Instance::parse(args.start.forge.as_deref())?;
    let pinned = SystemClock.now();
    let mut begins = Vec::new();
    for member in &train.members {
        let prepared = &member.prepared;
        let Some(policy) = prepared.policy.clone() else {
            return Err(refuse(app, prepared, &args.file).hint(format!("release: {}", member.name)));
        };
        need_token(app, &prepared.plugin.manifest().name, &policy)?;
        warn(app, prepared, &policy);
        begins.push(Beginning {
            pinned,
            world: World::Live,
            forge: instance.address(),
            confirm: true,
            ..beginning(prepared, identity(prepared, &policy, &args.start.identity)?, &member.name)
        });
    }
    let leaving = leaving(&train, begins);
    let keep = |stored: &Stored, prepared: &Prepared| match &prepared.policy {
        Some(policy) => world::keep_policy_folder(stored, policy),
        None => Ok(()),
    };
    let created = match args.again {
        true => site.create_train(&train, &leaving, keep),
        false => site.claim_train(&train, &leaving, keep),
    };
    let (stored, journal) = created?;
    announce(app, &train.file.title(), &journal, args.driving.json)?;
    let journal = app.armed(journal, 1);
    TrainDrive::new(app, &stored, &args.driving, None).go(journal).await
}

pub(in crate::cli) async fn rehearse(app: &App, args: RehearseArgs) -> Done {
    one_release_only(!args.only.is_empty(), "--only names steps of one release")?;
    let site = app.site()?;
    let train = site.prepare_train(&args.file, args.policy.as_deref()).await?;
    let named = (train.file.rehearsal.world.as_ref(), train.folder.as_path());
    let world = read_world(&world_path(&args, named, "train")?)?;
    let pinned = world.now.unwrap_or_else(|| SystemClock.now());
    let mut begins = Vec::new();
    for member in &train.members {
        let identity = rehearser(&member.prepared, &world, &args.identity)?;
        begins.push(Beginning { pinned, ..beginning(&member.prepared, identity, &member.name) });
    }
    let leaving = leaving(&train, begins);
    let (stored, journal) = site.create_train(&train, &leaving, |_, _| Ok::<(), SiteError>(()))?;
    announce(app, &format!("rehearsal: {}", train.file.title()), &journal, args.json)?;
    let played = play(app, &args, &stored, world, app.armed(journal, 1)).await;
    clear(&args, &stored);
    let exit = super::exit(&played?);
    app.ui.next(&match exit {
        Exit::Done => format!("castoff run {}", args.file.display()),
        _ => format!("castoff status {}", stored.name),
    });
    Ok(exit)
}

/// Sets the stage and plays the whole train on it; where it stands then.
async fn play(
    app: &App,
    args: &RehearseArgs,
    stored: &Stored,
    world: forge::World,
    journal: Journal,
) -> Result<Standing, CommandError> {
    let pinned = journal.state()?.header().pinned;
    let stage = Stage::set(world, &forge_folder(stored), pinned).await?.approving(args.approve);
    let stage = stage.launching(app.environment.program().cloned());
    let screen = Arc::new(Screen::new(app.ui.clone(), args.json));
    screen.learn(&journal.state()?);
    let plugins = Plugins::new(app);
    let own = Stored { name: stored.name.clone(), folder: stored.folder.clone(), policy: None };
    let yard = StageYard::new(&stage, app.site()?, own, &git_folder(stored), |member| {
        Arc::new(Part::of(&screen, &member.name, &member.header.run))
    })?
    .arming(|journal| {
        let begun = journal.with_state(|state| u64::from(state.last() == 1));
        app.armed(journal, begun)
    })
    .loading(|stored, header| {
        let policy = stored.policy.as_deref();
        Ok((plugins.of(policy, header)?, call_limits(policy)))
    });
    let junction = yard.junction();
    let ledger = Ledger::new(Arc::new(journal), stage.clock(), screen.clone())?;
    let runner = TrainRunner::new(ledger, yard, junction, super::drive::WIDTH);
    let played = stage.play_all(&runner).await;
    screen.close();
    played?;
    let requests = u64::try_from(stage.forge().requests().len()).unwrap_or(u64::MAX);
    let state = runner.state();
    drop(runner);
    let standing = standing(&app.site()?, state);
    summary(app, &screen, &standing, requests);
    Ok(standing)
}

fn one_release_only(given: bool, why: &str) -> Result<(), CommandError> {
    match given {
        true => Err(CommandError::usage(format!("{why}, this is a train"))
            .hint("once it has left, its releases are named TRAIN/RELEASE: castoff plan TRAIN/RELEASE")),
        false => Ok(()),
    }
}

/// What a release begins with, but for the world it acts in.
fn beginning(prepared: &Prepared, identity: Identity, member: &str) -> Beginning {
    let moment = SystemClock.now();
    let salt = format!("{} {member} {}", std::process::id(), moment.to_rfc3339());
    Beginning {
        run: run_name(&prepared.graph.title, moment, salt.as_bytes()),
        pinned: moment,
        started_by: identity.login.clone().unwrap_or_else(|| identity.name.clone()),
        identity,
        world: World::Rehearsal,
        forge: None,
        plan: None,
        confirm: false,
    }
}

fn leaving(train: &PreparedTrain, members: Vec<Beginning>) -> Leaving {
    let moment = SystemClock.now();
    let salt = format!("{} train {}", std::process::id(), moment.to_rfc3339());
    Leaving { run: run_name(&train.file.title(), moment, salt.as_bytes()), members }
}
