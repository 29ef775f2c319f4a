//! Scenarios: a release in an invented world, and what has to come of it.
//!
//! A scenario is a folder below `scenarios/` with a release file, the world and policy that it names, and `expect.toml`:
//!
//! ```toml
//! version = 1
//! verdict = "finished"            # finished, failed, waiting, asks or unknown: where it stops
//! step = "approve"                # optional: the step that failed, waits or asks
//! error = "conflict"              # optional: the kind of its error
//! says = "already"                # optional: a part of its words
//!
//! [[ref]]                         # any number: a branch or tag
//! repository = "acme/widget"
//! name = "refs/tags/v1.4.0"
//! same-as = "refs/heads/main"     # optional: names the same commit
//! files = { VERSION = "1.4.0\n" } # optional: what these files hold there
//! absent = true                   # optional: it is not there
//!
//! [[pull]]                        # any number: a pull request, by its title
//! repository = "acme/widget"
//! title = "Release 1.4.0"
//! merged = true                   # optional
//! says = "Sets VERSION"           # optional: a part of its body
//!
//! [[release]]                     # any number: a release, by its tag
//! repository = "acme/widget"
//! tag = "v1.4.0"
//! draft = false                   # optional
//! ```
//!
//! The same process in any language leaves the same world: [`Played::world`] is a digest over all of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::DateTime;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use thiserror::Error;

use super::{AuthorError, read_text};
use crate::forge::{Snapshot, World};
use crate::gate::{CallLimits, Watcher};
use crate::journal::{Identity, JournalError, RunState, Status, Verdict, World as Where};
use crate::rehearsal::{RehearsalError, Stage};
use crate::release::SourceError;
use crate::run::{Ledger, Runner, RunnerParts};
use crate::site::{Beginning, Prepared, Site, SiteError, Stored, grants};

/// Version of the format.
const VERSION: i64 = 1;
/// When a world begins that does not say, seconds since 1970-01-01 UTC: 2026-01-01.
const BEGINNING: i64 = 1_767_225_600;

/// Why a scenario could not be played.
#[derive(Debug, Error)]
pub enum ScenarioError {
    /// A file of it is missing or wrong.
    #[error(transparent)]
    Author(#[from] AuthorError),
    /// Its release cannot begin.
    #[error(transparent)]
    Site(#[from] SiteError),
    /// The forge failed.
    #[error(transparent)]
    Rehearsal(#[from] RehearsalError),
}

impl From<JournalError> for ScenarioError {
    fn from(error: JournalError) -> Self {
        Self::Site(error.into())
    }
}

/// What has to come of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Expectation {
    version: i64,
    verdict: Ending,
    step: Option<String>,
    error: Option<String>,
    says: Option<String>,
    #[serde(default, rename = "ref")]
    refs: Vec<RefExpected>,
    #[serde(default, rename = "pull")]
    pulls: Vec<PullExpected>,
    #[serde(default, rename = "release")]
    releases: Vec<ReleaseExpected>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Ending {
    Finished,
    Failed,
    Waiting,
    Asks,
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RefExpected {
    repository: String,
    name: String,
    same_as: Option<String>,
    #[serde(default)]
    files: BTreeMap<String, String>,
    #[serde(default)]
    absent: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct PullExpected {
    repository: String,
    title: String,
    merged: Option<bool>,
    says: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ReleaseExpected {
    repository: String,
    tag: String,
    draft: Option<bool>,
}

impl Expectation {
    /// Reads `expect.toml`.
    ///
    /// # Errors
    /// [`SourceError`] with the place in the text.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        let read: Self = toml::from_str(text)
            .map_err(|error| SourceError::new(error.message().to_owned()).at(error.span()))?;
        if read.version != VERSION {
            let error =
                SourceError::new(format!("version {} of expectations is not known here", read.version));
            return Err(error.hint(format!("this castoff reads version = {VERSION}")));
        }
        Ok(read)
    }
}

/// A scenario that was played.
#[derive(Debug)]
pub struct Played {
    /// Where the run stands.
    pub state: RunState,
    /// `sha256:…` over the whole world as it was left.
    pub world: String,
    /// What is not as expected, a sentence each.
    pub differences: Vec<String>,
}

/// Plays the scenario in a folder; nothing of it stays.
///
/// # Errors
/// [`ScenarioError`] when it cannot begin; what does not come as expected is no error.
pub async fn play(site: &Site, folder: &Path, watcher: Arc<dyn Watcher>) -> Result<Played, ScenarioError> {
    let expectation = expectation(&folder.join("expect.toml"))?;
    let prepared = site.prepare(&folder.join("release.toml"), None).await?;
    let world = world(&prepared, folder)?;
    let room = TempDir::new().map_err(|error| AuthorError::file(folder, &error))?;
    let own = Site::new(room.path().join("state"), site.engine().clone());
    let pinned = world.now.or_else(|| DateTime::from_timestamp(BEGINNING, 0)).unwrap_or_default();
    let identity = identity(&prepared, &world);
    let begin = Beginning {
        run: "scenario".into(),
        pinned,
        started_by: identity.login.clone().unwrap_or_else(|| identity.name.clone()),
        identity,
        world: Where::Rehearsal,
        forge: None,
        plan: None,
        confirm: false,
    };
    let (stored, journal) = own.create(&prepared, begin)?;
    let forge = room.path().join("forge");
    let stage = Stage::set(world, &forge, pinned).await?;
    let ledger = Ledger::new(Arc::new(journal), stage.clock(), watcher)?;
    let runner = runner(&own, &stage, &prepared, &stored, ledger)?;
    stage.play(&runner).await?;
    let state = runner.state();
    let snapshot = stage.forge().snapshot().map_err(RehearsalError::from)?;
    let scene = Scene { snapshot: &snapshot, forge: &forge };
    let mut differences = ending(&expectation, &state);
    differences.extend(expectation.refs.iter().flat_map(|expected| scene.reference(expected)));
    differences.extend(expectation.pulls.iter().filter_map(|expected| scene.pull(expected)));
    differences.extend(expectation.releases.iter().filter_map(|expected| scene.release(expected)));
    let text = serde_json::to_vec(&snapshot).unwrap_or_default();
    Ok(Played { state, world: format!("sha256:{}", hex::encode(Sha256::digest(text))), differences })
}

fn runner(
    site: &Site,
    stage: &Stage,
    prepared: &Prepared,
    stored: &Stored,
    ledger: Ledger,
) -> Result<Runner, ScenarioError> {
    let policy = stored.policy.clone();
    let header = ledger.state().header().clone();
    let world = stage.capabilities(&site.git_cache(), stored.artefacts()?, policy.as_deref())?;
    let approval = policy.as_deref().map(|policy| policy.approval().clone()).unwrap_or_default();
    let runner = Runner::new(RunnerParts {
        ledger,
        plugin: prepared.plugin.clone(),
        grants: grants(&prepared.plugin, policy.clone(), &header),
        world,
        pause: stage.pause(),
        limits: CallLimits::of(policy.as_deref()),
        scratch: stored.scratch(),
        // One at a time: the same every time.
        parallel: 1,
        only: Vec::new(),
    });
    Ok(runner.approving(approval))
}

fn expectation(path: &Path) -> Result<Expectation, AuthorError> {
    let text = read_text(path)?;
    Expectation::parse(&text).map_err(|error| AuthorError::Source { path: path.to_owned(), text, error })
}

fn world(prepared: &Prepared, folder: &Path) -> Result<World, AuthorError> {
    let path = prepared.release.rehearsal.world.clone().unwrap_or_else(|| PathBuf::from("world.toml"));
    let path = folder.join(path);
    let text = read_text(&path)?;
    World::from_toml(&text).map_err(|error| {
        let error = SourceError::new(error.message().to_owned()).at(error.span());
        AuthorError::Source { path, text, error }
    })
}

/// Who releases: as the policy says, otherwise the world's own user.
fn identity(prepared: &Prepared, world: &World) -> Identity {
    let (manifest, digest) = (prepared.plugin.manifest(), prepared.plugin.digest());
    let policy = prepared.policy.as_deref();
    let known = policy.and_then(|policy| policy.identity(&manifest.name, digest, &prepared.release.process));
    known.cloned().unwrap_or_else(|| {
        let login = world.user.clone().unwrap_or_else(|| "author".to_owned());
        Identity {
            name: login.clone(),
            email: format!("{login}@users.noreply.github.com"),
            login: Some(login),
        }
    })
}

/// What is not as expected of where the run stopped.
fn ending(expected: &Expectation, state: &RunState) -> Vec<String> {
    let mut differences = Vec::new();
    let verdict = state.verdict();
    let right = matches!(
        (expected.verdict, verdict),
        (Ending::Finished, Verdict::Finished)
            | (Ending::Failed, Verdict::Failed)
            | (Ending::Waiting, Verdict::Waiting)
            | (Ending::Asks, Verdict::Asks)
            | (Ending::Unknown, Verdict::Unknown)
    );
    let halted: Vec<(&str, &str, String)> =
        state.steps().filter_map(|step| halted(&step.node.id, &step.status)).collect();
    if !right {
        let wanted = format!("{:?}", expected.verdict).to_lowercase();
        let ended = format!("{verdict:?}").to_lowercase();
        let mut text = format!("expected it to end as {wanted}, it ended as {ended}");
        for (step, kind, words) in &halted {
            text += &format!("\n{step}: {kind}: {words}");
        }
        differences.push(text);
    }
    let fits = |(step, kind, words): &&(&str, &str, String)| {
        expected.step.as_deref().is_none_or(|wanted| wanted == *step)
            && expected.error.as_deref().is_none_or(|wanted| wanted == *kind)
            && expected.says.as_deref().is_none_or(|wanted| words.contains(wanted))
    };
    let wanted: Vec<String> =
        [("step", &expected.step), ("error", &expected.error), ("says", &expected.says)]
            .into_iter()
            .filter_map(|(key, value)| Some(format!("{key} = {:?}", value.as_ref()?)))
            .collect();
    if right && !wanted.is_empty() && !halted.iter().any(|one| fits(&one)) {
        let found: Vec<String> =
            halted.iter().map(|(step, kind, words)| format!("{step}: {kind}: {words}")).collect();
        differences.push(format!(
            "no step stopped with {}; these did: {}",
            wanted.join(", "),
            found.join("; ")
        ));
    }
    differences
}

/// A step that holds the run up: its name, what kind of stop it is, and its words.
fn halted<'a>(step: &'a str, status: &'a Status) -> Option<(&'a str, &'a str, String)> {
    match status {
        Status::Failed { error, message, .. } => Some((step, error.as_str(), message.clone())),
        Status::Waiting { wait } => Some((step, "waiting", wait.summary.clone())),
        Status::Asks { question, .. } => Some((step, "asks", question.prompt.clone())),
        Status::Unknown { .. } => Some((step, "unknown", "nobody knows what became of an effect".into())),
        _ => None,
    }
}

/// The world as it was left.
struct Scene<'a> {
    snapshot: &'a Snapshot,
    forge: &'a Path,
}

impl Scene<'_> {
    fn reference(&self, expected: &RefExpected) -> Vec<String> {
        let RefExpected { repository, name, same_as, files, absent } = expected;
        let Some(git) = self.git(repository) else {
            return vec![format!("there is no repository {repository}")];
        };
        let commit = |name: &str| git.find_reference(name).and_then(|found| found.peel_to_commit()).ok();
        let Some(found) = commit(name) else {
            return if *absent { Vec::new() } else { vec![format!("{repository} has no {name}")] };
        };
        if *absent {
            return vec![format!("{repository} has {name}, which should not be there")];
        }
        let mut differences = Vec::new();
        if let Some(other) = same_as {
            let other_id = commit(other).map(|commit| commit.id());
            if other_id != Some(found.id()) {
                let other_id = other_id.map_or_else(|| "nothing".to_owned(), |id| id.to_string());
                differences
                    .push(format!("{name} of {repository} is at {}, {other} at {other_id}", found.id()));
            }
        }
        for (path, wanted) in files {
            let entry = found.tree().and_then(|tree| tree.get_path(Path::new(path)));
            let blob = entry.and_then(|entry| entry.to_object(&git)).and_then(|object| object.peel_to_blob());
            let content = blob.map(|blob| String::from_utf8_lossy(blob.content()).into_owned());
            match content {
                Ok(content) if content == *wanted => {}
                Ok(content) => differences
                    .push(format!("{path} at {name} of {repository} holds {content:?}, expected {wanted:?}")),
                Err(_) => differences.push(format!("{name} of {repository} has no file {path}")),
            }
        }
        differences
    }

    /// The forge's own repository; only one that the world has, so that no path comes from a file.
    fn git(&self, repository: &str) -> Option<git2::Repository> {
        let known = self.snapshot.repositories.keys().find(|known| known.eq_ignore_ascii_case(repository))?;
        git2::Repository::open_bare(self.forge.join(format!("{}.git", known.to_lowercase()))).ok()
    }

    fn pull(&self, expected: &PullExpected) -> Option<String> {
        let PullExpected { repository, title, merged, says } = expected;
        let pulls = self.snapshot.repositories.get(repository).map(|found| &found.pulls);
        let Some(pull) =
            pulls.into_iter().flatten().map(|(_, pull)| pull).find(|pull| pull.issue.title == *title)
        else {
            return Some(format!("{repository} has no pull request {title:?}"));
        };
        if merged.is_some_and(|merged| merged != pull.merged.is_some()) {
            let is = if pull.merged.is_some() { "is" } else { "is not" };
            return Some(format!("the pull request {title:?} of {repository} {is} merged"));
        }
        let missing = says.as_ref().filter(|says| !pull.issue.body.contains(says.as_str()));
        missing.map(|says| format!("the pull request {title:?} of {repository} does not say {says:?}"))
    }

    fn release(&self, expected: &ReleaseExpected) -> Option<String> {
        let ReleaseExpected { repository, tag, draft } = expected;
        let releases = self.snapshot.repositories.get(repository).map(|found| &found.releases);
        let Some(release) = releases.into_iter().flatten().find(|release| release.tag == *tag) else {
            return Some(format!("{repository} has no release {tag}"));
        };
        let wrong = draft.is_some_and(|draft| draft != release.draft);
        let is = if release.draft { "is" } else { "is not" };
        wrong.then(|| format!("the release {tag} of {repository} {is} a draft"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expectations_say_what_is_wrong_with_them() {
        let fine = "version = 1\nverdict = \"failed\"\nstep = \"tag\"\nerror = \"denied\"\n";
        assert!(Expectation::parse(fine).is_ok());
        for (text, why) in [
            ("version = 2\nverdict = \"failed\"", "version 2"),
            ("version = 1", "verdict"),
            ("version = 1\nverdict = \"good\"", "good"),
            ("version = 1\nverdict = \"failed\"\nsteps = \"x\"", "steps"),
            ("version = 1\nverdict = \"failed\"\n[[ref]]\nname = \"x\"", "repository"),
        ] {
            let error = Expectation::parse(text).map_err(|error| error.message);
            assert!(error.as_ref().is_err_and(|message| message.contains(why)), "{text}: {error:?}");
        }
    }
}
