//! What `run` and `resume` share: driving a run until nothing can go on, and saying where it stopped.

use std::sync::Arc;
use std::time::Duration;

use castoff::capability::wire::Sleep;
use castoff::clock::Clock;
use castoff::engine::{Limits, Plugin};
use castoff::gate::{CallLimits, Capabilities, Watcher};
use castoff::journal::{Event, Journal, JournalError, RunState, Status, Verdict};
use castoff::plan::Held;
use castoff::policy::Policy;
use castoff::run::channel::{self, Ignored};
use castoff::run::{Ledger, Patience, Runner, RunnerParts, Stop};
use castoff::site::{Stored, grants};
use castoff::webhook::Webhooks;
use chrono::{DateTime, Utc};

use super::approve::ask;
use super::args::DrivingArgs;
use super::error::CommandError;
use super::exit::Exit;
use super::instance::Instance;
use super::text::line;
use super::time::SystemClock;
use super::ui::Ui;
use super::watch::Screen;
use super::world::LiveWorld;
use super::{App, Done, next, text, time};

/// How many seconds `--watch` waits for a journal that somebody else writes.
const PATIENCE: u32 = 60;

/// A run that is about to be driven.
pub(crate) struct Drive<'a> {
    pub(crate) app: &'a App,
    pub(crate) stored: &'a Stored,
    pub(crate) plugin: Plugin,
    pub(crate) args: &'a DrivingArgs,
    /// Who sends steps back that failed for a passing reason.
    pub(crate) by: String,
    /// Where deliveries wake a run that is watched.
    pub(crate) webhooks: Option<Webhooks>,
}

impl Drive<'_> {
    /// Drives the run from an open journal; with `--watch` again and again, holding the journal only while there is
    /// something to do.
    pub(crate) async fn go(&self, journal: Journal) -> Done {
        let screen = Arc::new(Screen::new(self.app.ui.clone(), self.args.json));
        screen.learn(&journal.state()?);
        let instance = Instance::of(journal.state()?.header())?;
        let world = LiveWorld::open(self.app, self.stored, &instance)?;
        let under_way = UnderWay { drive: self, screen, world, patience: Patience::default() };
        let watching = Watching { stored: self.stored, args: self.args, webhooks: self.webhooks.as_ref() };
        let done = watching.travel(&under_way, journal).await;
        under_way.screen.close();
        done
    }

    async fn once(
        &self,
        journal: Journal,
        screen: &Arc<Screen>,
        world: &LiveWorld,
        look: bool,
        patience: &Patience,
    ) -> Result<(Stop, RunState), CommandError> {
        let parts = Parts { stored: self.stored, plugin: &self.plugin, args: self.args, look };
        let runner = parts.runner(journal, world.capabilities.clone(), screen.clone(), patience)?;
        match self.args.alone {
            true => runner.revive_only(&self.by, &self.args.only)?,
            false => runner.revive(&self.by)?,
        }
        hear(&self.app.ui, &runner, world).await?;
        loop {
            let stop = runner.advance().await;
            if stop.is_err() {
                screen.close();
            }
            let stop = stop?;
            if !self.confirm(&runner)? {
                return Ok((stop, runner.state()));
            }
        }
    }

    /// Asks for the version before steps that cannot be undone. False: nothing is to be confirmed, or nobody is there.
    fn confirm(&self, runner: &Runner) -> Result<bool, CommandError> {
        let given = match self.args.confirm.as_slice() {
            [] => None,
            [typed] => Some(typed.as_str()),
            _ => return Err(CommandError::usage("one release is confirmed by one version")),
        };
        let asking = Confirming { app: self.app, args: self.args, member: None, by: &self.by };
        asking.confirm(runner, given)
    }
}

/// A run with all that it acts through.
struct UnderWay<'a> {
    drive: &'a Drive<'a>,
    screen: Arc<Screen>,
    world: LiveWorld,
    patience: Patience,
}

impl Journey for UnderWay<'_> {
    async fn once(&self, journal: Journal, look: bool) -> Result<Halt, CommandError> {
        let (stop, state) = self.drive.once(journal, &self.screen, &self.world, look, &self.patience).await?;
        let parked = matches!(stop.verdict, Verdict::Waiting | Verdict::Asks) && !state.is_finished();
        Ok(Halt { parked, next: stop.next, listening: channel::listening(&state).next().is_some() })
    }

    fn end(&self, next: Option<DateTime<Utc>>) -> Done {
        self.screen.close();
        let (ui, state) = (&self.drive.app.ui, self.drive.stored.journal_read_only()?.state()?);
        summary(ui, &self.screen, &state, self.world.requests());
        look_at(ui, next);
        for page in waited_pages(&state) {
            ui.say(&page);
        }
        ui.next(&next::command(&state));
        Ok(Exit::of_run(&state))
    }
}

/// What is driven until it halts: a run, or a train.
pub(crate) trait Journey {
    /// Lets everything go on that can. `look`: also what is waited for and would not be looked at yet.
    async fn once(&self, journal: Journal, look: bool) -> Result<Halt, CommandError>;

    /// Says where it stands, and how the command ends. `next`: when it is worth looking again.
    fn end(&self, next: Option<DateTime<Utc>>) -> Done;
}

/// What a journey came to.
pub(crate) struct Halt {
    /// Whether the world or a person has the next move.
    pub(crate) parked: bool,
    /// When it is worth looking again.
    pub(crate) next: Option<DateTime<Utc>>,
    /// Whether a question is open that may be answered on GitHub.
    pub(crate) listening: bool,
}

/// How long a journey is stayed with.
pub(crate) struct Watching<'a> {
    pub(crate) stored: &'a Stored,
    pub(crate) args: &'a DrivingArgs,
    pub(crate) webhooks: Option<&'a Webhooks>,
}

impl Watching<'_> {
    /// Drives a journey until it halts; with `--watch` again, whenever there is something to look at: a time, a delivery,
    /// or an answer on GitHub.
    pub(crate) async fn travel(&self, journey: &impl Journey, mut journal: Journal) -> Done {
        // Whoever types the command wants to know now; what `--watch` does afterwards keeps to the intervals.
        let (mut look, mut listens) = (true, 0);
        loop {
            let Halt { parked, next, listening } = journey.once(journal, look).await?;
            listens = if listening { listens + 1 } else { 0 };
            let worth = next.is_some() || listens > 0 || self.webhooks.is_some();
            if !(self.args.watch && parked && worth) {
                return journey.end(next);
            }
            look = pause(self.webhooks, next, listens).await;
            journal = reopen(self.stored).await?;
            if journal.state()?.is_finished() {
                // Somebody ended it meanwhile.
                drop(journal);
                return journey.end(None);
            }
        }
    }
}

/// Says when it is worth looking again.
pub(crate) fn look_at(ui: &Ui, next: Option<DateTime<Utc>>) {
    if let Some(at) = next {
        ui.say(&format!("next look at {}", time::moment(at)));
    }
}

/// Who confirms what cannot be undone, in a run or in a release of a train.
pub(crate) struct Confirming<'a> {
    pub(crate) app: &'a App,
    pub(crate) args: &'a DrivingArgs,
    /// The name of the release in its train.
    pub(crate) member: Option<&'a str>,
    pub(crate) by: &'a str,
}

impl Confirming<'_> {
    /// Confirms the steps that have come to it by the version that was given, or that somebody types now. False: nothing
    /// was confirmed.
    pub(crate) fn confirm(&self, runner: &Runner, given: Option<&str>) -> Result<bool, CommandError> {
        let state = runner.state();
        let wanted = |id: &String| !self.args.alone || self.args.only.contains(id);
        let steps = state.to_confirm().filter(|step| wanted(&step.node.id));
        let steps: Vec<_> = steps.map(|step| step.node.clone()).collect();
        if steps.is_empty() {
            return Ok(false);
        }
        let before = self.member.map(|member| format!("{member}/")).unwrap_or_default();
        for step in &steps {
            self.app.ui.say(&format!("{before}{} cannot be undone: {}", step.id, line(&step.title)));
        }
        let version = state.header().version();
        let typed = match given {
            Some(typed) => typed.to_owned(),
            None if self.app.ui.is_interactive() && !self.args.json => {
                let here = self.member.map(|member| format!(" {member}")).unwrap_or_default();
                ask(&format!("type {} to go on, nothing to stop{here} here", line(version)))?
            }
            None => return Ok(false),
        };
        if typed.is_empty() {
            return Ok(false);
        }
        if typed != version {
            let what =
                self.member.map_or("is released here".to_owned(), |member| format!("{member} releases"));
            return Err(CommandError::usage(format!("{} is not what {what}", line(&typed)))
                .hint(format!("it is {}", line(version))));
        }
        for step in steps {
            let event = Event::Confirmed { step: step.id, typed: typed.clone(), by: self.by.to_owned() };
            runner.ledger().append(event)?;
        }
        Ok(true)
    }
}

/// Waits until it is worth looking again; whether somebody woke it, so that everything is to be looked at.
async fn pause(webhooks: Option<&Webhooks>, next: Option<DateTime<Utc>>, listens: u32) -> bool {
    let answer = (listens > 0).then(|| SystemClock.now() + channel::interval(listens));
    let next = [next, answer].into_iter().flatten().min();
    let span = next.map(|at| (at - SystemClock.now()).to_std().unwrap_or_default());
    let sleep = async {
        match span {
            Some(span) => tokio::time::sleep(span.max(Duration::from_secs(1))).await,
            None => std::future::pending().await,
        }
    };
    match webhooks {
        None => {
            sleep.await;
            false
        }
        Some(webhooks) => tokio::select! {
            () = webhooks.delivered() => true,
            () = sleep => false,
        },
    }
}

/// The journal of a run after a pause; somebody may be writing an answer into it just then.
async fn reopen(stored: &Stored) -> Result<Journal, CommandError> {
    for _ in 0..PATIENCE {
        match stored.journal() {
            Err(JournalError::Held { .. }) => tokio::time::sleep(Duration::from_secs(1)).await,
            opened => return Ok(opened?),
        }
    }
    Ok(stored.journal()?)
}

/// Takes the answers that people gave on GitHub.
pub(crate) async fn hear(ui: &Ui, runner: &Runner, world: &LiveWorld) -> Result<(), CommandError> {
    let heard = runner.hear(&*world.github).await?;
    for Ignored { url, by, why } in &heard.ignored {
        ui.say(&text::line(&format!("not counted: {url} by {by}: {why}")));
    }
    for place in &heard.unread {
        ui.say(&text::line(&format!("warning: answers cannot be read at {place}")));
    }
    Ok(())
}

/// What the runner of a live run is made from.
pub(crate) struct Parts<'a> {
    pub(crate) stored: &'a Stored,
    pub(crate) plugin: &'a Plugin,
    pub(crate) args: &'a DrivingArgs,
    /// Whether everything that is waited for is looked at, at once.
    pub(crate) look: bool,
}

impl Parts<'_> {
    /// The runner, held to the run's plan when it has one.
    pub(crate) fn runner(
        &self,
        journal: Journal,
        world: Capabilities,
        watcher: Arc<dyn Watcher>,
        patience: &Patience,
    ) -> Result<Runner, CommandError> {
        let header = journal.state()?.header().clone();
        let policy = self.stored.policy.clone();
        let limits = call_limits(policy.as_deref());
        let approval = policy.as_deref().map(|policy| policy.approval().clone()).unwrap_or_default();
        let ledger = Ledger::new(Arc::new(journal), Arc::new(SystemClock), watcher)?;
        let runner = Runner::new(RunnerParts {
            ledger,
            plugin: self.plugin.clone(),
            grants: grants(self.plugin, policy, &header),
            world: world.clone(),
            pause: Arc::new(Sleep),
            limits,
            scratch: self.stored.scratch(),
            parallel: usize::from(self.args.parallel),
            only: self.args.only.clone(),
        })
        .approving(approval)
        .patient(patience.clone());
        let runner = if self.look { runner.looking() } else { runner };
        let runner = if self.args.alone { runner.alone() } else { runner };
        Ok(match runner.state().plan() {
            Some(digest) => {
                let (plan, ledger) = (self.stored.plan(digest)?, runner.ledger().clone());
                runner.held(Arc::new(Held::new(plan, ledger, world)))
            }
            None => runner,
        })
    }
}

/// The line that sums a driven run up.
pub(crate) fn summary(ui: &Ui, screen: &Screen, state: &RunState, requests: u64) {
    sum_up(ui, screen, &counted(state, "steps done"), requests);
}

/// How many steps are over, in words.
pub(crate) fn counted(state: &RunState, what: &str) -> String {
    let over = state.steps().filter(|step| step.status.is_over()).count();
    format!("{over} of {} {what}", state.steps().count())
}

/// The line that sums a driven run or train up, after what it says first.
pub(crate) fn sum_up(ui: &Ui, screen: &Screen, first: &str, requests: u64) {
    let counts = screen.counts();
    let mut line = format!("{first}, {} effects performed, {requests} requests", counts.performed);
    if counts.adopted > 0 {
        line += &format!(", {} effects found done already", counts.adopted);
    }
    line += &format!(", {}", time::elapsed(screen.began().elapsed()));
    ui.say("");
    ui.say(&ui.talk_paint().bold(&line));
}

/// Pages of what is waited for.
pub(crate) fn waited_pages(state: &RunState) -> Vec<String> {
    let pages = state.steps().filter_map(|step| match &step.status {
        Status::Waiting { wait } => {
            let url = wait.url.as_ref()?;
            Some(format!("{} waits on {}", step.node.id, text::line(url)))
        }
        _ => None,
    });
    pages.collect()
}

/// The engine's limits as an operator set them.
pub(crate) fn engine_limits(policy: Option<&Policy>) -> Limits {
    let mut limits = Limits::default();
    let Some(set) = policy.map(Policy::limits) else { return limits };
    if let Some(memory) = set.memory_mib {
        limits.memory = usize::try_from(memory.get()).unwrap_or(usize::MAX).saturating_mul(1 << 20);
    }
    if let Some(fuel) = set.fuel {
        limits.fuel = fuel.get();
    }
    if let Some(seconds) = set.wall_seconds {
        limits.wall = Duration::from_secs(u64::from(seconds.get()));
    }
    limits
}

/// The gate's limits as an operator set them.
pub(crate) fn call_limits(policy: Option<&Policy>) -> CallLimits {
    CallLimits::of(policy)
}
