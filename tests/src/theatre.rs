//! Sets a stage and plays releases on it: what every test of the whole system begins with.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use castoff::clock::Clock as _;
use castoff::engine::{Engine, EngineConfig, Limits};
use castoff::forge::World;
use castoff::gate::{CallLimits, Watcher};
use castoff::journal::{Identity, Journal, Level, Record, World as Where};
use castoff::rehearsal::Stage;
use castoff::run::{Ledger, Runner, RunnerParts};
use castoff::site::{Beginning, Prepared, Site, Stored, grants};

/// The guest that does what its input says.
pub const EXERCISER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/exerciser.wasm"));

/// A guest as it was built for the first release of the track `0.1`.
pub const TRACK_0_1: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/track-0.1.wasm"));

/// Notes down what a run says besides its journal.
#[derive(Default)]
pub struct Notes {
    said: Mutex<Vec<(String, Level, String)>>,
}

impl Notes {
    /// Everything that was said: step, level, text.
    #[must_use]
    pub fn said(&self) -> Vec<(String, Level, String)> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Watcher for Notes {
    fn recorded(&self, _: &Record) {}

    fn said(&self, step: &str, level: Level, text: &str) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.push((step.into(), level, text.into()));
    }

    fn progress(&self, _: &str, _: u32, _: u32, _: &str) {}
}

/// A stage, a place on disk, and an engine.
pub struct Theatre {
    /// Forge, clock and people.
    pub stage: Stage,
    /// Where runs are kept.
    pub site: Site,
    /// What runs said.
    pub notes: Arc<Notes>,
    folder: tempfile::TempDir,
}

/// An engine that keeps compiled components in the build directory: they are compiled once for all tests.
///
/// # Panics
/// Where wasmtime does not run.
#[must_use]
pub fn engine(limits: Limits) -> Engine {
    let cache = Path::new(env!("OUT_DIR")).join("components");
    Engine::new(EngineConfig { cache: Some(cache), limits }).expect("the engine runs on this machine")
}

impl Theatre {
    /// Opens a theatre over a world.
    ///
    /// # Panics
    /// When the world is wrong.
    pub async fn open(world: World, engine: Engine) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let beginning = chrono::DateTime::from_timestamp(1_767_225_600, 0).expect("a date");
        let stage =
            Stage::set(world, &folder.path().join("forge"), beginning).await.expect("the stage is set");
        let site = Site::new(folder.path().join("state"), engine);
        Self { stage, site, notes: Arc::default(), folder }
    }

    /// Gives every question that nobody of the world answers its affirmative answer.
    #[must_use]
    pub fn approving(mut self) -> Self {
        self.stage = self.stage.approving(true);
        self
    }

    /// Writes files beside each other and returns the path of the first.
    ///
    /// # Panics
    /// When they cannot be written.
    pub fn write(&self, files: &[(&str, &[u8])]) -> PathBuf {
        for (name, content) in files {
            std::fs::write(self.folder.path().join(name), content).expect("a file can be written");
        }
        self.folder.path().join(files[0].0)
    }

    /// The forge's own copy of a repository.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn bare(&self, repository: &str) -> git2::Repository {
        let place = self.folder.path().join("forge").join(format!("{}.git", repository.to_lowercase()));
        git2::Repository::open_bare(place).expect("the repository can be opened")
    }

    /// A file at the head of a branch as the forge has it now, or the text of a link; none where there is none.
    ///
    /// # Panics
    /// When the forge's repository cannot be read.
    #[must_use]
    pub fn file(&self, repository: &str, branch: &str, path: &str) -> Option<Vec<u8>> {
        let git = self.bare(repository);
        let named = |kind: &str| git.find_reference(&format!("refs/{kind}/{branch}"));
        let head = named("heads").or_else(|_| named("tags")).expect("the branch or tag is there");
        let tree = head.peel_to_tree().expect("it names a commit");
        let entry = tree.get_path(Path::new(path)).ok()?;
        let blob = entry.to_object(&git).ok()?.into_blob().ok()?;
        Some(blob.content().to_vec())
    }

    /// Reads a release file into a run that can begin.
    ///
    /// # Panics
    /// When it is wrong.
    pub async fn prepare(&self, release: &Path) -> Prepared {
        self.site.prepare(release, None).await.expect("the release file is right")
    }

    /// Creates a run.
    ///
    /// # Panics
    /// When the journal cannot be made.
    pub fn create(&self, prepared: &Prepared, name: &str) -> (Stored, Journal) {
        let begin = Beginning {
            run: name.into(),
            pinned: self.stage.clock().now(),
            identity: Identity {
                name: "Release Manager".into(),
                email: "release-manager@example.org".into(),
                login: Some(self.stage.login().into()),
            },
            world: Where::Rehearsal,
            forge: None,
            started_by: "tester".into(),
            plan: None,
            confirm: false,
        };
        self.site.create(prepared, begin).expect("a run can be created")
    }

    /// A runner over a journal of this theatre.
    ///
    /// # Panics
    /// When a back end cannot be set up.
    pub fn runner(&self, prepared: &Prepared, stored: &Stored, journal: Journal) -> Runner {
        self.runner_with(prepared, stored, journal, |_, granted| granted)
    }

    /// A runner whose grants are changed for each step.
    ///
    /// # Panics
    /// When a back end cannot be set up.
    pub fn runner_with(
        &self,
        prepared: &Prepared,
        stored: &Stored,
        journal: Journal,
        change: impl Fn(&str, castoff::policy::Grants) -> castoff::policy::Grants + Send + Sync + 'static,
    ) -> Runner {
        let policy = stored.policy.clone();
        let header = journal.with_state(|state| state.header().clone());
        let granted = grants(&prepared.plugin, policy.clone(), &header);
        let artefacts = stored.artefacts().expect("artefacts can be kept");
        let world = self.stage.capabilities(&self.site.git_cache(), artefacts, policy.as_deref());
        let ledger = Ledger::new(Arc::new(journal), self.stage.clock(), self.notes.clone());
        Runner::new(RunnerParts {
            ledger: ledger.expect("the journal can be read"),
            plugin: prepared.plugin.clone(),
            grants: Arc::new(move |step| change(step, granted(step))),
            world: world.expect("back ends can be set up"),
            pause: self.stage.pause(),
            limits: CallLimits::of(stored.policy.as_deref()),
            scratch: stored.scratch(),
            parallel: 4,
            only: Vec::new(),
        })
    }
}
