//! One run of a process of a built plugin against a seeded forge: through policy, gate and journal, with simulated
//! people and time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use castoff::capability::files::{ArtefactLimits, Artefacts};
use castoff::engine::{Description, Limits, Plugin};
use castoff::forge::{Snapshot, World};
use castoff::gate::{CallLimits, Watcher};
use castoff::journal::{self, Identity, Level, Record, RunState, Status};
use castoff::rehearsal::Stage;
use castoff::release::ReleaseFile;
use castoff::run::{Ledger, Runner, RunnerParts};
use castoff::site::{Beginning, Prepared, Site, grants, run_name};
use git2::{ObjectType, Oid, TreeWalkMode, TreeWalkResult};
use serde_json::{Map, Value};
use tempfile::TempDir;

use super::case::{Entry, Result, Tree};
use super::seed::USER;
use crate::openapi::judge_all;
use crate::theatre::engine;

/// The engine with a loaded plugin: one for all cases.
#[derive(Clone)]
pub struct Machine {
    site: Site,
    name: String,
    plugin: Plugin,
    component: Arc<Vec<u8>>,
    description: Arc<Description>,
    _folder: Arc<TempDir>,
}

impl Machine {
    /// Loads an embedded plugin.
    ///
    /// # Errors
    /// When there is none of this name, or it cannot be loaded.
    pub async fn load(name: &str) -> Result<Self> {
        let folder = TempDir::new().map_err(said)?;
        let site = Site::new(folder.path().join("state"), engine(Limits::default()));
        let component = site.component(name, folder.path()).await.map_err(said)?.bytes;
        let plugin = site.load(name, &component).map_err(said)?;
        let description = Arc::new(plugin.describe().await.map_err(said)?);
        Ok(Self {
            site,
            name: name.into(),
            plugin,
            component: Arc::new(component),
            description,
            _folder: Arc::new(folder),
        })
    }

    /// Whether the plugin has a process.
    #[must_use]
    pub fn has(&self, process: &str) -> bool {
        self.description.processes.iter().any(|known| known.name == process)
    }

    /// Runs a process against a world until its wanted steps are done or nothing more can happen.
    ///
    /// # Errors
    /// When the run cannot begin or the host cannot go on; a step that fails is an [`Outcome`].
    pub async fn run(&self, task: &Task, world: World) -> Result<Outcome> {
        let folder = TempDir::new().map_err(said)?;
        let now = world.now.ok_or("the world has no beginning")?;
        let stage = Stage::set(world, &folder.path().join("forge"), now).await.map_err(said)?.approving(true);
        let inputs = stage_inputs(&task.inputs, |repository, label| stage.forge().seeded(repository, label));
        let prepared = match self.prepare(task, inputs).await {
            Ok(prepared) => prepared,
            Err(why) => return Outcome::refused_early(why, stage, folder),
        };
        let begin = Beginning {
            run: run_name(&prepared.graph.title, now, b"replay"),
            pinned: now,
            identity: Identity {
                name: "Release Lead".into(),
                email: "release-lead@example.org".into(),
                login: Some(USER.into()),
            },
            world: journal::World::Rehearsal,
            forge: None,
            started_by: USER.into(),
            plan: None,
            confirm: false,
        };
        let site = Site::new(folder.path().join("state"), self.site.engine().clone());
        let (stored, journal) = site.create(&prepared, begin).map_err(said)?;
        let header = journal.with_state(|state| state.header().clone());
        let listener = Arc::new(Listener);
        let ledger = Ledger::new(Arc::new(journal), stage.clock(), listener).map_err(said)?;
        let artefacts =
            Artefacts::open(&folder.path().join("artefacts"), ArtefactLimits::default()).map_err(said)?;
        let scratch = folder.path().join("scratch");
        std::fs::create_dir_all(&scratch).map_err(said)?;
        let runner = Runner::new(RunnerParts {
            ledger,
            plugin: self.plugin.clone(),
            grants: grants(&self.plugin, stored.policy.clone(), &header),
            world: stage.capabilities(&folder.path().join("git"), artefacts, None).map_err(said)?,
            pause: stage.pause(),
            limits: CallLimits::default(),
            scratch,
            parallel: 1,
            only: task.only.clone(),
        });
        let before = stage.forge().snapshot().map_err(said)?;
        stage.forge().record();
        stage.play(&runner).await.map_err(said)?;
        let judged = judge_all(stage.forge());
        if !judged.failures.is_empty() {
            return Err(format!(
                "GitHub's description knows no such exchange: {}",
                judged.failures.join("; ")
            ));
        }
        let after = stage.forge().snapshot().map_err(said)?;
        let (state, only) = (Some(runner.state()), task.only.clone());
        Ok(Outcome { before, after, state, early: None, only, stage, folder })
    }

    async fn prepare(&self, task: &Task, inputs: Map<String, Value>) -> Result<Prepared> {
        let text = release_file(&self.name, task, &inputs)?;
        let release = ReleaseFile::parse(&text).map_err(said)?;
        let (process, profile) = release.choose(&self.description).map_err(said)?;
        let inputs = release.checked_inputs(process).map_err(said)?;
        let graph = self.plugin.steps(&process.name, &profile, &inputs.to_string()).await.map_err(said)?;
        Ok(Prepared {
            release,
            text,
            folder: PathBuf::new(),
            plugin: self.plugin.clone(),
            component: self.component.to_vec(),
            policy: None,
            profile,
            inputs,
            graph,
        })
    }
}

/// What is run.
#[derive(Debug, Clone, Default)]
pub struct Task {
    /// The process.
    pub process: String,
    /// The profile, when not the default one.
    pub profile: Option<String>,
    /// Its inputs. A text `seeded:owner/name:LABEL` stands for the commit with that label.
    pub inputs: Map<String, Value>,
    /// The steps wanted, with what they need; all when empty.
    pub only: Vec<String>,
}

fn release_file(plugin: &str, task: &Task, inputs: &Map<String, Value>) -> Result<String> {
    let mut file = toml::Table::new();
    file.insert("version".into(), 1.into());
    file.insert("plugin".into(), plugin.into());
    file.insert("process".into(), task.process.clone().into());
    if let Some(profile) = &task.profile {
        file.insert("profile".into(), profile.clone().into());
    }
    let mut inputs = inputs.clone();
    inputs.retain(|_, value| !value.is_null());
    file.insert("inputs".into(), toml::Value::try_from(inputs).map_err(said)?);
    toml::to_string(&file).map_err(said)
}

/// Inputs with labels replaced by the commits of this very world.
fn stage_inputs(
    inputs: &Map<String, Value>,
    seeded: impl Fn(&str, &str) -> Option<String> + Copy,
) -> Map<String, Value> {
    fn walk(value: &Value, seeded: impl Fn(&str, &str) -> Option<String> + Copy) -> Value {
        match value {
            Value::String(text) => {
                let label = text.strip_prefix("seeded:").and_then(|rest| rest.split_once(':'));
                let id = label.and_then(|(repository, label)| seeded(repository, label));
                Value::String(id.unwrap_or_else(|| text.clone()))
            }
            Value::Array(list) => list.iter().map(|value| walk(value, seeded)).collect(),
            Value::Object(map) => {
                Value::Object(map.iter().map(|(key, value)| (key.clone(), walk(value, seeded))).collect())
            }
            other => other.clone(),
        }
    }
    inputs.iter().map(|(key, value)| (key.clone(), walk(value, seeded))).collect()
}

/// Nobody watches; the journal is read afterwards.
#[derive(Default)]
struct Listener;

impl Watcher for Listener {
    fn recorded(&self, _: &Record) {}
    fn said(&self, _: &str, _: Level, _: &str) {}
    fn progress(&self, _: &str, _: u32, _: u32, _: &str) {}
}

/// How a run went.
pub struct Outcome {
    /// The forge before.
    pub before: Snapshot,
    /// The forge after.
    pub after: Snapshot,
    state: Option<RunState>,
    early: Option<String>,
    only: Vec<String>,
    stage: Stage,
    folder: TempDir,
}

/// What a run changed in the files of a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// New and changed paths.
    pub written: Tree,
    /// Paths that are gone.
    pub deleted: BTreeSet<String>,
}

impl Outcome {
    /// The plugin refused the inputs: no run began.
    fn refused_early(why: String, stage: Stage, folder: TempDir) -> Result<Self> {
        let before = stage.forge().snapshot().map_err(said)?;
        let after = before.clone();
        Ok(Self { before, after, state: None, early: Some(why), only: Vec::new(), stage, folder })
    }

    /// What stopped the run short of its wanted steps: failures and open questions, in words.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        if let Some(early) = &self.early {
            return Some(early.clone());
        }
        let state = self.state.as_ref()?;
        let wanted = |id: &str| self.only.is_empty() || self.only.iter().any(|only| only == id);
        let undone: Vec<&str> = state
            .steps()
            .filter(|step| wanted(&step.node.id) && !step.status.is_over())
            .map(|step| step.node.id.as_str())
            .collect();
        if undone.is_empty() {
            return None;
        }
        let told = state.steps().filter_map(|step| {
            let id = &step.node.id;
            match &step.status {
                Status::Failed { error, message, .. } => Some(format!("{id} failed: {error}: {message}")),
                Status::Asks { question, .. } => Some(format!("{id} asks: {}", question.prompt)),
                Status::Waiting { wait } => Some(format!("{id} waits: {}", wait.summary)),
                Status::Unknown { .. } => Some(format!("{id} does not know what became of an effect")),
                _ => None,
            }
        });
        let told: Vec<String> = told.collect();
        Some(format!("not done: {}; {}", undone.join(", "), told.join("; ")))
    }

    /// Whether a step ended with an error.
    #[must_use]
    pub fn failed(&self) -> bool {
        let steps = self.state.iter().flat_map(RunState::steps);
        self.early.is_some() || steps.into_iter().any(|step| matches!(step.status, Status::Failed { .. }))
    }

    /// The outputs of a step.
    #[must_use]
    pub fn outputs(&self, step: &str) -> Option<&Value> {
        self.state.as_ref()?.outputs_of(step)
    }

    /// The run as the journal tells it.
    #[must_use]
    pub fn state(&self) -> Option<&RunState> {
        self.state.as_ref()
    }

    /// The requests that the forge answered.
    #[must_use]
    pub fn served(&self) -> Vec<castoff::forge::Served> {
        self.stage.forge().requests()
    }

    /// Whether nothing was written to the forge.
    #[must_use]
    pub fn wrote_nothing(&self) -> bool {
        self.before == self.after
    }

    /// The refs and pull requests that differ, in words.
    #[must_use]
    pub fn written(&self) -> String {
        let mut words = Vec::new();
        for (name, after) in &self.after.repositories {
            let before = self.before.repositories.get(name);
            for (reference, id) in &after.refs {
                if before.and_then(|before| before.refs.get(reference)) != Some(id) {
                    words.push(format!("{name} {reference}"));
                }
            }
            for (number, pull) in &after.pulls {
                if before.and_then(|before| before.pulls.get(number)) != Some(pull) {
                    words.push(format!("{name}#{number}"));
                }
            }
            if before.is_some_and(|before| before.issues != after.issues || before.releases != after.releases)
            {
                words.push(format!("{name} issues or releases"));
            }
        }
        words.join(", ")
    }

    /// The commit that stands for a published id.
    #[must_use]
    pub fn seeded(&self, repository: &str, label: &str) -> Option<String> {
        self.stage.forge().seeded(repository, label)
    }

    /// New and moved refs of a repository, without those of pull requests.
    #[must_use]
    pub fn new_refs(&self, repository: &str) -> BTreeMap<String, String> {
        let empty = BTreeMap::new();
        let before = self.before.repositories.get(repository).map_or(&empty, |before| &before.refs);
        let after = self.after.repositories.get(repository).map_or(&empty, |after| &after.refs);
        let fresh = after
            .iter()
            .filter(|(name, id)| !name.starts_with("refs/pull/") && before.get(*name) != Some(*id));
        fresh.map(|(name, id)| (name.clone(), id.clone())).collect()
    }

    /// Heads of new pull requests, or of new branches where there is no pull request.
    ///
    /// # Errors
    /// When the forge has no such repository.
    pub fn new_heads(&self, repository: &str) -> Result<Vec<String>> {
        Ok(self.proposals(repository)?.into_iter().map(|(_, head)| head).collect())
    }

    /// Base branch and head commit of every proposal.
    fn proposals(&self, repository: &str) -> Result<Vec<(String, String)>> {
        let git = git2::Repository::open_bare(self.repository_dir(repository)).map_err(said)?;
        let after = self.after.repositories.get(repository);
        let after = after.ok_or_else(|| format!("the forge has no {repository}"))?;
        let before = self.before.repositories.get(repository);
        let mut heads = Vec::new();
        for (number, pull) in &after.pulls {
            let same = before.and_then(|before| before.pulls.get(number)).map(|pull| &pull.head_sha);
            if same != Some(&pull.head_sha) {
                heads.push((pull.base.clone(), pull.head_sha.clone()));
            }
        }
        if heads.is_empty() {
            let main = git.head().map_err(said)?.shorthand().unwrap_or_default().to_owned();
            let fresh = self.new_refs(repository);
            let branches = fresh.into_iter().filter(|(name, _)| name.starts_with("refs/heads/"));
            heads.extend(branches.map(|(_, id)| (main.clone(), id)));
        }
        Ok(heads)
    }

    /// What the run proposes for a repository, every proposal against its base.
    ///
    /// # Errors
    /// When git cannot read it, or two proposals contradict each other.
    pub fn changes(&self, repository: &str) -> Result<Changes> {
        let git = git2::Repository::open_bare(self.repository_dir(repository)).map_err(said)?;
        let before = self.before.repositories.get(repository);
        let mut all = Changes::default();
        for (base, head) in self.proposals(repository)? {
            let base = before.and_then(|before| before.refs.get(&format!("refs/heads/{base}")));
            let base = base.ok_or("a pull request into a branch that was not there")?;
            let one = difference(&git, base, &head)?;
            for (path, entry) in one.written {
                if all.written.get(&path).is_some_and(|known| *known != entry) {
                    return Err(format!("two proposals for {path}"));
                }
                all.written.insert(path, entry);
            }
            all.deleted.extend(one.deleted);
        }
        Ok(all)
    }

    /// The bare repository of the forge.
    #[must_use]
    pub fn repository_dir(&self, repository: &str) -> PathBuf {
        self.folder.path().join("forge").join(format!("{}.git", repository.to_lowercase()))
    }

    /// Where everything of this run is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

fn difference(git: &git2::Repository, before: &str, after: &str) -> Result<Changes> {
    let (before, after) = (listing(git, before)?, listing(git, after)?);
    let mut changes = Changes::default();
    for (path, (id, mode)) in &after {
        if before.get(path) != Some(&(*id, *mode)) {
            let blob = git.find_blob(*id).map_err(said)?;
            let entry = match mode {
                0o120_000 => Entry::Link(String::from_utf8_lossy(blob.content()).into_owned()),
                _ => Entry::File(blob.content().to_vec()),
            };
            changes.written.insert(path.clone(), entry);
        }
    }
    changes.deleted = before.into_keys().filter(|path| !after.contains_key(path)).collect();
    Ok(changes)
}

fn listing(git: &git2::Repository, commit: &str) -> Result<BTreeMap<String, (Oid, i32)>> {
    let commit = git.find_commit(Oid::from_str(commit).map_err(said)?).map_err(said)?;
    let mut paths = BTreeMap::new();
    let tree = commit.tree().map_err(said)?;
    tree.walk(TreeWalkMode::PreOrder, |folder, entry| {
        if entry.kind() == Some(ObjectType::Blob) {
            let path = format!("{folder}{}", entry.name().unwrap_or_default());
            paths.insert(path, (entry.id(), entry.filemode()));
        }
        TreeWalkResult::Ok
    })
    .map_err(said)?;
    Ok(paths)
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}
