//! `castoff rehearse`: a release against the forge inside this program.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use castoff::clock::Clock;
use castoff::forge;
use castoff::journal::{Identity, Journal, RunState, Verdict, World};
use castoff::rehearsal::{RehearsalError, Stage};
use castoff::run::{Ledger, Runner, RunnerParts};
use castoff::site::{Beginning, Prepared, Stored, grants, run_name};

use super::args::{IdentityArgs, RehearseArgs};
use super::drive::{call_limits, engine_limits, summary};
use super::error::CommandError;
use super::exit::Exit;
use super::forge::read_world;
use super::run::{announce, given_identity};
use super::time::SystemClock;
use super::watch::Screen;
use super::{App, Done, train};

pub(super) async fn run(app: &App, args: RehearseArgs) -> Done {
    if train::is_file(&args.file) {
        return train::rehearse(app, args).await;
    }
    let site = app.site()?;
    let prepared = site.prepare(&args.file, args.policy.as_deref()).await?;
    let named = (prepared.release.rehearsal.world.as_ref(), prepared.folder.as_path());
    let world = read_world(&world_path(&args, named, "release")?)?;
    let identity = rehearser(&prepared, &world, &args.identity)?;
    let salt = format!("{} {}", std::process::id(), SystemClock.now().to_rfc3339());
    let pinned = world.now.unwrap_or_else(|| SystemClock.now());
    let begin = Beginning {
        run: run_name(&prepared.graph.title, pinned, salt.as_bytes()),
        pinned,
        started_by: identity.login.clone().unwrap_or_else(|| identity.name.clone()),
        plan: None,
        confirm: false,
        identity,
        world: World::Rehearsal,
        forge: None,
    };
    let (stored, journal) = site.create(&prepared, begin)?;
    announce(app, &format!("rehearsal: {}", prepared.graph.title), &journal, args.json)?;
    let played = play(app, &args, &stored, world, app.armed(journal, 1)).await;
    clear(&args, &stored);
    let state = played?;
    let exit = Exit::of_run(&state);
    match state.verdict() {
        Verdict::Finished => app.ui.next(&format!("castoff run {}", args.file.display())),
        verdict => {
            if matches!(verdict, Verdict::Asks | Verdict::Waiting) {
                app.ui.say("nothing that this world holds lets it go on");
            }
            app.ui.next(&format!("castoff status {}", stored.name));
        }
    }
    Ok(exit)
}

/// Sets the stage, plays the run on it, and sums it up.
async fn play(
    app: &App,
    args: &RehearseArgs,
    stored: &Stored,
    world: forge::World,
    journal: Journal,
) -> Result<RunState, CommandError> {
    let header = journal.state()?.header().clone();
    let policy = stored.policy.clone();
    let stage = Stage::set(world, &forge_folder(stored), header.pinned).await?.approving(args.approve);
    let stage = stage.launching(app.environment.program().cloned());
    let capabilities = stage.capabilities(&git_folder(stored), stored.artefacts()?, policy.as_deref())?;
    let plugin = app.site_with(engine_limits(policy.as_deref()))?.plugin_of(&header)?;
    let limits = call_limits(policy.as_deref());
    let screen = Arc::new(Screen::new(app.ui.clone(), args.json));
    screen.learn(&journal.state()?);
    let approval = policy.as_deref().map(|policy| policy.approval().clone()).unwrap_or_default();
    let ledger = Ledger::new(Arc::new(journal), stage.clock(), screen.clone())?;
    let runner = Runner::new(RunnerParts {
        ledger,
        plugin: plugin.clone(),
        grants: grants(&plugin, policy, &header),
        world: capabilities,
        pause: stage.pause(),
        limits,
        scratch: stored.scratch(),
        // One at a time: a rehearsal of the same world and release is the same every time.
        parallel: 1,
        only: args.only.clone(),
    })
    .approving(approval);
    let played = stage.play(&runner).await;
    screen.close();
    played?;
    let state = runner.state();
    let requests = u64::try_from(stage.forge().requests().len()).unwrap_or(u64::MAX);
    summary(&app.ui, &screen, &state, requests);
    Ok(state)
}

pub(super) fn forge_folder(stored: &Stored) -> PathBuf {
    stored.folder.join("forge")
}

pub(super) fn git_folder(stored: &Stored) -> PathBuf {
    stored.folder.join("git")
}

/// Takes away what was only needed to play, unless it is to be kept.
pub(super) fn clear(args: &RehearseArgs, stored: &Stored) {
    if args.keep {
        return;
    }
    for folder in [forge_folder(stored), git_folder(stored)] {
        // What is left behind only takes room.
        let _ = std::fs::remove_dir_all(folder);
    }
}

/// The world that the arguments name, otherwise the one that the file names, which is a `kind` file in a folder.
pub(super) fn world_path(
    args: &RehearseArgs,
    (named, folder): (Option<&PathBuf>, &Path),
    kind: &str,
) -> Result<PathBuf, CommandError> {
    let named = named.map(|world| folder.join(world));
    args.world.clone().or(named).ok_or_else(|| {
        CommandError::usage(format!("a rehearsal needs a world, and the {kind} file names none"))
            .hint(format!("give one with --world FILE, or in the {kind} file:"))
            .hint("[rehearsal]\nworld = \"world.toml\"")
    })
}

/// Who rehearses: as given, as the policy says, or as the world's own user.
pub(super) fn rehearser(
    prepared: &Prepared,
    world: &forge::World,
    args: &IdentityArgs,
) -> Result<Identity, CommandError> {
    if let Some(identity) = given_identity(prepared, prepared.policy.as_deref(), args)? {
        return Ok(identity);
    }
    let login = world.user.clone().unwrap_or_else(|| "rehearsal".to_owned());
    let account = world.accounts.iter().find(|account| account.login == login);
    let name = account.and_then(|account| account.name.clone()).unwrap_or_else(|| login.clone());
    let email = account.and_then(|account| account.email.clone());
    let email = email.unwrap_or_else(|| format!("{login}@users.noreply.github.com"));
    Ok(Identity { name, email, login: Some(login) })
}

impl From<RehearsalError> for CommandError {
    fn from(error: RehearsalError) -> Self {
        match error {
            RehearsalError::Run(error) => Self::from(error),
            RehearsalError::Capability(error) => Self::from(error),
            RehearsalError::Forge(error) => Self::from(error),
            RehearsalError::Site(error) => Self::from(error),
            RehearsalError::Address(_) => Self::internal(error.to_string()),
        }
    }
}
