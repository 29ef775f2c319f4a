//! The state of a run: a pure, total fold of its events. The table of legal transitions is in [`crate::journal`].

use std::sync::Arc;

use indexmap::IndexMap;
use serde::{Serialize, Serializer};
use serde_json::Value;
use thiserror::Error;

use super::approval::{self, Refusal};
use super::event::{Answer, Event, Header, Record};
use super::step::{self, Effect, Status, StepState};

/// An event that may not follow the ones before it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("event {seq} ({kind}) is not possible here: {why}")]
pub struct IllegalEvent {
    /// Its number.
    pub seq: u64,
    /// Its kind.
    pub kind: &'static str,
    /// Why not.
    pub why: Violation,
}

/// The rule that an illegal event breaks.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Violation {
    /// The first event is not `run-created`, or a later one is.
    #[error("`run-created` is the first event and only the first")]
    Header,
    /// The graph of the header is no graph.
    #[error("the graph is wrong: {0}")]
    Graph(String),
    /// The number is not the next one.
    #[error("the next event is number {0}")]
    Number(u64),
    /// The run is finished or aborted.
    #[error("the run has ended")]
    Ended,
    /// No such step.
    #[error("there is no step {0:?}")]
    NoStep(String),
    /// The step's status does not allow it.
    #[error("step {step:?} is {status}")]
    Status {
        /// The step.
        step: String,
        /// Where it stands.
        status: &'static str,
    },
    /// The attempt is not the next one.
    #[error("the next attempt is number {0}")]
    Attempt(u64),
    /// A needed step is neither done nor skipped.
    #[error("it needs step {0:?} first")]
    Needs(String),
    /// The question is not answered yet.
    #[error("its question {0:?} is not answered")]
    Unanswered(String),
    /// No such effect in this step.
    #[error("event {0} announced no effect of this step")]
    NoEffect(u64),
    /// It is known already what became of the effect.
    #[error("it is known already what became of effect {0}")]
    Settled(u64),
    /// It is not known what became of an effect.
    #[error("it is not known what became of effect {0}")]
    Unsettled(u64),
    /// The answer is to another question.
    #[error("the open question is {0:?}")]
    Question(String),
    /// The choice was not offered.
    #[error("the choice {0:?} is not offered")]
    Choice(String),
    /// The step cannot be undone, and nobody confirmed it.
    #[error("it cannot be undone, and nobody has confirmed it")]
    Unconfirmed,
    /// A value of the plan is bound to another one already.
    #[error("{0:?} of the plan stands for something else already")]
    Bound(String),
    /// The rule pinned with the question refuses the answer.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A step is neither done nor skipped.
    #[error("step {0:?} is neither done nor skipped")]
    Unfinished(String),
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum End {
    /// Every step is done or skipped.
    Finished,
    /// A person ended it.
    Aborted {
        /// Why.
        reason: String,
        /// Who.
        by: String,
    },
}

/// Where a run stands as a whole: what decides exit codes and whose move it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every step is done or skipped, and said so.
    Finished,
    /// A person ended it.
    Aborted,
    /// At least one step could start, or has been started.
    Ready,
    /// Nobody knows what became of an effect.
    Unknown,
    /// A step failed.
    Failed,
    /// A person has to answer.
    Asks,
    /// Something outside has to happen.
    Waiting,
}

/// The state of a run. A clone shares what does not change after it was made: whoever drives a run looks at its state all the
/// time.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RunState {
    #[serde(serialize_with = "header")]
    header: Arc<Header>,
    #[serde(serialize_with = "steps")]
    steps: Arc<IndexMap<String, Arc<StepState>>>,
    end: Option<End>,
    last: u64,
    plan: Option<String>,
    bindings: IndexMap<String, String>,
}

fn header<S: Serializer>(header: &Arc<Header>, serializer: S) -> Result<S::Ok, S::Error> {
    header.as_ref().serialize(serializer)
}

fn steps<S: Serializer>(
    steps: &Arc<IndexMap<String, Arc<StepState>>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(steps.iter().map(|(id, step)| (id, step.as_ref())))
}

impl RunState {
    /// The state after the first event.
    ///
    /// # Errors
    /// [`IllegalEvent`] when it is not `run-created`, not number 1, or its graph is not one.
    pub fn begin(record: &Record) -> Result<Self, IllegalEvent> {
        let refuse = |why| Err(illegal(record, why));
        if record.seq != 1 {
            return refuse(Violation::Number(1));
        }
        let Event::RunCreated { header } = &record.event else { return refuse(Violation::Header) };
        let mut steps = IndexMap::new();
        for node in &header.graph {
            if let Some(need) = node.needs.iter().find(|need| !steps.contains_key(*need)) {
                return refuse(Violation::Graph(format!(
                    "{:?} needs {need:?}, which is not before it",
                    node.id
                )));
            }
            if steps.insert(node.id.clone(), Arc::new(StepState::new(node.clone()))).is_some() {
                return refuse(Violation::Graph(format!("two steps are called {:?}", node.id)));
            }
        }
        let (header, bindings) = (Arc::new((**header).clone()), IndexMap::new());
        Ok(Self { plan: header.plan.clone(), header, steps: Arc::new(steps), end: None, last: 1, bindings })
    }

    /// Folds all events.
    ///
    /// # Errors
    /// The first [`IllegalEvent`]; an empty list is one too.
    pub fn fold<'a>(records: impl IntoIterator<Item = &'a Record>) -> Result<Self, IllegalEvent> {
        let mut records = records.into_iter();
        let Some(first) = records.next() else {
            return Err(IllegalEvent { seq: 1, kind: "nothing", why: Violation::Header });
        };
        let mut state = Self::begin(first)?;
        for record in records {
            state.apply(record)?;
        }
        Ok(state)
    }

    /// Takes one more event into account; leaves the state as it was when it is illegal.
    ///
    /// # Errors
    /// [`IllegalEvent`] with the rule that forbids it.
    pub fn apply(&mut self, record: &Record) -> Result<(), IllegalEvent> {
        self.check(record)?;
        self.take(record);
        self.last = record.seq;
        Ok(())
    }

    /// Whether an event may come next.
    ///
    /// # Errors
    /// [`IllegalEvent`] with the rule that forbids it.
    pub fn check(&self, record: &Record) -> Result<(), IllegalEvent> {
        self.rule(record).map_err(|why| illegal(record, why))
    }

    fn rule(&self, record: &Record) -> Result<(), Violation> {
        if record.seq != self.last.saturating_add(1) {
            return Err(Violation::Number(self.last.saturating_add(1)));
        }
        let step = record.event.step().map(|id| self.find(id)).transpose()?;
        match (&record.event, step) {
            (Event::Remark { .. } | Event::Unrecognised, _) => Ok(()),
            (Event::RunCreated { .. }, _) => Err(Violation::Header),
            _ if self.end.is_some() => Err(Violation::Ended),
            (Event::Finished, _) => match self.steps().find(|step| !step.status.is_over()) {
                Some(step) => Err(Violation::Unfinished(step.node.id.clone())),
                None => Ok(()),
            },
            (event, Some(step)) => self.step_rule(step, event),
            (_, None) => Ok(()),
        }
    }

    fn step_rule(&self, step: &StepState, event: &Event) -> Result<(), Violation> {
        use Status::{Asks, Done, Failed, Pending, Running, Skipped, Unknown, Waiting};
        let status = &step.status;
        let only = |legal: bool| {
            if legal { Ok(()) } else { Err(wrong_status(step)) }
        };
        match event {
            Event::Started { attempt, .. } => self.start_rule(step, *attempt),
            Event::Denied { .. } | Event::Artefact { .. } | Event::Intent { .. } | Event::Fault { .. } => {
                only(matches!(status, Running))
            }
            Event::Outcome { intent, .. } => unsettled(step, *intent),
            Event::Succeeded { .. } | Event::Waiting { .. } | Event::Asked { .. } => {
                only(matches!(status, Running))?;
                step.unsettled().next().map_or(Ok(()), |effect| Err(Violation::Unsettled(effect.seq)))
            }
            Event::Answered { answer, .. } => answer_rule(step, answer),
            Event::Failed { .. } => only(matches!(status, Running | Waiting { .. })),
            Event::Unknown { intent, .. } => {
                only(matches!(status, Running | Failed { .. }))?;
                unsettled(step, *intent)
            }
            Event::Skipped { .. } => only(matches!(
                status,
                Pending | Failed { .. } | Unknown { .. } | Waiting { .. } | Asks { .. }
            )),
            Event::Retried { .. } => {
                only(matches!(status, Failed { .. } | Unknown { .. } | Done { .. } | Skipped { .. }))
            }
            Event::Bound { planned, value, .. } => {
                only(matches!(status, Running))?;
                match self.bindings.get(planned) {
                    Some(known) if known != value => Err(Violation::Bound(planned.clone())),
                    _ => Ok(()),
                }
            }
            Event::Confirmed { .. } => only(!status.is_over()),
            Event::RunCreated { .. }
            | Event::PlanAdopted { .. }
            | Event::Remark { .. }
            | Event::Aborted { .. }
            | Event::Finished
            | Event::Unrecognised => Ok(()),
        }
    }

    fn start_rule(&self, step: &StepState, attempt: u32) -> Result<(), Violation> {
        match &step.status {
            Status::Pending | Status::Running | Status::Waiting { .. } => {}
            Status::Asks { .. } if step.is_answered() => {}
            Status::Asks { question, .. } => return Err(Violation::Unanswered(question.id.clone())),
            _ => return Err(wrong_status(step)),
        }
        if let Some(need) = self.blocked_on(&step.node.id).first() {
            return Err(Violation::Needs((*need).to_owned()));
        }
        if self.unconfirmed(step) {
            return Err(Violation::Unconfirmed);
        }
        let next = u64::from(step.attempts) + 1;
        if u64::from(attempt) == next { Ok(()) } else { Err(Violation::Attempt(next)) }
    }

    fn find(&self, id: &str) -> Result<&StepState, Violation> {
        self.step(id).ok_or_else(|| Violation::NoStep(id.to_owned()))
    }

    /// Applies a legal event.
    fn take(&mut self, record: &Record) {
        match &record.event {
            Event::Finished => self.end = Some(End::Finished),
            Event::PlanAdopted { plan, .. } => {
                self.plan = Some(plan.clone());
                self.bindings.clear();
            }
            Event::Bound { planned, value, .. } => {
                self.bindings.insert(planned.clone(), value.clone());
            }
            Event::Aborted { reason, by } => {
                self.end = Some(End::Aborted { reason: reason.clone(), by: by.clone() });
            }
            event => {
                let steps = Arc::make_mut(&mut self.steps);
                if let Some(step) = event.step().and_then(|id| steps.get_mut(id)) {
                    step::take(Arc::make_mut(step), record.seq, event);
                }
            }
        }
    }
}

/// What can be asked of a state.
impl RunState {
    /// What the run is.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Digest of the plan that the run is held to: the one it began with, or the one adopted last.
    #[must_use]
    pub fn plan(&self) -> Option<&str> {
        self.plan.as_deref()
    }

    /// Values of that plan with what they stand for in the world.
    #[must_use]
    pub fn bindings(&self) -> &IndexMap<String, String> {
        &self.bindings
    }

    /// Whether a step may only start once a person has confirmed it.
    #[must_use]
    pub fn unconfirmed(&self, step: &StepState) -> bool {
        self.header.confirm && self.plan.is_none() && step.node.irreversible && !step.confirmed
    }

    /// Steps that could start but for a person's confirmation.
    pub fn to_confirm(&self) -> impl Iterator<Item = &StepState> {
        self.steps().filter(|step| {
            self.end.is_none()
                && matches!(step.status, Status::Pending)
                && self.unconfirmed(step)
                && self.blocked_on(&step.node.id).is_empty()
        })
    }

    /// Number of the last event.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.last
    }

    /// How the run ended, when it has.
    #[must_use]
    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// All steps, in the order of the graph.
    pub fn steps(&self) -> impl Iterator<Item = &StepState> {
        self.steps.values().map(Arc::as_ref)
    }

    /// A step.
    #[must_use]
    pub fn step(&self, id: &str) -> Option<&StepState> {
        self.steps.get(id).map(Arc::as_ref)
    }

    /// Steps that may be started now: pending ones, answered ones, and those a killed host left running; not those that
    /// wait, because when to look again is a matter of time.
    pub fn ready(&self) -> impl Iterator<Item = &StepState> {
        self.steps().filter(|step| {
            let may_start = match step.status {
                Status::Pending | Status::Running => true,
                Status::Asks { .. } => step.is_answered(),
                _ => false,
            };
            self.end.is_none()
                && may_start
                && !self.unconfirmed(step)
                && self.blocked_on(&step.node.id).is_empty()
        })
    }

    /// Steps that `id` needs and that are neither done nor skipped.
    #[must_use]
    pub fn blocked_on(&self, id: &str) -> Vec<&str> {
        let needs = self.step(id).map(|step| step.node.needs.as_slice()).unwrap_or_default();
        needs
            .iter()
            .filter(|need| self.step(need).is_none_or(|step| !step.status.is_over()))
            .map(String::as_str)
            .collect()
    }

    /// What a finished step left.
    #[must_use]
    pub fn outputs_of(&self, id: &str) -> Option<&Value> {
        match &self.step(id)?.status {
            Status::Done { outputs } => Some(outputs),
            _ => None,
        }
    }

    /// Names and outputs of all finished steps that `id` needs, directly or not, in the order of the graph.
    #[must_use]
    pub fn outputs_before(&self, id: &str) -> Vec<(&str, &Value)> {
        let mut needed = std::collections::BTreeSet::new();
        let mut open = vec![id];
        while let Some(next) = open.pop() {
            let needs = self.step(next).map(|step| step.node.needs.as_slice()).unwrap_or_default();
            open.extend(needs.iter().map(String::as_str).filter(|need| needed.insert(*need)));
        }
        self.steps
            .keys()
            .filter(|step| needed.contains(step.as_str()))
            .filter_map(|step| Some((step.as_str(), self.outputs_of(step)?)))
            .collect()
    }

    /// What is recorded of the `ordinal`-th call with this digest in a step: the one that happened, when there is one,
    /// otherwise the latest. This is what a gate hands back instead of performing a `once` effect again.
    #[must_use]
    pub fn recorded(&self, step: &str, digest: &str, ordinal: u32) -> Option<&Effect> {
        let effects = &self.step(step)?.effects;
        let same = || effects.iter().rev().filter(|e| e.digest == digest && e.ordinal == ordinal);
        same().find(|effect| effect.happened()).or_else(|| same().next())
    }

    /// All effects without a known end, with their steps.
    pub fn unsettled(&self) -> impl Iterator<Item = (&StepState, &Effect)> {
        self.steps().flat_map(|step| step.unsettled().map(move |effect| (step, effect)))
    }

    /// Whether the run has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.end.is_some()
    }

    /// Whether every step is done or skipped, so that the run may be said to be finished.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.steps().all(|step| step.status.is_over())
    }

    /// Where the run stands as a whole.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match &self.end {
            Some(End::Finished) => return Verdict::Finished,
            Some(End::Aborted { .. }) => return Verdict::Aborted,
            None if self.ready().next().is_some() || self.is_complete() => return Verdict::Ready,
            None => {}
        }
        let confirmed = self.to_confirm().next().map(|_| Verdict::Asks);
        let worst = self.steps().filter_map(|step| match step.status {
            Status::Unknown { .. } => Some(Verdict::Unknown),
            Status::Failed { .. } => Some(Verdict::Failed),
            Status::Asks { .. } => Some(Verdict::Asks),
            Status::Waiting { .. } => Some(Verdict::Waiting),
            _ => None,
        });
        worst.chain(confirmed).min().unwrap_or(Verdict::Ready)
    }
}

fn illegal(record: &Record, why: Violation) -> IllegalEvent {
    IllegalEvent { seq: record.seq, kind: record.event.kind(), why }
}

fn wrong_status(step: &StepState) -> Violation {
    Violation::Status { step: step.node.id.clone(), status: step.status.word() }
}

fn unsettled(step: &StepState, intent: u64) -> Result<(), Violation> {
    match step.effects.iter().find(|effect| effect.seq == intent) {
        None => Err(Violation::NoEffect(intent)),
        Some(effect) if effect.is_settled() => Err(Violation::Settled(intent)),
        Some(_) => Ok(()),
    }
}

fn answer_rule(step: &StepState, answer: &Answer) -> Result<(), Violation> {
    let Status::Asks { question, .. } = &step.status else { return Err(wrong_status(step)) };
    if answer.question != question.id {
        return Err(Violation::Question(question.id.clone()));
    }
    if !question.choices.is_empty() && !question.choices.contains(&answer.choice) {
        return Err(Violation::Choice(answer.choice.clone()));
    }
    approval::refusal(question, step.given(), answer).map_or(Ok(()), |refusal| Err(refusal.into()))
}
