//! A machine with a release file on it, and a forge that it acts on: the real binary, process after process.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use castoff::clock::{Clock as _, SimulatedClock};
use castoff::forge::{Forge, World};
use castoff::journal::{Journal, Record};
use castoff::release::ReleaseFile;
use chrono::TimeDelta;
use serde_json::Value;
use tempfile::TempDir;

/// The most commands that a release may need.
pub(crate) const MOST: usize = 400;

/// Every example release in the tree that has a world: its file, by its path below the plugins.
pub(crate) fn examples() -> Vec<(String, PathBuf)> {
    let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins");
    let below = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        entries.map(|entry| entry.expect("the tree can be read").path()).collect()
    };
    let examples = below(&plugins).into_iter().flat_map(|plugin| below(&plugin.join("examples")));
    let mut found: Vec<(String, PathBuf)> = examples
        .flat_map(|example| below(&example))
        .filter(|file| world_of(file).is_some())
        .filter_map(|file| Some((file.strip_prefix(&plugins).ok()?.display().to_string(), file)))
        .collect();
    found.sort();
    found
}

/// The world file that a release file names.
fn world_of(file: &Path) -> Option<PathBuf> {
    file.extension().filter(|extension| *extension == "toml")?;
    let release = ReleaseFile::parse(&std::fs::read_to_string(file).ok()?).ok()?;
    Some(file.parent()?.join(release.rehearsal.world?))
}

/// A machine with a release file on it, and a forge.
pub(crate) struct Place {
    pub(crate) home: TempDir,
    pub(crate) forge: Forge,
    pub(crate) clock: Arc<SimulatedClock>,
    release: String,
    _runtime: tokio::runtime::Runtime,
}

/// How a command ended.
pub(crate) struct Ended {
    /// None: killed.
    pub(crate) code: Option<i32>,
    /// By which signal.
    pub(crate) signal: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        let livenessprobe = "../plugins/csi-sidecar/examples/livenessprobe/release.toml";
        Self::of(&Path::new(env!("CARGO_MANIFEST_DIR")).join(livenessprobe))
    }

    /// A machine with a copy of an example.
    pub(crate) fn of(release: &Path) -> Self {
        Self::with(release, &world_of(release).expect("the example has a world"))
    }

    /// A machine with a copy of all files beside a release file or train file, and a forge of a world.
    pub(crate) fn with(release: &Path, world: &Path) -> Self {
        let home = TempDir::new().expect("a temporary folder");
        let folder = release.parent().expect("a file is in a folder");
        for entry in std::fs::read_dir(folder).expect("the example can be read") {
            let from = entry.expect("the example can be read").path();
            let name = from.file_name().expect("a file has a name");
            if from.is_file() {
                std::fs::copy(&from, home.path().join(name)).expect("the example can be copied");
            }
        }
        let world = std::fs::read_to_string(world).expect("the world can be read");
        let world = World::from_toml(&world).expect("the world is right");
        let clock = Arc::new(SimulatedClock::new(world.now.expect("the world has a beginning")));
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let folder = home.path().join("forge");
        let forge = runtime.block_on(Forge::start(world, &folder, clock.clone())).expect("the forge starts");
        let release = release.file_name().expect("a file has a name").to_string_lossy().into_owned();
        let place = Self { home, forge, clock, release, _runtime: runtime };
        place.share_components();
        place
    }

    /// Compiled components are kept in the build directory: they are compiled once for all tests.
    fn share_components(&self) {
        let shared = Path::new(env!("CARGO_TARGET_TMPDIR")).join("components");
        let cache = self.state().join("cache");
        for folder in [&shared, &cache] {
            std::fs::create_dir_all(folder).expect("a folder can be made");
        }
        std::os::unix::fs::symlink(shared, cache.join("components")).expect("a link can be made");
    }

    fn state(&self) -> PathBuf {
        self.home.path().join(".local/state/castoff")
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_castoff"));
        let token = self.forge.token(None).expect("the user has a token");
        command.args(args).env_clear().env("HOME", self.home.path()).env("GITHUB_TOKEN", token);
        command.envs(self.secrets().iter().map(|name| (name, "a secret of the test")));
        command.current_dir(self.home.path());
        command
    }

    /// Variables that the policy takes secrets from.
    fn secrets(&self) -> Vec<String> {
        let policy = std::fs::read_to_string(self.home.path().join("policy.toml")).unwrap_or_default();
        let policy: toml::Table = policy.parse().expect("the policy is TOML");
        let secrets = policy.get("secrets").and_then(toml::Value::as_table).into_iter().flatten();
        let variable = |secret: &toml::Value| Some(secret.get("env")?.as_str()?.to_owned());
        secrets.filter_map(|(_, secret)| variable(secret)).collect()
    }

    pub(crate) fn castoff(&self, args: &[&str]) -> Ended {
        Ended::of(&mut self.command(args))
    }

    /// The same, killed after so many events.
    pub(crate) fn killed(&self, args: &[&str], events: u64) -> Ended {
        Ended::of(self.command(args).env("CASTOFF_CRASH_AFTER_EVENT", events.to_string()))
    }

    /// What begins a run here.
    pub(crate) fn beginning<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        [&["run", self.release.as_str(), "--forge", self.forge.url()], more].concat()
    }

    /// A run begun here, as far as it goes by itself.
    pub(crate) fn begin(&self, more: &[&str]) -> (String, Ended) {
        named(self.castoff(&self.beginning(more)))
    }

    pub(crate) fn status(&self, run: &str) -> Value {
        let ended = self.castoff(&["status", run, "--json"]);
        serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {}", ended.shown()))
    }

    /// Agrees to every open question, as a person who read it; `run` may be TRAIN/RELEASE. Each command is killed after as
    /// many events as `crash` says: what it wrote counts all the same.
    pub(crate) fn approve_all(&self, run: &str, crash: impl Fn() -> Option<u64>) {
        let status = self.status(run);
        let steps = status["state"]["steps"].as_object().expect("steps by name").clone();
        for (step, state) in steps.iter().filter(|(_, step)| step["status"]["kind"] == "asks") {
            let choice = state["status"]["question"]["choices"][0].as_str().expect("a choice");
            let given = state["answers"].as_array().map_or(0, Vec::len);
            // Where two have to agree, they are two.
            let person = if given == 0 { "approver".to_owned() } else { format!("approver-{}", given + 1) };
            let args = ["approve", run, step, "--choice", choice, "--as", &person];
            let ended = match crash() {
                Some(events) => self.killed(&args, events),
                None => self.castoff(&args),
            };
            assert!(matches!(ended.code, Some(0) | None), "{step}: {}", ended.shown());
        }
    }

    /// Lets pass what has to pass before it is worth looking again: until the next thing happens at the forge, at least
    /// `least`.
    pub(crate) fn pass(&self, least: TimeDelta) {
        let now = self.clock.now();
        let next = self.forge.next_event().unwrap_or(now);
        self.clock.advance_to(next.max(now + least));
        self.forge.tick();
    }

    /// Goes on with a run, confirming what cannot be undone; killed after so many events.
    pub(crate) fn resume(&self, run: &str, crash: Option<u64>) -> Ended {
        let journal = Journal::open_read_only(self.journal(run)).expect("a journal");
        let version = journal.with_state(|state| state.header().version().to_owned());
        let args = ["resume", run, "--confirm", &version];
        match crash {
            Some(events) => self.killed(&args, events),
            None => self.castoff(&args),
        }
    }

    /// Resumes until the run has ended, killing each process after as many events as `crash` says; how the commands
    /// ended, in order.
    pub(crate) fn finish(&self, run: &str, crash: impl Fn(usize) -> Option<u64>) -> Vec<Option<i32>> {
        let mut codes = Vec::new();
        while codes.len() < MOST {
            let ended = self.resume(run, crash(codes.len()));
            codes.push(ended.code);
            match ended.code {
                Some(0) => return codes,
                Some(10) => self.pass(TimeDelta::hours(3)),
                Some(11) => self.approve_all(run, || None),
                None => assert_eq!(ended.signal, Some(9), "{}", ended.shown()),
                Some(_) => panic!("after {codes:?}: {}", ended.shown()),
            }
        }
        panic!("no end after {codes:?}: {}", self.status(run))
    }

    pub(crate) fn log(&self, run: &str) -> Vec<Record> {
        let ended = self.castoff(&["log", run, "--json"]);
        assert_eq!(ended.code, Some(0), "{}", ended.shown());
        ended.out.lines().map(|line| serde_json::from_str(line).expect("an event a line")).collect()
    }

    pub(crate) fn journal(&self, run: &str) -> PathBuf {
        self.state().join("runs").join(run).join("journal.sqlite")
    }

    /// How many events the journal of a run holds; all of them checked.
    pub(crate) fn events(&self, run: &str) -> u64 {
        let journal = Journal::open_read_only(self.journal(run));
        journal.and_then(|journal| journal.verify()).expect("a whole journal").events
    }

    /// How many steps of a run are over.
    pub(crate) fn over(&self, run: &str) -> usize {
        let journal = Journal::open_read_only(self.journal(run)).expect("a journal");
        journal.with_state(|state| state.steps().filter(|step| step.status.is_over()).count())
    }

    /// Names of all runs here.
    pub(crate) fn runs(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.state().join("runs")).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }
}

impl Ended {
    pub(crate) fn of(command: &mut Command) -> Self {
        Self::from(command.output().expect("the binary can be started"))
    }

    pub(crate) fn shown(&self) -> String {
        let Self { code, signal, out, err } = self;
        format!("exit {code:?}, signal {signal:?}\n--- stdout\n{out}\n--- stderr\n{err}")
    }
}

impl From<Output> for Ended {
    fn from(Output { status, stdout, stderr }: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { code: status.code(), signal: status.signal(), out: text(stdout), err: text(stderr) }
    }
}

/// The name of a new run is the first line of standard output.
pub(crate) fn named(ended: Ended) -> (String, Ended) {
    let name = ended.out.lines().next().unwrap_or_else(|| panic!("no name: {}", ended.shown())).to_owned();
    (name, ended)
}
