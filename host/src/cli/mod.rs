//! The command line: reads arguments and the environment, calls the library, and says what happened.
//!
//! - `args`: what can be typed; one struct a command, its doc comment is its help.
//! - one file a command; `drive` is what `run` and `resume` share.
//! - `ui`: everything that is printed goes through here: data to standard output, all else to standard error.
//! - `planned`: holding a run to a plan, and saying why it cannot be.
//! - `ci`, `step`: a run from job to job, and what the forge's own pages are told of it.
//! - `train`: the same commands for several releases side by side.
//! - `watch`, `event`, `text`: a run as it happens, an event as a line, texts made harmless.
//! - `instance`, `world`: which GitHub a live run acts on, and everything it acts through.
//! - `error`, `exit`: what went wrong, and the number the shell sees.
//! - `environment`, `time`: the only places that read the environment and the clock.

mod abort;
mod approve;
mod args;
mod audit;
mod ballot;
mod ci;
mod completions;
mod doctor;
mod drive;
mod environment;
mod error;
mod event;
mod exit;
mod explain;
mod forge;
mod instance;
mod log;
mod next;
mod plan;
mod planned;
mod plugin;
mod rehearse;
mod resume;
mod retry;
mod run;
mod schema;
mod skip;
mod starter;
mod status;
mod step;
mod text;
mod time;
mod train;
mod ui;
mod verify;
mod watch;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use castoff::capability::command::launch;
use castoff::engine::{Engine, EngineConfig, Limits};
use castoff::journal::{Journal, RunState};
use castoff::parcel::Keeper;
use castoff::site::{Site, Stored};
use castoff::supply::Registry;
use clap::Parser;

use args::{Cli, Command};
use environment::Environment;
use error::CommandError;
use exit::Exit;
use time::SystemClock;
use ui::Ui;

/// The result of a command: what the shell is told, or why it could not be done.
type Done = Result<Exit, CommandError>;

/// Parses the arguments, runs the command, and turns the result into an exit code.
pub(crate) fn main() -> ExitCode {
    if let Some(exit) = sandbox() {
        return exit;
    }
    let environment = Environment::read();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nothing better can be done when even this cannot be printed.
            let _ = error.print();
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            return exit.into();
        }
    };
    let ui = Ui::new(cli.global.color, environment.no_color(), environment.github().is_some());
    let (written, keeper) = (Arc::default(), OnceLock::new());
    let app = App { environment, ui, state: cli.global.state.clone(), written, keeper };
    let done = app.start_log().and_then(|()| app.block_on(cli.command));
    match done {
        Ok(exit) => exit.into(),
        Err(error) => {
            app.ui.error(&error);
            error.exit.into()
        }
    }
}

/// Whether this process shall confine itself and become another program. That is no command: nobody types it.
fn sandbox() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    arguments.next().filter(|word| word == launch::WORD)?;
    let ended = launch::enter(arguments, std::env::vars_os()).unwrap_or_else(|why| {
        use std::io::Write;
        // Nothing better can be done when even this cannot be written.
        let _ = writeln!(std::io::stderr(), "{why}");
        launch::REFUSED
    });
    Some(ended.into())
}

/// What every command has at hand.
pub(crate) struct App {
    /// What the environment says.
    environment: Environment,
    /// Where things are printed.
    ui: Ui,
    /// `--state`.
    state: Option<PathBuf>,
    /// Events that this process wrote: see [`App::armed`].
    written: Arc<AtomicU64>,
    /// What keeps the state of a run for the next job.
    keeper: OnceLock<Arc<Keeper>>,
}

impl App {
    fn block_on(&self, command: Command) -> Done {
        let runtime = castoff::run::runtime()
            .map_err(|error| CommandError::internal(format!("the runtime cannot be started: {error}")))?;
        runtime.block_on(self.dispatch(command))
    }

    async fn dispatch(&self, command: Command) -> Done {
        match command {
            Command::Rehearse(args) => rehearse::run(self, args).await,
            Command::Plan(args) => plan::run(self, args).await,
            Command::Run(args) => run::run(self, args).await,
            Command::Ci(args) => ci::run(self, args).await,
            Command::Step(args) => step::run(self, args).await,
            Command::Status(args) => status::run(self, &args),
            Command::Log(args) => log::run(self, &args),
            Command::Resume(args) => resume::run(self, args).await,
            Command::Approve(args) => approve::run(self, args),
            Command::Retry(args) => retry::run(self, &args),
            Command::Skip(args) => skip::run(self, args),
            Command::Abort(args) => abort::run(self, args),
            Command::Audit(args) => audit::run(self, &args),
            Command::Verify(args) => verify::run(self, &args).await,
            Command::Doctor(args) => doctor::run(self, &args).await,
            Command::Schema(args) => schema::run(self, &args),
            Command::Explain(args) => explain::run(self, &args),
            Command::Plugin(args) => plugin::run(self, args).await,
            Command::Forge(args) => forge::run(self, args).await,
            Command::Completions(args) => completions::run(self, &args),
        }
    }

    /// Diagnostics of the program itself go to standard error when `CASTOFF_LOG` asks for them.
    fn start_log(&self) -> Result<(), CommandError> {
        let Some(filter) = self.environment.log() else { return Ok(()) };
        let filter = tracing_subscriber::EnvFilter::try_new(filter)
            .map_err(|error| CommandError::usage(format!("CASTOFF_LOG: {error}")))?;
        let ui = self.ui.clone();
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(move || ui::Diagnostics(ui.clone()))
            .init();
        Ok(())
    }

    /// The state folder.
    fn state_folder(&self) -> Result<PathBuf, CommandError> {
        self.state.clone().or_else(|| self.environment.state_folder()).ok_or_else(|| {
            CommandError::usage("there is no place to keep runs")
                .hint("give one with --state DIR, or set CASTOFF_STATE or HOME")
        })
    }

    /// The site with the usual limits.
    fn site(&self) -> Result<Site, CommandError> {
        self.site_with(Limits::default())
    }

    /// The site with an operator's limits.
    fn site_with(&self, limits: Limits) -> Result<Site, CommandError> {
        let state = self.state_folder()?;
        let cache = Some(Site::component_cache(&state));
        let registry = Registry::new(self.environment.accounts());
        Ok(Site::new(state, Engine::new(EngineConfig { cache, limits })?).with_registry(registry))
    }

    /// A run and where it stands, without keeping others from writing.
    fn look(&self, run: &str) -> Result<(Stored, Journal, RunState), CommandError> {
        let stored = self.site()?.find(run)?;
        let journal = stored.journal_read_only()?;
        let state = journal.state()?;
        Ok((stored, journal, state))
    }

    /// A journal that is about to be written: kept elsewhere where that was asked for, and armed with the kill that tests
    /// inject. The process is killed after its n-th event in whatever journals, as by `kill -9`; `written` of them are in
    /// this one already.
    fn armed(&self, journal: Journal, written: u64) -> Journal {
        let journal = match self.keeper.get() {
            Some(keeper) => keeper.attach(journal),
            None => journal,
        };
        let Some(last) = self.environment.crash_after() else { return journal };
        let count = self.written.clone();
        let die = move |number: u64| {
            if number >= last {
                let _ =
                    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
                // Nobody survives that; should the system refuse it, this process still does not go on.
                std::process::abort();
            }
        };
        die(count.fetch_add(written, Ordering::SeqCst) + written);
        journal.with_hook(Box::new(move |_| die(count.fetch_add(1, Ordering::SeqCst) + 1)))
    }

    /// Writes one decision of a person into the journal of a run.
    fn decide(&self, stored: &Stored, event: castoff::journal::Event) -> Result<RunState, CommandError> {
        use castoff::clock::Clock as _;
        let journal = self.armed(stored.journal()?, 0);
        journal.append(event, SystemClock.now())?;
        Ok(journal.state()?)
    }
}

/// Who decides: whom the arguments name, otherwise in whose name the run writes.
fn person(named: Option<String>, state: &RunState) -> String {
    let identity = &state.header().identity;
    named.or_else(|| identity.login.clone()).unwrap_or_else(|| identity.name.clone())
}
