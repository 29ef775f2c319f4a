//! Driving the releases of a train side by side, until none can go on.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use castoff::capability::github::Junction;
use castoff::clock::Clock;
use castoff::engine::Plugin;
use castoff::gate::Capabilities;
use castoff::journal::{Header, Journal, Verdict};
use castoff::policy::Policy;
use castoff::run::channel;
use castoff::run::{Ledger, Patience, Runner, Stop};
use castoff::site::{Site, SiteError, Stored};
use castoff::train::{self, Member, Standing, TrainRunner, Yard};
use castoff::webhook::Webhooks;
use chrono::{DateTime, Utc};

use super::standing;
use crate::cli::args::{DrivingArgs, ResumeArgs};
use crate::cli::drive::{
    Confirming, Halt, Journey, Parts, Watching, counted, engine_limits, hear, look_at, sum_up, waited_pages,
};
use crate::cli::error::CommandError;
use crate::cli::instance::Instance;
use crate::cli::run::need_token;
use crate::cli::text::line;
use crate::cli::time::SystemClock;
use crate::cli::watch::{Part, Screen};
use crate::cli::world::LiveWorld;
use crate::cli::{App, Done, person};

/// How many releases go on at once.
pub(super) const WIDTH: usize = 16;

/// Plugins under the limits of their policies, each loaded once.
pub(super) struct Plugins<'a> {
    app: &'a App,
    loaded: Mutex<BTreeMap<(String, String), Plugin>>,
}

impl<'a> Plugins<'a> {
    pub(super) fn new(app: &'a App) -> Self {
        Self { app, loaded: Mutex::default() }
    }

    /// The plugin that a run began with.
    pub(super) fn of(&self, policy: Option<&Policy>, header: &Header) -> Result<Plugin, SiteError> {
        let key = (header.policy.clone().unwrap_or_default(), header.plugin.digest.clone());
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plugin) = loaded.get(&key) {
            return Ok(plugin.clone());
        }
        let site =
            self.app.site_with(engine_limits(policy)).map_err(|error| SiteError::Graph(error.message))?;
        let plugin = site.plugin_of(header)?;
        Ok(loaded.entry(key).or_insert(plugin).clone())
    }
}

/// A train that is about to be driven in the world.
pub(super) struct TrainDrive<'a> {
    app: &'a App,
    stored: &'a Stored,
    args: &'a DrivingArgs,
    /// Who sends steps back that failed for a passing reason; the identity of each run when nobody is named.
    by: Option<String>,
    webhooks: Option<Webhooks>,
    plugins: Plugins<'a>,
    patience: Mutex<BTreeMap<String, Patience>>,
    requests: AtomicU64,
}

impl<'a> TrainDrive<'a> {
    pub(super) fn new(app: &'a App, stored: &'a Stored, args: &'a DrivingArgs, by: Option<String>) -> Self {
        Self {
            app,
            stored,
            args,
            by,
            webhooks: None,
            plugins: Plugins::new(app),
            patience: Mutex::default(),
            requests: AtomicU64::new(0),
        }
    }

    /// Drives the train from its open journal; with `--watch` again and again, holding the journals only while there is
    /// something to do.
    pub(super) async fn go(&self, journal: Journal) -> Done {
        let site = self.app.site()?;
        let screen = Arc::new(Screen::new(self.app.ui.clone(), self.args.json));
        screen.learn(&journal.state()?);
        let instance = Instance::of(journal.state()?.header())?;
        let world = LiveWorld::open(self.app, self.stored, &instance)?;
        let under_way = UnderWay { drive: self, site, screen, world, instance };
        let watching = Watching { stored: self.stored, args: self.args, webhooks: self.webhooks.as_ref() };
        let done = watching.travel(&under_way, journal).await;
        under_way.screen.close();
        done
    }

    /// Lets every release go on as far as it goes; when it is worth looking again.
    async fn once(
        &self,
        journal: Journal,
        site: &Site,
        screen: &Arc<Screen>,
        (world, instance): (&LiveWorld, &Instance),
        look: bool,
    ) -> Result<Option<DateTime<Utc>>, CommandError> {
        let junction = Junction::new(world.github.clone());
        let ledger = Ledger::new(Arc::new(journal), Arc::new(SystemClock), screen.clone())?;
        let lanes = junction.clone();
        let yard = LiveYard { drive: self, site, screen, world, instance, junction: lanes, look };
        let runner = TrainRunner::new(ledger, yard, junction, WIDTH);
        loop {
            let stops: Vec<(Runner, Stop)> = runner.advance().await?;
            if !self.confirm(&runner.under_way())? {
                return Ok(stops.iter().filter_map(|(_, stop)| stop.next).min());
            }
        }
    }

    /// Asks for the version of each release that has come to what cannot be undone. False: nothing was confirmed.
    fn confirm(&self, runners: &[(String, Runner)]) -> Result<bool, CommandError> {
        let given = self.args.confirm.iter().map(|text| {
            text.split_once('=').ok_or_else(|| {
                CommandError::usage(format!("{} names no release of the train", line(text)))
                    .hint("--confirm RELEASE=VERSION")
            })
        });
        let given: Vec<(&str, &str)> = given.collect::<Result<_, _>>()?;
        let mut moved = false;
        for (name, runner) in runners {
            let by = self.by.clone().unwrap_or_else(|| person(None, &runner.state()));
            let asking = Confirming { app: self.app, args: self.args, member: Some(name), by: &by };
            let typed = given.iter().find(|(member, _)| member == name).map(|(_, typed)| *typed);
            moved |= asking.confirm(runner, typed)?;
        }
        Ok(moved)
    }
}

/// A train with all that its releases act through.
struct UnderWay<'a> {
    drive: &'a TrainDrive<'a>,
    site: Site,
    screen: Arc<Screen>,
    world: LiveWorld,
    instance: Instance,
}

impl UnderWay<'_> {
    fn standing(&self) -> Result<Standing, CommandError> {
        Ok(standing(&self.site, self.drive.stored.journal_read_only()?.state()?))
    }
}

impl Journey for UnderWay<'_> {
    async fn once(&self, journal: Journal, look: bool) -> Result<Halt, CommandError> {
        let through = (&self.world, &self.instance);
        let next = self.drive.once(journal, &self.site, &self.screen, through, look).await?;
        let standing = self.standing()?;
        let listening = standing.runs.values().any(|run| channel::listening(run).next().is_some());
        Ok(Halt { parked: matches!(standing.verdict(), Verdict::Waiting | Verdict::Asks), next, listening })
    }

    fn end(&self, next: Option<DateTime<Utc>>) -> Done {
        self.screen.close();
        let (ui, standing) = (&self.drive.app.ui, self.standing()?);
        let requests = self.world.requests() + self.drive.requests.load(Ordering::Relaxed);
        summary(self.drive.app, &self.screen, &standing, requests);
        look_at(ui, next);
        for (name, run) in &standing.runs {
            waited_pages(run).iter().for_each(|page| ui.say(&format!("{name}/{page}")));
        }
        ui.next(&super::next_command(&standing));
        Ok(super::exit(&standing))
    }
}

/// The runs of a train's releases in the world.
struct LiveYard<'a> {
    drive: &'a TrainDrive<'a>,
    site: &'a Site,
    screen: &'a Arc<Screen>,
    world: &'a LiveWorld,
    instance: &'a Instance,
    junction: Junction,
    look: bool,
}

#[async_trait]
impl Yard for LiveYard<'_> {
    type Error = CommandError;

    async fn runner(&self, member: &Member) -> Result<Runner, CommandError> {
        let train = self.drive.stored;
        let train = Stored { name: train.name.clone(), folder: train.folder.clone(), policy: None };
        let (stored, journal) = self.site.board(&train, member, SystemClock.now()).await?;
        let state = journal.state()?;
        let journal = self.drive.app.armed(journal, u64::from(state.last() == 1));
        let plugin = self.drive.plugins.of(stored.policy.as_deref(), state.header())?;
        let world = self.world.of_member(self.drive.app, &stored, self.instance)?;
        let capabilities =
            Capabilities { github: self.junction.lane(&member.name), ..world.capabilities.clone() };
        let part = Part::of(self.screen, &member.name, &stored.name);
        part.learn(&state);
        let patience = {
            let mut known = self.drive.patience.lock().unwrap_or_else(PoisonError::into_inner);
            known.entry(member.name.clone()).or_default().clone()
        };
        let parts = Parts { stored: &stored, plugin: &plugin, args: self.drive.args, look: self.look };
        let runner = parts.runner(journal, capabilities, Arc::new(part), &patience)?;
        let by = self.drive.by.clone().unwrap_or_else(|| person(None, &state));
        runner.revive(&by)?;
        hear(&self.drive.app.ui, &runner, &world).await?;
        self.drive.requests.fetch_add(world.own_requests(), Ordering::Relaxed);
        Ok(runner)
    }
}

/// The line that sums a driven train up.
pub(super) fn summary(app: &App, screen: &Screen, standing: &Standing, requests: u64) {
    sum_up(&app.ui, screen, &counted(&standing.state, "releases out"), requests);
}

/// `castoff resume` of a train.
pub(in crate::cli) async fn resume(
    app: &App,
    args: ResumeArgs,
    stored: &Stored,
    journal: Journal,
    webhooks: Option<Webhooks>,
) -> Done {
    let state = journal.state()?;
    for (given, command) in
        [(args.assume.is_some(), "resume --assume"), (args.plan.is_some(), "resume --plan")]
    {
        if given {
            super::only_release(&state, command)?;
        }
    }
    if !args.driving.only.is_empty() {
        super::only_release(&state, "resume --only")?;
    }
    if state.is_finished() {
        let standing = standing(&app.site()?, state);
        app.ui.say("the train has ended");
        app.ui.next(&super::next_command(&standing));
        return Ok(super::exit(&standing));
    }
    for member in train::members(state.header()) {
        if let Some(policy) = app.site()?.member(&member).and_then(|stored| stored.policy) {
            need_token(app, &member.header.plugin.name, &policy)?;
        }
    }
    if !args.driving.json {
        app.ui.data(&stored.name);
    }
    let mut drive = TrainDrive::new(app, stored, &args.driving, args.person.clone());
    drive.webhooks = webhooks;
    drive.go(journal).await
}
