//! A release file with its world, rehearsed by a test that may stop the run at any moment, take powers away, and go
//! on against the same forge.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use castoff::engine::{Engine, Limits};
use castoff::forge::{Snapshot, World};
use castoff::gate::{CallLimits, Watcher};
use castoff::journal::{
    self, Event, Header, Identity, Journal, JournalError, Level, Record, RunState, Status,
};
use castoff::plan::{Held, Origin, Plan, PlanParts};
use castoff::policy::Grants;
use castoff::rehearsal::{RehearsalError, Stage};
use castoff::release::ReleaseFile;
use castoff::run::{Ledger, RunError, Runner, RunnerParts, UNPLANNED};
use castoff::site::{Beginning, Prepared, Site, Stored, grants};
use tempfile::TempDir;

use crate::theatre::engine;

/// The time in which a forge on loopback answers, however busy the machine is.
const ANSWER: Duration = Duration::from_secs(4);

/// Why something cannot be done, in words.
pub type Result<T> = std::result::Result<T, String>;

/// What a step may do.
pub type Powers = Arc<dyn Fn(&str) -> Grants + Send + Sync>;

/// A release, ready to be rehearsed any number of times.
pub struct Example {
    engine: Engine,
    prepared: Prepared,
    world: World,
    _folder: TempDir,
}

impl Example {
    /// Reads a release file, and the world it names.
    ///
    /// # Errors
    /// When a file is wrong or the plugin cannot be loaded.
    pub async fn load(release: &Path) -> Result<Self> {
        let folder = TempDir::new().map_err(said)?;
        let engine = engine(Limits::default());
        let site = Site::new(folder.path().join("state"), engine.clone());
        let prepared = site.prepare(release, None).await.map_err(said)?;
        let world = prepared.release.rehearsal.world.as_ref().ok_or("the release file names no world")?;
        let text = std::fs::read_to_string(prepared.folder.join(world)).map_err(said)?;
        let world = World::from_toml(&text).map_err(said)?;
        Ok(Self { engine, prepared, world, _folder: folder })
    }

    /// The file of the repository's own example release of livenessprobe.
    #[must_use]
    pub fn livenessprobe() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../plugins/csi-sidecar/examples/livenessprobe/release.toml")
    }

    /// Every example release in the tree that has a world to rehearse it in, by the name of its file; only those whose
    /// path holds the value of `CASTOFF_EXAMPLE`, where that is set.
    ///
    /// # Panics
    /// When the tree cannot be read.
    #[must_use]
    pub fn all() -> Vec<(String, PathBuf)> {
        let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins");
        let wanted = std::env::var_os("CASTOFF_EXAMPLE").map(|wanted| wanted.to_string_lossy().into_owned());
        let below = |folder: &Path| -> Vec<PathBuf> {
            let entries = std::fs::read_dir(folder).into_iter().flatten();
            entries.map(|entry| entry.expect("the tree can be read").path()).collect()
        };
        let examples = below(&plugins).into_iter().flat_map(|plugin| below(&plugin.join("examples")));
        let mut found: Vec<(String, PathBuf)> = examples
            .flat_map(|example| below(&example))
            .filter(|file| is_release(file))
            .filter(|file| wanted.as_ref().is_none_or(|wanted| file.display().to_string().contains(wanted)))
            .filter_map(|file| Some((file.strip_prefix(&plugins).ok()?.display().to_string(), file)))
            .collect();
        found.sort();
        found
    }

    /// The release as the host understood it.
    #[must_use]
    pub fn prepared(&self) -> &Prepared {
        &self.prepared
    }

    /// Begins a run on a forge of its own.
    ///
    /// # Errors
    /// When forge or journal cannot be made.
    pub async fn begin(&self) -> Result<Rehearsal> {
        self.begin_on(|stage| stage).await
    }

    /// Begins a run on a forge of its own whose silence is not waited out for long: see [`Stage::hasty`].
    ///
    /// # Errors
    /// When forge or journal cannot be made.
    pub async fn begin_hasty(&self) -> Result<Rehearsal> {
        self.begin_on(|stage| stage.hasty(ANSWER)).await
    }

    async fn begin_on(&self, set: impl FnOnce(Stage) -> Stage) -> Result<Rehearsal> {
        let folder = TempDir::new().map_err(said)?;
        let pinned = self.world.now.ok_or("the world has no beginning")?;
        let login = self.world.user.clone().unwrap_or_default();
        let begin = Beginning {
            run: "rehearsal".into(),
            pinned,
            identity: Identity {
                name: login.clone(),
                email: format!("{login}@example.org"),
                login: Some(login.clone()),
            },
            world: journal::World::Rehearsal,
            forge: None,
            started_by: login,
            plan: None,
            confirm: false,
        };
        let site = Site::new(folder.path().join("state"), self.engine.clone());
        let (stored, journal) = site.create(&self.prepared, begin).map_err(said)?;
        let header = journal.with_state(|state| state.header().clone());
        let stage =
            Stage::set(self.world.clone(), &folder.path().join("forge"), pinned).await.map_err(said)?;
        let powers = grants(&self.prepared.plugin, stored.policy.clone(), &header);
        Ok(Rehearsal {
            stage: set(stage.approving(true)),
            stored,
            header,
            powers,
            plugin: self.prepared.plugin.clone(),
            journal: Some(journal),
            plan: None,
            folder,
        })
    }
}

/// Whether a file is a release file that names a world.
fn is_release(file: &Path) -> bool {
    let toml = file.extension().is_some_and(|extension| extension == "toml");
    let text = if toml { std::fs::read_to_string(file).ok() } else { None };
    text.and_then(|text| ReleaseFile::parse(&text).ok())
        .is_some_and(|release| release.rehearsal.world.is_some())
}

/// A run on its forge. The journal is opened anew by each [`Rehearsal::play`], as another process would.
pub struct Rehearsal {
    stage: Stage,
    stored: Stored,
    header: Header,
    powers: Powers,
    plugin: castoff::engine::Plugin,
    journal: Option<Journal>,
    plan: Option<Plan>,
    folder: TempDir,
}

/// How a stretch of a run ended.
#[derive(Debug)]
pub enum Played {
    /// As far as it goes.
    Through(Box<RunState>),
    /// The injected crash came.
    Killed,
}

impl Rehearsal {
    /// The forge and its clock.
    #[must_use]
    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    /// The powers that the policy grants.
    #[must_use]
    pub fn powers(&self) -> Powers {
        self.powers.clone()
    }

    /// What the run is.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The comparable picture of the forge.
    ///
    /// # Errors
    /// When a repository cannot be read.
    pub fn snapshot(&self) -> Result<Snapshot> {
        self.stage.forge().snapshot().map_err(said)
    }

    /// The journal, opened again. A git process that another run of this test process is just starting holds a copy of
    /// the lease until it has become git: an instant, but one that a host of its own never meets.
    fn reopened(&self) -> Result<Journal> {
        for _ in 0..1_000_000 {
            match self.stored.journal() {
                Err(JournalError::Held { .. }) => std::thread::yield_now(),
                opened => return opened.map_err(said),
            }
        }
        self.stored.journal().map_err(said)
    }

    /// Opens the journal and goes on, with `powers`, until the end or until `crash` more events are durable.
    ///
    /// # Errors
    /// When the host cannot go on for another reason than the injected crash.
    pub async fn play(&mut self, powers: Powers, crash: Option<u64>) -> Result<Played> {
        let journal = match self.journal.take() {
            Some(journal) => journal,
            None => self.reopened()?,
        };
        let journal = match crash {
            Some(after) => journal.with_crash_after(after),
            None => journal,
        };
        let ledger = Ledger::new(Arc::new(journal), self.stage.clock(), Arc::new(Nobody)).map_err(said)?;
        let folder = self.folder.path();
        let artefacts = self.stored.artefacts().map_err(said)?;
        let policy = self.stored.policy.as_deref();
        let world = self.stage.capabilities(&folder.join("git"), artefacts, policy).map_err(said)?;
        let held_world = world.clone();
        let runner = Runner::new(RunnerParts {
            ledger,
            plugin: self.plugin.clone(),
            grants: powers,
            world,
            pause: self.stage.pause(),
            limits: CallLimits::default(),
            scratch: self.stored.scratch(),
            parallel: 1,
            only: Vec::new(),
        });
        let runner = match &self.plan {
            Some(plan) => {
                let (ledger, world) = (runner.ledger().clone(), held_world);
                runner.held(Arc::new(Held::new(plan.clone(), ledger, world)))
            }
            None => runner,
        };
        match self.stage.play(&runner).await {
            Ok(_) => Ok(Played::Through(Box::new(runner.state()))),
            Err(RehearsalError::Run(RunError::Journal(JournalError::Killed))) => Ok(Played::Killed),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Makes a plan from where the run stands, and holds what is played from now on to it.
    ///
    /// # Errors
    /// When the plan cannot be made, or the journal not be written.
    pub async fn plan(&mut self) -> Result<&Plan> {
        let journal = match self.journal.take() {
            Some(journal) => journal,
            None => self.reopened()?,
        };
        let folder = TempDir::new().map_err(said)?;
        let (copy, base) =
            castoff::plan::copied(&journal, &folder.path().join("journal.sqlite")).map_err(said)?;
        let artefacts = self.stored.artefacts().map_err(said)?;
        let policy = self.stored.policy.as_deref();
        let git = self.folder.path().join("git");
        let plan = castoff::plan::build(PlanParts {
            journal: copy,
            origin: origin(&self.header),
            base: Some(base),
            plugin: self.plugin.clone(),
            grants: self.powers.clone(),
            live: self.stage.capabilities(&git, artefacts, policy).map_err(said)?,
            now: castoff::clock::Clock::now(&*self.stage.clock()),
            pause: self.stage.pause(),
            limits: CallLimits::default(),
            scratch: folder.path().join("scratch"),
            approval: policy.map(|policy| policy.approval().clone()).unwrap_or_default(),
        });
        let plan = plan.await.map_err(said)?;
        let now = castoff::clock::Clock::now(&*self.stage.clock());
        let adopted = Event::PlanAdopted { plan: plan.digest.clone(), by: "tester".into() };
        journal.append(adopted, now).map_err(said)?;
        let stopped: Vec<String> = journal.with_state(|state| {
            let unplanned =
                |status: &Status| matches!(status, Status::Failed { error, .. } if error == UNPLANNED);
            let stopped = state.steps().filter(|step| unplanned(&step.status));
            stopped.map(|step| step.node.id.clone()).collect()
        });
        for step in stopped {
            journal.append(Event::Retried { step, by: "tester".into() }, now).map_err(said)?;
        }
        self.journal = Some(journal);
        Ok(self.plan.insert(plan))
    }

    /// Changes the plan that the run is held to, as somebody might who wants more to be done than was shown.
    pub fn change_plan(&mut self, change: impl FnOnce(&mut Plan)) {
        if let Some(plan) = &mut self.plan {
            change(plan);
        }
    }

    /// Sends every failed step back to its beginning, as a person would after mending the cause.
    ///
    /// # Errors
    /// When the journal cannot be opened or written.
    pub fn retry_failed(&self) -> Result<()> {
        let journal = self.reopened()?;
        let failed: Vec<String> = journal.with_state(|state| {
            let failed = state.steps().filter(|step| matches!(step.status, Status::Failed { .. }));
            failed.map(|step| step.node.id.clone()).collect()
        });
        for step in failed {
            let event = Event::Retried { step, by: "tester".into() };
            journal.append(event, castoff::clock::Clock::now(&*self.stage.clock())).map_err(said)?;
        }
        Ok(())
    }

    /// Checks the journal's chain; its number of events.
    ///
    /// # Errors
    /// When it is broken.
    pub fn verify(&self) -> Result<u64> {
        let journal = self.stored.journal_read_only().map_err(said)?;
        Ok(journal.verify().map_err(said)?.events)
    }

    /// The events of the journal.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn events(&self) -> Result<Vec<Record>> {
        self.stored.journal_read_only().and_then(|journal| journal.events()).map_err(said)
    }
}

fn origin(header: &Header) -> Origin {
    Origin {
        run: header.run.clone(),
        title: header.title.clone(),
        release: String::new(),
        plugin: header.plugin.clone(),
        policy: header.policy.clone(),
        process: header.process.clone(),
        profile: header.profile.clone(),
        inputs: header.inputs.clone(),
        pinned: header.pinned,
        identity: header.identity.clone(),
        started_by: header.started_by.clone(),
        forge: header.forge.clone(),
    }
}

/// Nobody watches.
struct Nobody;

impl Watcher for Nobody {
    fn recorded(&self, _: &Record) {}
    fn said(&self, _: &str, _: Level, _: &str) {}
    fn progress(&self, _: &str, _: u32, _: u32, _: &str) {}
}

/// What differs between two pictures of a forge, in words.
#[must_use]
pub fn difference<T: serde::Serialize>(left: &T, right: &T) -> Vec<String> {
    let (left, right) = (serde_json::to_value(left), serde_json::to_value(right));
    let mut found = Vec::new();
    if let (Ok(left), Ok(right)) = (left, right) {
        compare("", &left, &right, &mut found);
    }
    found
}

fn compare(path: &str, left: &serde_json::Value, right: &serde_json::Value, found: &mut Vec<String>) {
    use serde_json::Value::Object;
    if left == right {
        return;
    }
    let (Object(left), Object(right)) = (left, right) else {
        let (left, right) = (left.to_string(), right.to_string());
        // Long texts are shown from where they differ.
        let same = left.chars().zip(right.chars()).take_while(|(left, right)| left == right).count();
        let shown = |text: &str| text.chars().skip(same.saturating_sub(40)).take(300).collect::<String>();
        found.push(format!("{path}: {} and {}", shown(&left), shown(&right)));
        return;
    };
    for key in left.keys().chain(right.keys().filter(|key| !left.contains_key(*key))) {
        let null = serde_json::Value::Null;
        compare(
            &format!("{path}/{key}"),
            left.get(key).unwrap_or(&null),
            right.get(key).unwrap_or(&null),
            found,
        );
    }
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}
