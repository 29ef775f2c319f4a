//! Makes a plan: the process runs as it would, step by step, with live reads and effects that land in the overlay.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use thiserror::Error;

use super::document::{
    Base, FORMAT, Observation, Origin, Plan, PlannedChange, PlannedCommit, PlannedStep, Reach,
};
use super::overlay::{Assumed, Observation as Observed, Overlay, Settings};
use super::recorder::{Notes, Seen};
use crate::capability::git::{Change, CommitSpec, EntryKind, Git};
use crate::capability::wire::Pause;
use crate::capability::{CapabilityError, Slug};
use crate::clock::{Clock, SimulatedClock};
use crate::engine::Plugin;
use crate::gate::{CallLimits, Capabilities};
use crate::journal::{
    Answer, Condition, Event, Journal, JournalError, Question, RunState, Status, StepState, Wait,
};
use crate::policy::pattern::RefPattern;
use crate::policy::{Approval, Grants};
use crate::run::{Ledger, RunError, Runner, RunnerParts, UNPLANNED};

/// The longest diff that a plan shows, in bytes.
const DIFF: usize = 1 << 20;

/// How often waits may come true one after another before a process is taken to wait without end.
const ROUNDS: usize = 1000;

/// Why a plan could not be made. Nothing has happened.
#[derive(Debug, Error)]
pub enum PlanError {
    /// The process could not be run against the overlay.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The journal of the plan, or of the run it goes on from, cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The world cannot be read.
    #[error(transparent)]
    Capability(#[from] CapabilityError),
}

/// A copy of a journal to make a plan in, and the position that the plan goes on from.
///
/// # Errors
/// [`PlanError::Journal`].
pub fn copied(journal: &Journal, path: &Path) -> Result<(Journal, Base), PlanError> {
    let verified = journal.verify()?;
    let mut records = journal.events()?.into_iter();
    let mut header = journal.state()?.header().clone();
    // Whether a step may start is asked when it runs; the plan shows what it would do.
    header.confirm = false;
    let begun = records.next().map_or(DateTime::UNIX_EPOCH, |first| first.time);
    let copy = Journal::create(path, header, begun)?;
    for record in records {
        copy.append(open_to_all(record.event), record.time)?;
    }
    Ok((copy, Base { events: verified.events, head: verified.head }))
}

/// A plan takes people's agreement for granted, whoever they have to be.
fn open_to_all(event: Event) -> Event {
    match event {
        Event::Asked { step, question } => {
            Event::Asked { step, question: Question { rule: None, ..question } }
        }
        event => event,
    }
}

/// What a plan is made from.
pub struct PlanParts {
    /// A journal that may be written without anybody seeing it: a new one, or a copy of that of a run.
    pub journal: Journal,
    /// What the plan is for.
    pub origin: Origin,
    /// The position in the journal of the run it goes on from.
    pub base: Option<Base>,
    /// The plugin.
    pub plugin: Plugin,
    /// What each step may do.
    pub grants: Arc<dyn Fn(&str) -> Grants + Send + Sync>,
    /// The world; it is only read.
    pub live: Capabilities,
    /// The present moment.
    pub now: DateTime<Utc>,
    /// How to wait between tries of a read.
    pub pause: Arc<dyn Pause>,
    /// Bounds of a call.
    pub limits: CallLimits,
    /// Where scratch directories are made.
    pub scratch: PathBuf,
    /// Who will have to agree.
    pub approval: Approval,
}

/// Makes a plan.
///
/// # Errors
/// [`PlanError`]; a step that fails is no error but a plan that says so.
pub async fn build(parts: PlanParts) -> Result<Plan, PlanError> {
    let settings = Settings { pinned: parts.origin.pinned, login: parts.origin.identity.login.clone() };
    let overlay = Overlay::new(parts.live.clone(), settings)?;
    let metered = overlay.clone();
    let notes = Arc::new(Notes::new(Box::new(move || metered.requests().total())));
    let clock = Arc::new(SimulatedClock::new(parts.now));
    let ledger = Ledger::new(Arc::new(parts.journal), clock.clone(), notes.clone())?;
    let before = ledger.state();
    let runner = Runner::new(RunnerParts {
        ledger,
        plugin: parts.plugin,
        grants: parts.grants,
        world: overlay.capabilities(),
        pause: parts.pause,
        limits: parts.limits,
        scratch: parts.scratch,
        parallel: 1,
        only: Vec::new(),
    });
    let runner = runner.held(notes.clone()).looking();
    send_back(&runner, &before)?;
    let (taken, ends) = Default::default();
    let mut play = Play { runner, overlay, clock, approval: parts.approval, taken, ends };
    play.through().await?;
    let state = play.runner.state();
    let git = parts.live.git.as_ref();
    let symbols = play.overlay.symbols();
    let invented: Vec<String> = symbols.iter().flat_map(super::binding::planned_values).collect();
    let mut steps = Vec::new();
    for step in state.steps() {
        let done = before.step(&step.node.id).is_some_and(|step| step.status.is_over());
        let seen = notes.of(&step.node.id);
        let commits = commits(git, &seen, &invented).await?;
        steps.push(planned(&play, &state, step, done, seen, commits));
    }
    let observed = observed(git, rests_on(&play.overlay, notes.listed())).await?;
    let plan = Plan {
        format: FORMAT,
        digest: String::new(),
        origin: parts.origin,
        base: parts.base,
        observed,
        symbols,
        steps,
    };
    Ok(plan.sealed())
}

/// What stopped because an earlier plan did not show it, or for a passing reason, is what a new plan is made for.
fn send_back(runner: &Runner, before: &RunState) -> Result<(), RunError> {
    for step in before.steps() {
        if let Status::Failed { error, retryable, .. } = &step.status
            && (*retryable || error == UNPLANNED)
        {
            let event = Event::Retried { step: step.node.id.clone(), by: "plan".into() };
            runner.ledger().append(event)?;
        }
    }
    Ok(())
}

/// The process on its way through the overlay.
struct Play {
    runner: Runner,
    overlay: Overlay,
    clock: Arc<SimulatedClock>,
    approval: Approval,
    /// Waits and questions that are taken for granted, by step.
    taken: BTreeMap<String, Taken>,
    /// Steps that wait for what nobody can know, and why.
    ends: BTreeMap<String, String>,
}

/// What a plan takes for granted in a step.
#[derive(Default)]
struct Taken {
    waits: Vec<Wait>,
    questions: Vec<Question>,
}

impl Play {
    /// Runs until nothing can go on without what nobody can know.
    async fn through(&mut self) -> Result<(), PlanError> {
        for _ in 0..ROUNDS {
            self.runner.advance().await?;
            let state = self.runner.state();
            let mut moved = false;
            for step in state.steps() {
                moved |= match &step.status {
                    Status::Asks { question, .. } if !step.is_answered() => self.answer(step, question)?,
                    Status::Waiting { wait } => self.assume(&step.node.id, wait).await,
                    _ => false,
                };
            }
            if !moved {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Somebody gives the affirmative answer, and leaves the text as it is.
    fn answer(&mut self, step: &StepState, question: &Question) -> Result<bool, PlanError> {
        let given = step.answers.len();
        let answer = Answer {
            question: question.id.clone(),
            choice: question.choices.first().cloned().unwrap_or_default(),
            document: question.document.as_ref().map(|document| document.text.clone()),
            comment: None,
            by: format!("plan-{}", given + 1),
            at: self.clock.now(),
            via: None,
        };
        let taken = self.taken.entry(step.node.id.clone()).or_default();
        if !taken.questions.contains(question) {
            taken.questions.push(question.clone());
        }
        self.runner.ledger().append(Event::Answered { step: step.node.id.clone(), answer })?;
        Ok(true)
    }

    /// What is waited for comes true, where anybody can know what that looks like.
    async fn assume(&mut self, step: &str, wait: &Wait) -> bool {
        if self.ends.contains_key(step) {
            return false;
        }
        let known = self
            .taken
            .get(step)
            .is_some_and(|taken| taken.waits.iter().any(|known| known.condition == wait.condition));
        let why = match self.overlay.assume(&wait.condition).await {
            _ if known => format!("it would go on waiting for: {}", wait.summary),
            Ok(Assumed::Done | Assumed::AlreadyTrue) => {
                if let Condition::Time { at } = wait.condition {
                    self.clock.advance_to(DateTime::from_timestamp(at, 0).unwrap_or_default());
                }
                self.taken.entry(step.to_owned()).or_default().waits.push(wait.clone());
                return true;
            }
            Ok(Assumed::Unknowable(why)) => why,
            Err(error) => error.to_string(),
        };
        self.ends.insert(step.to_owned(), why);
        false
    }
}

fn planned(
    play: &Play,
    state: &RunState,
    step: &StepState,
    done: bool,
    seen: Seen,
    commits: Vec<PlannedCommit>,
) -> PlannedStep {
    let id = &step.node.id;
    let reach = match &step.status {
        _ if done => Reach::Before,
        Status::Done { .. } | Status::Skipped { .. } => Reach::Whole,
        Status::Failed { error, message, .. } => {
            Reach::Fails { error: error.clone(), message: message.clone() }
        }
        Status::Unknown { .. } => {
            Reach::Ends { why: "nobody knows what became of an effect of it".to_owned() }
        }
        Status::Pending => {
            Reach::Beyond { after: state.blocked_on(id).into_iter().map(str::to_owned).collect() }
        }
        Status::Waiting { .. } | Status::Asks { .. } | Status::Running => {
            let why = play.ends.get(id).cloned();
            Reach::Ends { why: why.unwrap_or_else(|| "it waits without end".to_owned()) }
        }
    };
    let mut waits = play.taken.get(id).map(|taken| taken.waits.clone()).unwrap_or_default();
    if let (Status::Waiting { wait }, Reach::Ends { .. }) = (&step.status, &reach) {
        waits.push(wait.clone());
    }
    let mut questions = play.taken.get(id).map(|taken| taken.questions.clone()).unwrap_or_default();
    for question in &mut questions {
        let rule = play.approval.rule_of(state.header(), id, question.approvals);
        question.rule = (!rule.is_open()).then_some(rule);
    }
    let written: u64 = seen.effects.iter().map(|effect| crate::function::requests(&effect.function)).sum();
    PlannedStep {
        node: step.node.clone(),
        reach,
        waits,
        questions,
        commits,
        effects: seen.effects,
        remarks: seen.remarks,
        requests: seen.requests + written,
    }
}

async fn commits(git: &dyn Git, seen: &Seen, invented: &[String]) -> Result<Vec<PlannedCommit>, PlanError> {
    let mut commits = Vec::new();
    for (repository, id, spec) in &seen.commits {
        let diff = match spec.parents.first() {
            Some(parent) => git.diff(repository, parent, id, &[], DIFF).await.unwrap_or_else(too_long),
            None => String::new(),
        };
        commits.push(PlannedCommit {
            repository: repository.to_string(),
            id: id.clone(),
            parents: spec.parents.clone(),
            message: spec.message.clone(),
            changes: changes(spec, invented),
            diff,
        });
    }
    Ok(commits)
}

fn too_long(error: CapabilityError) -> String {
    format!("(no diff: {error})\n")
}

/// The changes of a commit in the form that a plan holds.
pub(super) fn changes(spec: &CommitSpec, invented: &[String]) -> Vec<PlannedChange> {
    let change = |path: &str, kind: &str, content: String, text: Option<String>| PlannedChange {
        path: path.to_owned(),
        kind: kind.to_owned(),
        content,
        text,
    };
    spec.changes
        .iter()
        .map(|known| match known {
            Change::Put { path, kind, content } => {
                let kind = match kind {
                    EntryKind::Executable => "executable",
                    EntryKind::Symlink => "symlink",
                    _ => "file",
                };
                let text = std::str::from_utf8(content).ok();
                let text = text.filter(|text| invented.iter().any(|value| text.contains(value)));
                change(path, kind, sha256(content), text.map(str::to_owned))
            }
            Change::Remove { path } => change(path, "remove", String::new(), None),
            Change::Graft { path, tree } => change(path, "graft", tree.clone(), None),
        })
        .collect()
}

/// SHA-256 as 64 hexadecimal digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    hex::encode(Sha256::digest(bytes))
}

/// What a plan rests on: refs whose commits it used, and every tag of the listings it read, because a new one may make
/// another version the latest. Branches that were merely listed may move.
fn rests_on(overlay: &Overlay, listed: Vec<(Slug, String)>) -> Vec<(Slug, String)> {
    let tags = listed.into_iter().filter(|(_, refs)| refs.starts_with("refs/tags/"));
    let mut refs: BTreeSet<(Slug, String)> = tags.collect();
    let globs: Vec<(Slug, RefPattern)> =
        refs.iter().filter_map(|(slug, refs)| Some((slug.clone(), RefPattern::parse(refs).ok()?))).collect();
    let covered = |seen: &Observed| {
        globs.iter().any(|(slug, glob)| *slug == seen.repository && glob.matches(&seen.name))
    };
    let single = overlay.observed().into_iter().filter(|seen| !covered(seen));
    refs.extend(single.map(|seen| (seen.repository, seen.name)));
    refs.into_iter().collect()
}

/// What these refs are in the world, as of the last time it was read.
async fn observed(git: &dyn Git, looked: Vec<(Slug, String)>) -> Result<Vec<Observation>, PlanError> {
    let mut observed = Vec::new();
    let repositories: BTreeSet<Slug> = looked.iter().map(|(slug, _)| slug.clone()).collect();
    for repository in repositories {
        let all = git.references(&repository).await?;
        for (_, refs) in looked.iter().filter(|(slug, _)| *slug == repository) {
            let Ok(pattern) = RefPattern::parse(refs) else { continue };
            let found = all.iter().filter(|reference| pattern.matches(&reference.name));
            observed.push(Observation {
                repository: repository.to_string(),
                refs: refs.clone(),
                found: found.map(|found| (found.name.clone(), found.commit.clone())).collect(),
            });
        }
    }
    Ok(observed)
}

/// What has moved since a plan was made, in words. Brings the local copies up to date.
///
/// # Errors
/// [`PlanError::Capability`] when a repository cannot be read.
pub async fn moved(plan: &Plan, git: &dyn Git) -> Result<Vec<String>, PlanError> {
    let mut moved = Vec::new();
    let mut slugs: Vec<&str> = plan.observed.iter().map(|known| known.repository.as_str()).collect();
    slugs.dedup();
    for slug in slugs {
        let repository = Slug::parse(slug)?;
        git.open(&repository).await?;
        let globs = plan.observed.iter().filter(|known| known.repository == slug);
        let looked = globs.map(|known| (repository.clone(), known.refs.clone())).collect();
        for now in observed(git, looked).await? {
            let known = plan.observed.iter().find(|k| k.repository == slug && k.refs == now.refs);
            let empty = BTreeMap::new();
            difference(slug, known.map_or(&empty, |known| &known.found), &now.found, &mut moved);
        }
    }
    moved.sort();
    moved.dedup();
    Ok(moved)
}

fn difference(
    slug: &str,
    then: &BTreeMap<String, String>,
    now: &BTreeMap<String, String>,
    moved: &mut Vec<String>,
) {
    let short = |commit: &str| commit.get(..10).unwrap_or(commit).to_owned();
    for (name, commit) in now {
        match then.get(name) {
            None => moved.push(format!("{slug} {name} is new, at {}", short(commit))),
            Some(known) if known != commit => {
                moved.push(format!("{slug} {name} stood at {}, stands at {}", short(known), short(commit)));
            }
            Some(_) => {}
        }
    }
    for (name, commit) in then.iter().filter(|(name, _)| !now.contains_key(*name)) {
        moved.push(format!("{slug} {name}, at {}, is gone", short(commit)));
    }
}
