//! A train with its world, rehearsed by a test that may stop it at any moment and go on against the same forge.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use castoff::engine::{Limits, Plugin};
use castoff::forge::{Snapshot, World};
use castoff::gate::CallLimits;
use castoff::journal::{self, Identity, Journal, JournalError, RunState};
use castoff::rehearsal::{RehearsalError, Stage, StageYard};
use castoff::run::{Ledger, RunError};
use castoff::site::{Beginning, Leaving, PreparedTrain, Site, SiteError, Stored};
use castoff::train::{Member, Standing, TrainRunner, members};
use tempfile::TempDir;

use crate::example::Result;
use crate::theatre::{Notes, engine};

/// A train, ready to be rehearsed any number of times.
pub struct TrainExample {
    site: Site,
    prepared: PreparedTrain,
    world: World,
    _folder: TempDir,
}

/// A train on its forge. The journals are opened anew by each [`TrainRehearsal::play`], as another process would.
pub struct TrainRehearsal {
    stage: Stage,
    site: Site,
    stored: Stored,
    journal: Option<Journal>,
    plugins: Vec<Plugin>,
    linger: Option<Duration>,
    folder: TempDir,
}

/// How a stretch of a train ended.
pub enum Driven {
    /// As far as it goes.
    Through(Box<Standing>),
    /// The injected crash came.
    Killed,
}

impl TrainExample {
    /// The file of the repository's own example train.
    #[must_use]
    pub fn sidecars() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/csi-sidecar/examples/train/train.toml")
    }

    /// Reads a train file, and the world it names.
    ///
    /// # Errors
    /// When a file is wrong or a plugin cannot be loaded.
    pub async fn load(file: &Path) -> Result<Self> {
        let folder = TempDir::new().map_err(said)?;
        let site = Site::new(folder.path().join("state"), engine(Limits::default()));
        let prepared = site.prepare_train(file, None).await.map_err(said)?;
        let world = prepared.file.rehearsal.world.as_ref().ok_or("the train file names no world")?;
        let text = std::fs::read_to_string(prepared.folder.join(world)).map_err(said)?;
        let world = World::from_toml(&text).map_err(said)?;
        Ok(Self { site, prepared, world, _folder: folder })
    }

    /// Begins the train on a forge of its own.
    ///
    /// # Errors
    /// When forge or journal cannot be made.
    pub async fn begin(&self) -> Result<TrainRehearsal> {
        let folder = TempDir::new().map_err(said)?;
        let pinned = self.world.now.ok_or("the world has no beginning")?;
        let login = self.world.user.clone().unwrap_or_default();
        let begin = |name: &str| Beginning {
            run: format!("{name}-run"),
            pinned,
            identity: Identity {
                name: login.clone(),
                email: format!("{login}@example.org"),
                login: Some(login.clone()),
            },
            world: journal::World::Rehearsal,
            forge: None,
            started_by: login.clone(),
            plan: None,
            confirm: false,
        };
        let begins = self.prepared.members.iter().map(|member| begin(&member.name)).collect();
        let leaving = Leaving { run: "the-train".into(), members: begins };
        let site = Site::new(folder.path().join("state"), self.site.engine().clone());
        let kept = |_: &Stored, _: &castoff::site::Prepared| Ok::<(), SiteError>(());
        let (stored, journal) = site.create_train(&self.prepared, &leaving, kept).map_err(said)?;
        let stage = Stage::set(self.world.clone(), &folder.path().join("forge"), pinned).await;
        let stage = stage.map_err(said)?.approving(true);
        let plugins = self.prepared.members.iter().map(|member| member.prepared.plugin.clone()).collect();
        Ok(TrainRehearsal { stage, site, stored, journal: Some(journal), plugins, linger: None, folder })
    }
}

impl TrainRehearsal {
    /// Lets reads of pull requests wait for those of others so long.
    #[must_use]
    pub fn lingering(mut self, linger: Duration) -> Self {
        self.linger = Some(linger);
        self
    }

    /// The forge and its clock.
    #[must_use]
    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    /// A file at the head of a branch as the forge has it now, or the text of a link.
    ///
    /// # Errors
    /// When there is none.
    pub fn file(&self, repository: &str, branch: &str, path: &str) -> Result<String> {
        let place = self.folder.path().join("forge").join(format!("{repository}.git"));
        let git = git2::Repository::open_bare(place).map_err(said)?;
        let head = git.find_reference(&format!("refs/heads/{branch}")).map_err(said)?;
        let entry = head.peel_to_tree().and_then(|tree| tree.get_path(Path::new(path))).map_err(said)?;
        let blob =
            entry.to_object(&git).map_err(said)?.into_blob().map_err(|_| format!("{path} is no file"))?;
        Ok(String::from_utf8_lossy(blob.content()).into_owned())
    }

    /// The comparable picture of the forge.
    ///
    /// # Errors
    /// When a repository cannot be read.
    pub fn snapshot(&self) -> Result<Snapshot> {
        self.stage.forge().snapshot().map_err(said)
    }

    /// Goes on, so many releases at once, until the end or until `crash` more events are durable in all journals together.
    ///
    /// # Errors
    /// When the host cannot go on for another reason than the injected crash.
    pub async fn play(&mut self, width: usize, crash: Option<u64>) -> Result<Driven> {
        let left = crash.map(|crash| Arc::new(AtomicU64::new(crash)));
        let arm = |journal: Journal| match &left {
            Some(left) => journal.with_shared_crash(left.clone()),
            None => journal,
        };
        let journal = match self.journal.take() {
            Some(journal) => journal,
            None => self.reopened()?,
        };
        let notes = Arc::new(Notes::default());
        let train =
            Stored { name: self.stored.name.clone(), folder: self.stored.folder.clone(), policy: None };
        let git = self.folder.path().join("git");
        let watch = |_: &Member| -> Arc<dyn castoff::gate::Watcher> { notes.clone() };
        let yard = StageYard::new(&self.stage, self.site.clone(), train, &git, watch);
        let plugins = self.plugins.clone();
        let mut yard = yard.map_err(said)?.arming(arm).loading(move |_, header| {
            let known = plugins.iter().find(|plugin| plugin.digest() == header.plugin.digest);
            known
                .cloned()
                .map(|plugin| (plugin, CallLimits::default()))
                .ok_or_else(|| SiteError::NoRun { name: header.plugin.digest.clone(), known: Vec::new() })
        });
        if let Some(linger) = self.linger {
            yard = yard.lingering(linger);
        }
        let ledger = Ledger::new(Arc::new(arm(journal)), self.stage.clock(), notes.clone()).map_err(said)?;
        let junction = yard.junction();
        let runner = TrainRunner::new(ledger, yard, junction, width);
        let played = self.stage.play_all(&runner).await;
        let state = runner.state();
        drop(runner);
        match played {
            Ok(()) => Ok(Driven::Through(Box::new(self.standing(state)?))),
            Err(error) if is_killed(&error) => Ok(Driven::Killed),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The train's journal, opened again: see [`crate::example::Rehearsal`].
    fn reopened(&self) -> Result<Journal> {
        for _ in 0..1_000_000 {
            match self.stored.journal() {
                Err(JournalError::Held { .. }) => std::thread::yield_now(),
                opened => return opened.map_err(said),
            }
        }
        self.stored.journal().map_err(said)
    }

    /// Where the train stands; every journal is checked.
    fn standing(&self, state: RunState) -> Result<Standing> {
        let members = members(state.header());
        let mut standing = Standing { state, members, runs: [].into() };
        for member in &standing.members {
            let Some(stored) = self.site.member(member) else { continue };
            let journal = stored.journal_read_only().map_err(said)?;
            journal.verify().map_err(said)?;
            standing.runs.insert(member.name.clone(), journal.state().map_err(said)?);
        }
        Ok(standing)
    }

    /// How many events were written after the first one of each journal.
    ///
    /// # Errors
    /// When a journal cannot be read.
    pub fn appended(&self, standing: &Standing) -> Result<u64> {
        let own = self.stored.journal_read_only().and_then(|journal| journal.verify()).map_err(said)?;
        let others: u64 = standing.runs.values().map(|run| run.last().saturating_sub(1)).sum();
        Ok(own.events.saturating_sub(1) + others)
    }

    /// The queries that GraphQL was asked, as they were sent; only of a forge that records.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        let exchanges = self.stage.forge().exchanges();
        let queries = exchanges.into_iter().filter(|exchange| exchange.path == "/graphql");
        queries.map(|exchange| String::from_utf8_lossy(&exchange.request).into_owned()).collect()
    }
}

fn is_killed(error: &RehearsalError) -> bool {
    matches!(
        error,
        RehearsalError::Run(RunError::Journal(JournalError::Killed))
            | RehearsalError::Site(SiteError::Journal(JournalError::Killed))
    )
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// A world of so many sidecars with so many pull requests each since their last release, and a train that releases them
/// all, in a folder of its own.
///
/// # Errors
/// When the files cannot be written.
pub fn sidecars(count: usize, pulls: usize) -> Result<(TempDir, PathBuf)> {
    use std::fmt::Write as _;
    let folder = TempDir::new().map_err(said)?;
    let names: Vec<String> = (1..=count).map(|number| format!("sidecar-{number}")).collect();
    let mut train = format!("version = 1\nname = \"{count} sidecars\"\n");
    let permissions: Vec<String> = names.iter().map(|name| format!("\"acme/{name}\" = \"admin\"")).collect();
    let mut world = format!(
        "now = \"2026-03-10T09:00:00Z\"\nuser = \"ann\"\n[[account]]\nlogin = \"ann\"\ntoken = \"t0ken\"\n\
         permissions = {{ \"acme/k8s.io\" = \"admin\", \"acme/docs\" = \"admin\", {} }}\n",
        permissions.join(", ")
    );
    let mut promoted = String::new();
    for name in &names {
        let _ = write!(
            train,
            "[[release]]\nname = \"{name}\"\nplugin = \"csi-sidecar\"\nprocess = \"release\"\n[release.inputs]\n\
             repository = \"acme/{name}\"\nversion = \"v1.1.0\"\nmodule-proxy = \"off\"\n\
             promotion-repository = \"acme/k8s.io\"\ndocs-repository = \"acme/docs\"\n"
        );
        let _ = write!(
            world,
            "[[repository]]\nname = \"acme/{name}\"\ndefault_branch = \"master\"\n\
             files = {{ \"Makefile\" = \"CMDS={name}\\n\", \"README.md\" = \"# {name}\\n\" }}\n\
             [[repository.history]]\nmessage = \"start\"\nid = \"{name}\"\ntag = \"v1.0.0\"\n\
             files = {{ \"CHANGELOG/CHANGELOG-1.0.md\" = \"# Release notes for v1.0.0\\n\\n# Changelog since v0.9.0\\n\" }}\n"
        );
        for number in 1..=pulls {
            let _ = write!(
                world,
                "[[repository.history]]\nfiles = {{ \"n/{number}\" = \"x\" }}\npull = {{ number = {number}, \
                 title = \"Change {number}\", user = \"ben\", head = \"b{number}\", labels = [\"kind/bug\"], \
                 body = \"```release-note\\nFixed {number}.\\n```\\n\" }}\n"
            );
        }
        let _ = write!(
            world,
            "[[repository.branch]]\nname = \"release-1.0\"\nat = \"{name}\"\n\
             [[image_rule]]\nrepository = \"acme/{name}\"\ntag = \"v*\"\nafter_seconds = 1800\n\
             images = [\"gcr.io/k8s-staging-sig-storage/{name}\"]\nplatforms = [\"linux/amd64\"]\n"
        );
        let _ = write!(
            promoted,
            "- name: {name}\n  dmap:\n    \"sha256:{:064}\": [ \"v0.9.0\" ]\n    \"sha256:{:064}\": [ \"v1.0.0\" ]\n",
            1, 2
        );
    }
    let _ = write!(
        world,
        "[[repository]]\nname = \"acme/k8s.io\"\ndefault_branch = \"main\"\n[repository.files]\n\
         \"registry.k8s.io/images/k8s-staging-sig-storage/images.yaml\" = \"\"\"\n{promoted}\"\"\"\n\
         [[repository]]\nname = \"acme/docs\"\ndefault_branch = \"master\"\nfiles = {{ \"README.md\" = \"docs\\n\" }}\n\
         [[rule]]\nrepository = \"acme/*\"\nafter_seconds = 3600\nby = \"ann\"\naction = \"merge\"\n\
         [[promotion]]\nrepository = \"acme/k8s.io\"\nafter_seconds = 600\n\
         path = \"registry.k8s.io/images/k8s-staging-sig-storage/images.yaml\"\n\
         from = \"gcr.io/k8s-staging-sig-storage\"\nto = \"registry.k8s.io/sig-storage\"\n\
         [[dashboard]]\nname = \"sig-storage-csi-ci\"\n[dashboard.tabs.canary-on-1-35]\noverall_status = \"PASSING\"\n\
         status = \"10 of 10 (100.0%) recent columns passed\"\n\
         [[dashboard]]\nname = \"sig-storage-image-build\"\n"
    );
    train += "[rehearsal]\nworld = \"world.toml\"\n";
    let file = folder.path().join("train.toml");
    std::fs::write(&file, train).map_err(said)?;
    std::fs::write(folder.path().join("world.toml"), world).map_err(said)?;
    Ok((folder, file))
}
