//! One release under way: the scheduler starts every step that can start, each in a fresh instance, and stops when
//! nothing can go on without the world, a person or time.
//!
//! The journal is the only truth: a runner holds nothing that it could not read from there again.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};
use thiserror::Error;
use tokio::task::JoinSet;

use crate::capability::files::{Scratch, ScratchLimits};
use crate::capability::wire::Pause;
use crate::engine::ReportedError;
use crate::engine::{Ambience, Context, Outcome, Plugin, StepFault};
use crate::function::Class;
use crate::gate::{CallLimits, Capabilities, Gate, GateParts, Hold, leftover};
use crate::journal::{Event, JournalError, Question, RunState, Status, StepState, Verdict, Wait};
use crate::policy::{Approval, Grants};

pub mod channel;
pub mod condition;
mod ledger;

use condition::Standing;

pub use condition::Patience;
pub use ledger::Ledger;

/// Threads that runs go on in. Journals are written from them, and a disk takes its time: with more threads than cores the
/// others use the cores meanwhile.
const THREADS: usize = 16;

/// What runs are driven in.
///
/// # Errors
/// When the system gives no threads.
pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build()
}

/// Why a run could not go on; nothing is lost, the journal says where it stands.
#[derive(Debug, Error)]
pub enum RunError {
    /// The journal cannot be read or written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The scratch directory of a step cannot be made.
    #[error("the scratch directory cannot be made: {0}")]
    Scratch(String),
    /// A task of the host died.
    #[error("a step's task ended unexpectedly: {0}")]
    Task(String),
}

/// What a runner needs.
#[derive(Clone)]
pub struct RunnerParts {
    /// Journal, clock and watcher.
    pub ledger: Ledger,
    /// The plugin, its digest being the one of the journal's header.
    pub plugin: Plugin,
    /// What each step may do.
    pub grants: Arc<dyn Fn(&str) -> Grants + Send + Sync>,
    /// What does it.
    pub world: Capabilities,
    /// How to wait between tries of a call.
    pub pause: Arc<dyn Pause>,
    /// Bounds of a call.
    pub limits: CallLimits,
    /// Where scratch directories are made.
    pub scratch: PathBuf,
    /// How many steps may run at once.
    pub parallel: usize,
    /// Only these steps and what they need; empty: all.
    pub only: Vec<String>,
}

/// Most bytes of a step's outputs: every step after it is told them.
const OUTPUTS: usize = 8 << 20;

/// Where a run stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop {
    /// Whose move it is.
    pub verdict: Verdict,
    /// When it is worth looking at waiting steps again.
    pub next: Option<DateTime<Utc>>,
}

/// Drives one run.
#[derive(Clone)]
pub struct Runner {
    parts: RunnerParts,
    hold: Option<Arc<dyn Hold>>,
    looking: bool,
    alone: bool,
    approval: Approval,
    patience: Option<Patience>,
}

/// How a step's task ended.
type Ended = (String, Result<Outcome, StepFault>);

impl Runner {
    /// A runner over a journal.
    #[must_use]
    pub fn new(parts: RunnerParts) -> Self {
        Self {
            parts,
            hold: None,
            looking: false,
            alone: false,
            approval: Approval::default(),
            patience: None,
        }
    }

    /// Lets `hold` see every effect before it is announced.
    #[must_use]
    pub fn held(mut self, hold: Arc<dyn Hold>) -> Self {
        self.hold = Some(hold);
        self
    }

    /// The state of the run.
    #[must_use]
    pub fn state(&self) -> RunState {
        self.parts.ledger.state()
    }

    /// Only these steps and what they need.
    #[must_use]
    pub fn only(mut self, steps: &[&str]) -> Self {
        self.parts.only = steps.iter().map(|step| (*step).to_owned()).collect();
        self
    }

    /// Only the steps that are named, and nothing that they need: what is not ready does not start.
    #[must_use]
    pub fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    /// Looks once at every waiting step at the beginning of each [`Runner::advance`], whether or not its interval is
    /// over: somebody wants to know now.
    #[must_use]
    pub fn looking(mut self) -> Self {
        self.looking = true;
        self
    }

    /// Asks as many people as the operator wants, and those.
    #[must_use]
    pub fn approving(mut self, approval: Approval) -> Self {
        self.approval = approval;
        self
    }

    /// Looks at waits more and more rarely, and lets a step sleep whose condition certainly does not hold: the host sees
    /// that by itself, with the step's powers, and nothing is written. Without this every look is the plugin's, at the
    /// interval it asked for, as rehearsals want it, whose time costs nothing.
    #[must_use]
    pub fn patient(mut self, patience: Patience) -> Self {
        self.patience = Some(patience);
        self
    }

    /// Journal, clock and watcher.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.parts.ledger
    }

    /// Starts every step that can start, until none can.
    ///
    /// # Errors
    /// [`RunError`]; the journal stays as it is, and advancing again goes on from there.
    pub async fn advance(&self) -> Result<Stop, RunError> {
        let mut tasks: JoinSet<Ended> = JoinSet::new();
        let stop = self.drive(&mut tasks).await;
        // Steps that are cut off here let go of the journal before anybody opens it again.
        tasks.shutdown().await;
        stop
    }

    async fn drive(&self, tasks: &mut JoinSet<Ended>) -> Result<Stop, RunError> {
        let mut running = BTreeSet::new();
        let mut unseen = self.unseen();
        let asleep = self.asleep(&unseen).await;
        unseen.retain(|step| !asleep.contains(step));
        loop {
            let state = self.state();
            if state.is_finished() {
                return Ok(self.stop(&state));
            }
            for step in self.startable(&state, &unseen) {
                if running.len() >= self.parts.parallel.max(1) {
                    break;
                }
                if running.insert(step.clone()) {
                    unseen.remove(&step);
                    self.start(&state, &step, tasks)?;
                }
            }
            match tasks.join_next().await {
                Some(Ok((step, ended))) => {
                    running.remove(&step);
                    if ended.is_ok() {
                        self.settle_leftovers(&step).await?;
                    }
                    self.record(&step, ended)?;
                }
                Some(Err(error)) => return Err(RunError::Task(error.to_string())),
                None if state.is_complete() => {
                    self.parts.ledger.append(Event::Finished)?;
                }
                None => return Ok(self.stop(&state)),
            }
        }
    }

    /// Sends steps back that failed for a reason that may have passed.
    ///
    /// # Errors
    /// [`RunError::Journal`].
    pub fn revive(&self, by: &str) -> Result<(), RunError> {
        let all: Vec<String> = self.state().steps().map(|step| step.node.id.clone()).collect();
        self.revive_only(by, &all)
    }

    /// The same for some steps.
    ///
    /// # Errors
    /// [`RunError::Journal`].
    pub fn revive_only(&self, by: &str, steps: &[String]) -> Result<(), RunError> {
        for step in self.state().steps().filter(|step| steps.contains(&step.node.id)) {
            if matches!(step.status, Status::Failed { retryable: true, .. }) {
                self.parts.ledger.append(Event::Retried { step: step.node.id.clone(), by: by.into() })?;
            }
        }
        Ok(())
    }

    /// Where the run stands, without going on.
    #[must_use]
    pub fn stand(&self) -> Stop {
        self.stop(&self.state())
    }

    fn stop(&self, state: &RunState) -> Stop {
        let wanted = self.wanted(state);
        let due = state.steps().filter(|step| wanted.contains(&step.node.id)).filter_map(|step| match &step
            .status
        {
            Status::Waiting { wait } => Some(self.due(&step.node.id, wait)),
            _ => None,
        });
        Stop { verdict: state.verdict(), next: due.min() }
    }

    /// When it is worth looking at a waiting step again.
    fn due(&self, step: &str, wait: &Wait) -> DateTime<Utc> {
        let (last, looks) = self.parts.ledger.last_wait(step).unwrap_or((DateTime::UNIX_EPOCH, 0));
        let Some(patience) = &self.patience else {
            return last + Duration::seconds(i64::from(wait.poll_seconds));
        };
        let (own, more) = patience.of(step, wait.since).unwrap_or((last, 0));
        let seed = seed(&self.state().header().run, step);
        condition::due(wait, last.max(own), looks.saturating_add(more), seed)
    }

    /// Steps that would be looked at now and whose condition certainly does not hold: they sleep on.
    async fn asleep(&self, unseen: &BTreeSet<String>) -> BTreeSet<String> {
        let Some(patience) = &self.patience else { return BTreeSet::new() };
        let (state, now) = (self.state(), self.parts.ledger.now());
        let wanted = self.startable(&state, unseen);
        let looks = wanted.iter().filter_map(|id| {
            let Status::Waiting { wait } = &state.step(id)?.status else { return None };
            self.is_hosts(id, wait, now).then_some(async {
                let grants = (self.parts.grants)(id);
                let look = condition::look(&self.parts.world, &grants, &wait.condition, now);
                let found = tokio::time::timeout(self.parts.limits.call, look).await;
                (found == Ok(Standing::Not)).then(|| {
                    patience.looked(id, wait.since, now);
                    id.clone()
                })
            })
        });
        futures::future::join_all(looks).await.into_iter().flatten().collect()
    }

    /// Whether a look at a wait may be the host's. The plugin looks itself when the time limit is over, and every ten of
    /// its intervals: it may see more than the condition says, a failed job for example.
    fn is_hosts(&self, step: &str, wait: &Wait, now: DateTime<Utc>) -> bool {
        let (last, _) = self.parts.ledger.last_wait(step).unwrap_or((DateTime::UNIX_EPOCH, 0));
        let own = last + Duration::seconds(i64::from(wait.poll_seconds)) * 10;
        now < own && condition::expires(wait).is_none_or(|limit| now < limit)
    }

    /// The steps asked for with everything they need.
    fn wanted(&self, state: &RunState) -> BTreeSet<String> {
        if self.alone {
            return self.parts.only.iter().cloned().collect();
        }
        if self.parts.only.is_empty() {
            return state.steps().map(|step| step.node.id.clone()).collect();
        }
        let mut wanted = BTreeSet::new();
        let mut open = self.parts.only.clone();
        while let Some(id) = open.pop() {
            if let Some(step) = state.step(&id)
                && wanted.insert(id)
            {
                open.extend(step.node.needs.iter().cloned());
            }
        }
        wanted
    }

    /// Waiting steps that are to be looked at before their interval is over.
    fn unseen(&self) -> BTreeSet<String> {
        if !self.looking {
            return BTreeSet::new();
        }
        let state = self.state();
        let waiting = state.steps().filter(|step| matches!(step.status, Status::Waiting { .. }));
        waiting.map(|step| step.node.id.clone()).collect()
    }

    fn startable(&self, state: &RunState, unseen: &BTreeSet<String>) -> Vec<String> {
        let wanted = self.wanted(state);
        let now = self.parts.ledger.now();
        let ready: BTreeSet<&str> = state.ready().map(|step| step.node.id.as_str()).collect();
        let may = |step: &&crate::journal::StepState| match &step.status {
            Status::Waiting { wait } => {
                unseen.contains(&step.node.id) || self.due(&step.node.id, wait) <= now
            }
            _ => ready.contains(step.node.id.as_str()),
        };
        state
            .steps()
            .filter(|step| wanted.contains(&step.node.id))
            .filter(may)
            .map(|step| step.node.id.clone())
            .collect()
    }

    fn start(&self, state: &RunState, step: &str, tasks: &mut JoinSet<Ended>) -> Result<(), RunError> {
        let attempts = state.step(step).map_or(0, |step| step.attempts);
        let attempt = attempts.saturating_add(1);
        self.parts.ledger.append(Event::Started { step: step.into(), attempt })?;
        let context = self.context(state, step, attempt);
        let gate = self.gate(state, step)?;
        let ambience = Ambience { now: state.header().pinned, seed: seed(&state.header().run, step) };
        let (plugin, step) = (self.parts.plugin.clone(), step.to_owned());
        tasks.spawn(async move {
            let ended = plugin.run(context, gate.clone(), ambience).await;
            // Whatever the guest made of it: what the plan does not show ends the step.
            let ended = match gate.unplanned() {
                Some(what) if !matches!(ended, Err(StepFault::Host(_))) => Err(unplanned(what)),
                _ => ended,
            };
            (step, ended)
        });
        Ok(())
    }

    fn context(&self, state: &RunState, step: &str, attempt: u32) -> Context {
        let header = state.header();
        let outputs = state.outputs_before(step);
        Context {
            run: header.run.clone(),
            process: header.process.clone(),
            profile: header.profile.clone(),
            step: step.into(),
            attempt,
            pinned: header.pinned.timestamp(),
            now: self.parts.ledger.now().timestamp(),
            inputs: header.inputs.to_string(),
            outputs: outputs.into_iter().map(|(step, value)| (step.into(), value.to_string())).collect(),
            answers: state.step(step).map(StepState::standing_answers).unwrap_or_default(),
        }
    }

    fn gate(&self, state: &RunState, step: &str) -> Result<Gate, RunError> {
        let header = state.header();
        let scratch = Scratch::create(&self.parts.scratch, ScratchLimits::default())
            .map_err(|error| RunError::Scratch(error.to_string()))?;
        Ok(Gate::new(GateParts {
            run: header.run.clone(),
            step: step.into(),
            grants: (self.parts.grants)(step),
            recorder: Arc::new(self.parts.ledger.clone()),
            world: self.parts.world.clone(),
            watcher: self.parts.ledger.watcher(),
            pause: self.parts.pause.clone(),
            identity: crate::capability::git::Identity {
                name: header.identity.name.clone(),
                email: header.identity.email.clone(),
            },
            pinned: header.pinned,
            hold: self.hold.clone(),
            scratch,
            limits: self.parts.limits,
        }))
    }

    /// A step may end without asking again for an effect that an earlier attempt had under way, because it saw that
    /// it is there: the journal still wants to know.
    async fn settle_leftovers(&self, step: &str) -> Result<(), RunError> {
        let state = self.state();
        let open =
            state.step(step).map(|step| step.unsettled().cloned().collect::<Vec<_>>()).unwrap_or_default();
        for effect in open.iter().filter(|effect| effect.class == Class::Ensure) {
            let look = leftover::look(&self.parts.world, &effect.function, &effect.request);
            let found = tokio::time::timeout(self.parts.limits.call, look).await;
            if let Ok(Ok(Some(settled))) = found {
                self.parts.ledger.settle(step, effect.seq, settled)?;
            }
        }
        Ok(())
    }

    /// Writes down how a step ended.
    fn record(&self, step: &str, ended: Result<Outcome, StepFault>) -> Result<(), RunError> {
        if let Err(StepFault::Host(_)) = &ended {
            // The journal refused; say so in its own words, by what it answers to the next write.
            self.parts.ledger.check()?;
        }
        let state = self.state();
        let open: Vec<_> = state.step(step).map(|step| step.unsettled().collect()).unwrap_or_default();
        let blind = open.iter().find(|effect| effect.class == Class::Once);
        let event = match (blind, ended) {
            // No probe can tell: a person has to.
            (Some(effect), _) => Event::Unknown { step: step.into(), intent: effect.seq },
            // The guest went on over an effect that could not be looked for: it is looked for when the step starts again.
            (None, Ok(_)) if !open.is_empty() => Event::Failed {
                step: step.into(),
                error: "unavailable".into(),
                message: open.iter().map(|effect| format!("unsettled: {}", effect.summary)).collect(),
                retryable: true,
            },
            (None, Ok(outcome)) => self.ended(&state, step, outcome),
            (None, Err(StepFault::Reported(error))) => Event::Failed {
                step: step.into(),
                retryable: error.is_passing(),
                error: error.kind,
                message: error.message,
            },
            (None, Err(StepFault::Guest(message) | StepFault::Host(message))) => {
                Event::Fault { step: step.into(), message }
            }
        };
        self.parts.ledger.append(event)?;
        Ok(())
    }

    fn ended(&self, state: &RunState, step: &str, outcome: Outcome) -> Event {
        let step_id = || step.to_owned();
        match outcome {
            Outcome::Done(outputs) if outputs.len() > OUTPUTS => Event::Fault {
                step: step_id(),
                message: format!("outputs of {} bytes: at most {OUTPUTS} are kept", outputs.len()),
            },
            Outcome::Done(outputs) => match serde_json::from_str(&outputs) {
                Ok(outputs @ serde_json::Value::Object(_)) => Event::Succeeded { step: step_id(), outputs },
                _ => Event::Fault { step: step_id(), message: "the outputs are no JSON object".into() },
            },
            Outcome::Asks(question) => {
                let rule = self.approval.rule_of(state.header(), step, question.approvals);
                Event::Asked { step: step_id(), question: Question { rule: Some(rule), ..question } }
            }
            Outcome::Waiting(wait) => {
                let now = self.parts.ledger.now();
                let since = self.parts.ledger.waiting_since(state, step, &wait.on).unwrap_or(now);
                let waited = now - since;
                let over = !self.parts.ledger.leapt();
                if over && wait.timeout > 0 && waited >= Duration::seconds(i64::from(wait.timeout)) {
                    let message = format!("waited {} for: {}", span(waited), wait.summary);
                    return Event::Failed {
                        step: step_id(),
                        error: "timeout".into(),
                        message,
                        retryable: false,
                    };
                }
                let wait = Wait {
                    condition: wait.on,
                    summary: wait.summary,
                    url: wait.url,
                    poll_seconds: wait.poll.max(1),
                    timeout_seconds: wait.timeout,
                    since,
                };
                Event::Waiting { step: step_id(), wait }
            }
        }
    }
}

/// The kind of a failure that a new plan mends.
pub const UNPLANNED: &str = "unplanned";

fn unplanned(what: String) -> StepFault {
    StepFault::Reported(ReportedError { kind: UNPLANNED.into(), message: what })
}

/// A seed that is the same for every attempt of a step of a run.
fn seed(run: &str, step: &str) -> u64 {
    use sha2::{Digest, Sha256};
    let hash = Sha256::digest(format!("{run}\0{step}").as_bytes());
    hash.iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte))
}

/// A span in words: `3 h 20 min`.
#[must_use]
pub fn span(span: Duration) -> String {
    let minutes = span.num_minutes();
    match (minutes / 1440, minutes / 60 % 24, minutes % 60) {
        (0, 0, 0) => format!("{} s", span.num_seconds()),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}
