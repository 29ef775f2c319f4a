//! Where a host keeps its things, and how a release file becomes a run.
//!
//! ```text
//! <state>/cache/components/     compiled components
//! <state>/git/                  local copies of remote repositories
//! <state>/plugins/<digest>.wasm components that runs depend on
//! <state>/plans/<digest>.json   plans that were shown
//! <state>/runs/<run>/           journal.sqlite, release.toml, policy.toml, plans/, artefacts/, scratch/
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use crate::capability::files::{ArtefactLimits, Artefacts};
use crate::engine::{Engine, Graph, Plugin};
use crate::journal::{FORMAT, Header, Identity, Journal, JournalError, PluginIdentity, World};
use crate::plan::Plan;
use crate::policy::{Grants, Policy, Scope, manifest};
use crate::release::ReleaseFile;
use crate::supply::{Registry, StoreError};

mod claim;
mod component;
mod error;
mod train;

pub use component::{Changed, Component};
pub use error::SiteError;
pub use train::{Leaving, PreparedMember, PreparedTrain};

/// The text of a release file, and which policy it goes with.
struct Told<'a> {
    /// Where it is, or where the file is that tells it.
    path: &'a Path,
    text: &'a str,
    /// Instead of the policy that it names.
    policy: Option<&'a Path>,
    /// When it names none.
    otherwise: Option<&'a Path>,
}

/// A release file, understood: everything a run needs to begin.
pub struct Prepared {
    /// The release file.
    pub release: ReleaseFile,
    /// Its text.
    pub text: String,
    /// The folder it is in.
    pub folder: PathBuf,
    /// The plugin.
    pub plugin: Plugin,
    /// The component's bytes.
    pub component: Vec<u8>,
    /// The policy, if there is one.
    pub policy: Option<Arc<Policy>>,
    /// The profile chosen.
    pub profile: String,
    /// Checked inputs, a JSON object.
    pub inputs: serde_json::Value,
    /// The steps.
    pub graph: Graph,
}

impl Prepared {
    /// What a run of it is.
    #[must_use]
    pub fn header(&self, begin: &Beginning) -> Header {
        let manifest = self.plugin.manifest();
        Header {
            format: FORMAT,
            run: begin.run.clone(),
            release: self.release.name.clone().unwrap_or_else(|| self.graph.title.clone()),
            title: self.graph.title.clone(),
            plugin: PluginIdentity {
                name: manifest.name.clone(),
                version: manifest.plugin_version.clone(),
                digest: self.plugin.digest().to_owned(),
            },
            policy: self.policy.as_ref().map(|policy| policy.digest().to_owned()),
            plan: begin.plan.clone(),
            process: self.release.process.clone(),
            profile: self.profile.clone(),
            inputs: self.inputs.clone(),
            graph: self.graph.steps.clone(),
            pinned: begin.pinned,
            identity: begin.identity.clone(),
            world: begin.world,
            forge: begin.forge.clone(),
            started_by: begin.started_by.clone(),
            confirm: begin.confirm,
        }
    }
}

/// A run on disk.
pub struct Stored {
    /// Its name.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// Its policy as it was when the run began.
    pub policy: Option<Arc<Policy>>,
}

/// The host's place on disk, and its engine.
#[derive(Clone)]
pub struct Site {
    state: PathBuf,
    engine: Engine,
    registry: Registry,
}

impl Site {
    /// A site in a folder, made when something is first written to it.
    #[must_use]
    pub fn new(state: PathBuf, engine: Engine) -> Self {
        Self { state, engine, registry: Registry::default() }
    }

    /// Where compiled components are kept for a state folder.
    #[must_use]
    pub fn component_cache(state: &Path) -> PathBuf {
        state.join("cache").join("components")
    }

    /// Where local copies of remote repositories are kept.
    #[must_use]
    pub fn git_cache(&self) -> PathBuf {
        self.state.join("git")
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Loads a component.
    ///
    /// # Errors
    /// [`SiteError::Plugin`].
    pub fn load(&self, name: &str, component: &[u8]) -> Result<Plugin, SiteError> {
        self.engine.load(component).map_err(|error| SiteError::Plugin { name: name.into(), error })
    }

    /// Reads a release file with its policy, loads its plugin, checks its inputs and lays its process out.
    /// `policy` overrides the policy that the release file names.
    ///
    /// # Errors
    /// [`SiteError`]; nothing has happened.
    pub async fn prepare(&self, path: &Path, policy: Option<&Path>) -> Result<Prepared, SiteError> {
        let text = read_text(path)?;
        self.understand(Told { path, text: &text, policy, otherwise: None }).await
    }

    /// The same for the text of a release file.
    async fn understand(&self, told: Told<'_>) -> Result<Prepared, SiteError> {
        let Told { path, text, policy, otherwise } = told;
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        let wrong = |error| SiteError::Release { path: path.to_owned(), text: text.to_owned(), error };
        let release = ReleaseFile::parse(text).map_err(wrong)?;
        let named = release.policy.as_ref().map(|path| folder.join(path));
        let policy = match policy.map(Path::to_owned).or(named).or_else(|| otherwise.map(Path::to_owned)) {
            Some(path) => Some(read_policy(&path)?),
            None => None,
        };
        let (plugin, component) = self.admitted(&release.plugin, &folder, policy.as_deref()).await?;
        let description = plugin.describe().await?;
        let (process, profile) = release.choose(&description).map_err(wrong)?;
        let inputs = release.checked_inputs(process).map_err(wrong)?;
        let graph = plugin.steps(&process.name, &profile, &inputs.to_string()).await?;
        check(&graph)?;
        let text = text.to_owned();
        Ok(Prepared { text, release, folder, plugin, component, policy, profile, inputs, graph })
    }

    /// The plugin of a release, once the policy wants it.
    async fn admitted(
        &self,
        name: &str,
        folder: &Path,
        policy: Option<&Policy>,
    ) -> Result<(Plugin, Vec<u8>), SiteError> {
        let component = self.component(name, folder).await?;
        if let Some(policy) = policy {
            let asks = manifest::read(&component.bytes);
            let asks = asks.map_err(|error| SiteError::Plugin { name: name.into(), error: error.into() })?;
            self.admit(name, &component, &asks, policy)?;
        }
        let plugin = self.load(name, &component.bytes)?;
        Ok((plugin, component.bytes))
    }

    /// Creates a run: its folder, its copies of what it depends on, and its journal with the first event.
    ///
    /// # Errors
    /// [`SiteError::File`], [`SiteError::Journal`].
    pub fn create(&self, prepared: &Prepared, begin: Beginning) -> Result<(Stored, Journal), SiteError> {
        let folder = self.state.join("runs").join(&begin.run);
        make(&folder)?;
        let keep = |name: &str, text: &str| write(&folder.join(name), text.as_bytes());
        keep("release.toml", &prepared.text)?;
        if let Some(policy) = &prepared.policy {
            keep("policy.toml", policy.text())?;
        }
        self.store().keep(&prepared.component)?;
        let header = prepared.header(&begin);
        let journal = Journal::create(folder.join("journal.sqlite"), header, begin.pinned)?;
        let stored = Stored { name: begin.run, folder, policy: prepared.policy.clone() };
        Ok((stored, journal))
    }

    /// The plugin a run began with.
    ///
    /// # Errors
    /// [`SiteError::Store`] when its component is gone or another one, [`SiteError::Plugin`].
    pub fn plugin_of(&self, header: &Header) -> Result<Plugin, SiteError> {
        let (store, digest) = (self.store(), &header.plugin.digest);
        let known = store.unverified(digest)?.and_then(|component| self.engine.known(&component));
        if let Some(plugin) = known.filter(|plugin| plugin.digest() == digest) {
            return Ok(plugin);
        }
        let gone = || {
            let path = store.path(digest)?;
            Err(StoreError::File { path, why: "the component that the run began with is gone".into() })
        };
        let component = match store.read(digest)? {
            Some(component) => component,
            None => gone()?,
        };
        self.load(&header.plugin.name, &component)
    }

    /// Keeps a plan, so that it can be named by its digest.
    ///
    /// # Errors
    /// [`SiteError::File`].
    pub fn keep_plan(&self, plan: &Plan) -> Result<PathBuf, SiteError> {
        write_plan(&self.state.join("plans"), plan)
    }

    /// A plan by its digest (or eight or more digits of its beginning), or by the path of its file.
    ///
    /// # Errors
    /// [`SiteError::NoPlan`], [`SiteError::PlanEdited`], [`SiteError::File`].
    pub fn find_plan(&self, name: &str) -> Result<Plan, SiteError> {
        let hex = name.strip_prefix("sha256:").unwrap_or(name);
        let is_digest = hex.len() >= 8 && hex.len() <= 64 && hex.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_digest {
            let path = Path::new(name);
            return if path.is_file() { read_plan(path) } else { Err(SiteError::NoPlan(name.into())) };
        }
        let entries = std::fs::read_dir(self.state.join("plans")).into_iter().flatten();
        let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
        let begins = |path: &PathBuf| {
            path.file_stem().and_then(|stem| stem.to_str()).is_some_and(|stem| stem.starts_with(hex))
        };
        let found: Vec<PathBuf> = paths.filter(begins).collect();
        match found.as_slice() {
            [only] => read_plan(only),
            _ => Err(SiteError::NoPlan(name.into())),
        }
    }

    /// Finds a run by name, by an unambiguous beginning of it, or `@latest`; a release of a train as `TRAIN/RELEASE`.
    ///
    /// # Errors
    /// [`SiteError::NoRun`], [`SiteError::NoMember`], [`SiteError::NotBegun`], [`SiteError::Policy`], [`SiteError::File`].
    pub fn find(&self, name: &str) -> Result<Stored, SiteError> {
        if let Some((train, member)) = name.split_once('/') {
            return self.find_member(&self.find(train)?, member);
        }
        let names = self.runs();
        let found = match name {
            "@latest" => names.last().map(|latest| self.train_of(latest).unwrap_or_else(|| latest.clone())),
            exact if names.iter().any(|known| known == exact) => Some(exact.to_owned()),
            start => {
                let mut matching = names.iter().filter(|known| known.starts_with(start));
                matching.next().filter(|_| matching.next().is_none()).cloned()
            }
        };
        let Some(name) = found else {
            let known = names.into_iter().rev().take(5).collect();
            return Err(SiteError::NoRun { name: name.into(), known });
        };
        self.stored(name)
    }

    /// A run whose name is known.
    fn stored(&self, name: String) -> Result<Stored, SiteError> {
        let folder = self.state.join("runs").join(&name);
        let policy = folder.join("policy.toml");
        let policy = if policy.is_file() { Some(read_policy(&policy)?) } else { None };
        Ok(Stored { name, folder, policy })
    }

    /// Names of all runs, oldest first.
    #[must_use]
    pub fn runs(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.state.join("runs")) else { return Vec::new() };
        let mut names: Vec<(std::time::SystemTime, String)> = entries
            .filter_map(Result::ok)
            .filter(|entry| entry.path().join("journal.sqlite").is_file())
            .filter_map(|entry| {
                let journal = std::fs::metadata(entry.path().join("release.toml")).ok()?;
                Some((journal.modified().ok()?, entry.file_name().into_string().ok()?))
            })
            .collect();
        names.sort();
        names.into_iter().map(|(_, name)| name).collect()
    }
}

/// What is pinned when a run begins.
#[derive(Debug, Clone)]
pub struct Beginning {
    /// Its name.
    pub run: String,
    /// The time everything written carries.
    pub pinned: DateTime<Utc>,
    /// Whose name everything written carries.
    pub identity: Identity,
    /// Where effects land.
    pub world: World,
    /// Address of the GitHub that a live run acts on, when it is not github.com.
    pub forge: Option<String>,
    /// Who starts it.
    pub started_by: String,
    /// Digest of the plan it is held to.
    pub plan: Option<String>,
    /// Whether a person confirms each step that cannot be undone.
    pub confirm: bool,
}

impl Stored {
    /// The journal, for writing.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn journal(&self) -> Result<Journal, JournalError> {
        Journal::open(self.folder.join("journal.sqlite"))
    }

    /// The journal, for reading.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn journal_read_only(&self) -> Result<Journal, JournalError> {
        Journal::open_read_only(self.folder.join("journal.sqlite"))
    }

    /// Documents kept with the run.
    ///
    /// # Errors
    /// [`SiteError::File`].
    pub fn artefacts(&self) -> Result<Artefacts, SiteError> {
        let path = self.folder.join("artefacts");
        Artefacts::open(&path, ArtefactLimits::default())
            .map_err(|error| SiteError::File { path, why: error.to_string() })
    }

    /// Keeps a copy of a plan that the run is held to.
    ///
    /// # Errors
    /// [`SiteError::File`].
    pub fn keep_plan(&self, plan: &Plan) -> Result<(), SiteError> {
        write_plan(&self.folder.join("plans"), plan).map(drop)
    }

    /// The plan that the run is held to.
    ///
    /// # Errors
    /// [`SiteError::File`] when its copy is gone, [`SiteError::PlanEdited`] when it is another one.
    pub fn plan(&self, digest: &str) -> Result<Plan, SiteError> {
        let path = plan_path(&self.folder.join("plans"), digest);
        let plan = read_plan(&path)?;
        if plan.digest != digest {
            return Err(SiteError::PlanEdited { path, why: format!("the run is held to {digest}") });
        }
        Ok(plan)
    }

    /// Where steps have their scratch directories.
    #[must_use]
    pub fn scratch(&self) -> PathBuf {
        self.folder.join("scratch")
    }
}

/// What each step of a run may do: what the policy grants of what the manifest asks; without a policy, everything
/// that it asks in a rehearsal and nothing in the world.
#[must_use]
pub fn grants(
    plugin: &Plugin,
    policy: Option<Arc<Policy>>,
    header: &Header,
) -> Arc<dyn Fn(&str) -> Grants + Send + Sync> {
    let (plugin, process, world) = (plugin.clone(), header.process.clone(), header.world);
    Arc::new(move |step| {
        let scope = Scope { digest: plugin.digest(), process: &process, step };
        match (&policy, world) {
            (Some(policy), _) => Grants::of_policy(policy, plugin.manifest(), scope),
            (None, World::Rehearsal) => Grants::of_manifest(plugin.manifest(), &process, step),
            (None, World::Live) => {
                let asked = Grants::of_manifest(plugin.manifest(), &process, step);
                (0..asked.powers().len()).fold(asked, |fewer, _| fewer.without(0))
            }
        }
    })
}

fn plan_path(folder: &Path, digest: &str) -> PathBuf {
    folder.join(format!("{}.json", digest.trim_start_matches("sha256:")))
}

fn write_plan(folder: &Path, plan: &Plan) -> Result<PathBuf, SiteError> {
    make(folder)?;
    let path = plan_path(folder, &plan.digest);
    let text = serde_json::to_vec_pretty(plan)
        .map_err(|error| SiteError::File { path: path.clone(), why: error.to_string() })?;
    write(&path, &text)?;
    Ok(path)
}

/// Reads a plan and checks that nobody changed it.
fn read_plan(path: &Path) -> Result<Plan, SiteError> {
    let edited = |why: String| SiteError::PlanEdited { path: path.to_owned(), why };
    let plan: Plan = serde_json::from_slice(&read(path)?).map_err(|error| edited(error.to_string()))?;
    if plan.is_whole() { Ok(plan) } else { Err(edited("its digest is not the one it names".into())) }
}

/// A name for a run: what is released, when, and what makes it differ from others of that second.
#[must_use]
pub fn run_name(title: &str, pinned: DateTime<Utc>, salt: &[u8]) -> String {
    let words = title
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '.' { c.to_ascii_lowercase() } else { '-' });
    let words: String = words.collect();
    let words: Vec<&str> = words.split('-').filter(|word| !word.is_empty()).collect();
    let mut name: String = words.join("-").chars().take(60).collect();
    if name.is_empty() {
        name.push_str("run");
    }
    let mut hash = Sha256::new();
    hash.update(title.as_bytes());
    hash.update(pinned.to_rfc3339().as_bytes());
    hash.update(salt);
    let hash = hex::encode(hash.finalize());
    format!("{name}-{}-{}", pinned.format("%Y%m%d-%H%M%S"), &hash[..4])
}

/// A graph is only run when every step needs only steps before it and names are plain.
fn check(graph: &Graph) -> Result<(), SiteError> {
    let mut known = std::collections::BTreeSet::new();
    let plain = |id: &str| {
        !id.is_empty()
            && id.len() <= 64
            && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    for step in &graph.steps {
        if !plain(&step.id) {
            return Err(SiteError::Graph(format!("{:?} is no name of a step", step.id)));
        }
        if let Some(need) = step.needs.iter().find(|need| !known.contains(need.as_str())) {
            return Err(SiteError::Graph(format!("{} needs {need}, which does not come before it", step.id)));
        }
        if !known.insert(step.id.as_str()) {
            return Err(SiteError::Graph(format!("there are two steps {}", step.id)));
        }
    }
    if graph.steps.is_empty() {
        return Err(SiteError::Graph("it has no steps".into()));
    }
    Ok(())
}

fn read_policy(path: &Path) -> Result<Arc<Policy>, SiteError> {
    let text = read_text(path)?;
    Ok(Arc::new(Policy::parse(&path.display().to_string(), &text)?))
}

fn read(path: &Path) -> Result<Vec<u8>, SiteError> {
    std::fs::read(path).map_err(|error| SiteError::File { path: path.to_owned(), why: error.to_string() })
}

fn read_text(path: &Path) -> Result<String, SiteError> {
    std::fs::read_to_string(path)
        .map_err(|error| SiteError::File { path: path.to_owned(), why: error.to_string() })
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), SiteError> {
    std::fs::write(path, bytes)
        .map_err(|error| SiteError::File { path: path.to_owned(), why: error.to_string() })
}

fn make(path: &Path) -> Result<(), SiteError> {
    std::fs::create_dir_all(path)
        .map_err(|error| SiteError::File { path: path.to_owned(), why: error.to_string() })
}
