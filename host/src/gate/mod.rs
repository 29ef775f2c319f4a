//! The single path from a plugin to the world: policy, then journal, then capability.
//!
//! Nothing performs an effect except through here. A read is decided and made; an effect is decided, looked for,
//! written down as intended, performed and written down as done. When the answer to a write is lost, the gate looks
//! again before it does anything else; what it cannot find out it leaves as an open intent for a person.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::capability::command::Programs;
use crate::capability::files::{Artefacts, Scratch};
use crate::capability::git::{Git, Identity};
use crate::capability::github::GitHub;
use crate::capability::http::Http;
use crate::capability::mail::Mail;
use crate::capability::wire::Pause;
use crate::capability::{CapabilityError, Outcome, Probe, Secret, Slug};
use crate::function::{self, Class};
use crate::journal::{Level, Record};
use crate::operation::Operation;
use crate::policy::{Decision, Grants, decide};

mod command;
mod files;
mod git;
mod github;
mod hold;
mod http;
pub(crate) mod leftover;
mod limit;
mod mail;
#[cfg(test)]
mod tests;

pub use git::{Repository, WantedRebase, WantedRef};
pub use hold::{Hold, HoldError};
pub use limit::CallLimits;
use limit::Used;

/// The back ends of a world: live, rehearsed or planned.
#[derive(Clone)]
pub struct Capabilities {
    /// Git.
    pub git: Arc<dyn Git>,
    /// GitHub.
    pub github: Arc<dyn GitHub>,
    /// HTTP.
    pub http: Arc<dyn Http>,
    /// Programs.
    pub programs: Arc<dyn Programs>,
    /// Mail.
    pub mail: Arc<dyn Mail>,
    /// Documents kept with the run.
    pub artefacts: Arc<Artefacts>,
    /// Values of the secrets that the policy names.
    pub secrets: Arc<BTreeMap<String, Secret>>,
}

/// A denial, in the words of the policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Denial {
    /// The missing power, as a policy would spell it.
    pub power: String,
    /// Policy file and line where it was decided.
    pub source: String,
    /// What would allow it.
    pub hint: String,
}

/// Why a call through the gate gave no result.
#[derive(Debug, Clone, Error)]
pub enum CallError {
    /// The policy does not grant a power.
    #[error("{}: not granted ({})", .0.power, .0.source)]
    Denied(Denial),
    /// The capability failed.
    #[error(transparent)]
    Capability(#[from] CapabilityError),
    /// The run is held to a plan, and the plan does not show this effect.
    #[error("not in the plan: {0}")]
    Unplanned(String),
    /// An effect may or may not have happened, and no probe can tell.
    #[error("outcome unknown: {0}")]
    Unsettled(String),
    /// The host itself cannot go on: the journal cannot be written. The step ends here.
    #[error("{0}")]
    Fatal(String),
}

/// The result of a call through the gate.
pub type CallResult<T> = Result<T, CallError>;

/// How an effect ended, for the journal.
#[derive(Debug, Clone, PartialEq)]
pub enum Settled {
    /// Performed, with this result.
    Done(serde_json::Value),
    /// Found to be there by a probe.
    Adopted(serde_json::Value),
    /// Certainly not performed.
    Nothing(String),
    /// Nobody knows.
    Unknown(String),
}

/// What the journal knows of an effect of this step.
#[derive(Debug, Clone, PartialEq)]
pub enum Recorded {
    /// Never intended, or intended and certainly not performed.
    Nothing,
    /// Done, with this result.
    Done(serde_json::Value),
    /// Declared done by a person; there is no result.
    AssumedDone,
    /// Intended, outcome not known; the number of the intent.
    Open(u64),
}

/// The journal as the gate sees it. Every method returns only when the entry is durable.
pub trait Recorder: Send + Sync {
    /// A power was denied.
    ///
    /// # Errors
    /// A message, when the journal cannot be written.
    fn denied(&self, step: &str, operation: &Operation, denial: &Denial) -> Result<(), String>;

    /// An effect is about to be performed; returns the number of the intent.
    ///
    /// # Errors
    /// A message, when the journal cannot be written.
    fn intent(&self, step: &str, class: Class, operation: &Operation) -> Result<u64, String>;

    /// How the effect of an intent ended.
    ///
    /// # Errors
    /// A message, when the journal cannot be written.
    fn settled(&self, step: &str, intent: u64, settled: Settled) -> Result<(), String>;

    /// What is known of an effect.
    fn recorded(&self, step: &str, operation: &Operation) -> Recorded;

    /// What is known of an effect by its key, whatever else was asked then: one that happened, or is open.
    fn keyed(&self, _step: &str, _function: &str, _key: &str) -> Recorded {
        Recorded::Nothing
    }

    /// A remark of the step.
    ///
    /// # Errors
    /// A message, when the journal cannot be written.
    fn remark(&self, step: &str, level: Level, text: &str) -> Result<(), String>;

    /// A document was kept.
    ///
    /// # Errors
    /// A message, when the journal cannot be written.
    fn artefact(
        &self,
        step: &str,
        name: &str,
        media_type: &str,
        size: u64,
        sha256: &str,
    ) -> Result<(), String>;
}

/// Whoever watches a run: sees events once they are durable, and what never enters the journal.
pub trait Watcher: Send + Sync {
    /// An event is durable in the journal.
    fn recorded(&self, record: &Record);
    /// A step said something.
    fn said(&self, step: &str, level: Level, text: &str);
    /// A step is at `done` of `total`.
    fn progress(&self, step: &str, done: u32, total: u32, what: &str);
}

/// All that a gate stands on.
pub struct GateParts {
    /// Name of the run.
    pub run: String,
    /// The step.
    pub step: String,
    /// What it may do.
    pub grants: Grants,
    /// Where it is written down.
    pub recorder: Arc<dyn Recorder>,
    /// What does it.
    pub world: Capabilities,
    /// Who watches.
    pub watcher: Arc<dyn Watcher>,
    /// How it waits between tries.
    pub pause: Arc<dyn Pause>,
    /// Author and committer of everything built.
    pub identity: Identity,
    /// The time pinned for everything that is written.
    pub pinned: DateTime<Utc>,
    /// What sees every effect before it is announced.
    pub hold: Option<Arc<dyn Hold>>,
    /// The step's scratch directory.
    pub scratch: Scratch,
    /// Bounds.
    pub limits: CallLimits,
}

/// The gate of one attempt of one step.
#[derive(Clone)]
pub struct Gate {
    parts: Arc<GateParts>,
    fatal: Arc<Mutex<Option<String>>>,
    unplanned: Arc<Mutex<Option<String>>>,
    /// Repositories that this attempt opened.
    opened: Arc<Mutex<BTreeSet<Slug>>>,
    /// Names of secrets that programs of this attempt were given.
    handed: Arc<Mutex<BTreeSet<String>>>,
    /// What of the limits is used.
    used: Arc<Used>,
}

impl Gate {
    /// A gate for one attempt of a step.
    #[must_use]
    pub fn new(parts: GateParts) -> Self {
        Self {
            parts: Arc::new(parts),
            fatal: Arc::default(),
            unplanned: Arc::default(),
            opened: Arc::default(),
            handed: Arc::default(),
            used: Arc::default(),
        }
    }

    /// Why the host cannot go on, if it cannot.
    #[must_use]
    pub fn fatal(&self) -> Option<String> {
        self.fatal.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// The first effect that the plan does not show, if there was one: the step ends with it, whatever it says.
    #[must_use]
    pub fn unplanned(&self) -> Option<String> {
        self.unplanned.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Bounds of a call.
    #[must_use]
    pub fn limits(&self) -> CallLimits {
        self.parts.limits
    }

    /// Name of the run.
    #[must_use]
    pub fn run(&self) -> &str {
        &self.parts.run
    }

    /// Says something to whoever watches; warnings are also kept in the journal.
    ///
    /// # Errors
    /// [`CallError::Fatal`] when the journal cannot be written.
    pub fn say(&self, level: Level, text: &str) -> CallResult<()> {
        let text = printable(text, MAX_REMARK);
        self.parts.watcher.said(&self.parts.step, level, &text);
        if level >= Level::Warning {
            self.written(self.parts.recorder.remark(&self.parts.step, level, &text))?;
        }
        Ok(())
    }

    /// Asks the policy about everything the operation needs; a denial is journalled, unless there were too many.
    fn allow(&self, operation: &Operation) -> CallResult<()> {
        for need in &operation.needs {
            if let Decision::Denied(denied) = decide(&self.parts.grants, need) {
                // What is longer than a policy's line can be could not be granted anyway.
                let shown = |text: String| printable(&text, MAX_POWER);
                let denial = Denial {
                    hint: shown(denied.hint.to_string()),
                    power: shown(denied.power),
                    source: denied.source,
                };
                if self.may_note_denial()? {
                    self.written(self.parts.recorder.denied(&self.parts.step, operation, &denial))?;
                }
                return Err(CallError::Denied(denial));
            }
        }
        Ok(())
    }

    /// A read: decided, then made within the time limit.
    async fn read<T>(
        &self,
        operation: &Operation,
        call: impl Future<Output = Result<T, CapabilityError>> + Send,
    ) -> CallResult<T> {
        self.allow(operation)?;
        Ok(self.timed(Outcome::Nothing, call).await?)
    }

    /// An effect that can be looked for: adopted when it is there, otherwise performed, and looked for again
    /// whenever the answer was lost.
    async fn ensure<T, P, E, PF, EF>(&self, operation: &Operation, probe: P, perform: E) -> CallResult<T>
    where
        T: Serialize + DeserializeOwned + Send,
        P: Fn() -> PF + Send + Sync,
        PF: Future<Output = Result<Probe<T>, CapabilityError>> + Send,
        E: Fn() -> EF + Send + Sync,
        EF: Future<Output = Result<T, CapabilityError>> + Send,
    {
        self.allow(operation)?;
        let before = self.parts.recorder.recorded(&self.parts.step, operation);
        self.ensure_after(before, operation, probe, perform).await
    }

    /// The same for an effect that is allowed, and known to the journal like this.
    async fn ensure_after<T, P, E, PF, EF>(
        &self,
        before: Recorded,
        operation: &Operation,
        probe: P,
        perform: E,
    ) -> CallResult<T>
    where
        T: Serialize + DeserializeOwned + Send,
        P: Fn() -> PF + Send + Sync,
        PF: Future<Output = Result<Probe<T>, CapabilityError>> + Send,
        E: Fn() -> EF + Send + Sync,
        EF: Future<Output = Result<T, CapabilityError>> + Send,
    {
        let found = match (self.timed(Outcome::Nothing, probe()).await, &before) {
            // Something else stands there, so the effect that was under way cannot have happened.
            (Err(CapabilityError::Conflict { what }), Recorded::Open(intent)) => {
                self.settle(*intent, Settled::Nothing(what.clone()))?;
                return Err(CapabilityError::Conflict { what }.into());
            }
            (found, _) => found?,
        };
        if let Some(value) = self.look(operation, &before, found)? {
            return Ok(value);
        }
        self.planned(operation).await?;
        for attempt in 1.. {
            let intent = self.intend(operation)?;
            let error = match self.timed(Outcome::Unknown, perform()).await {
                Ok(value) => {
                    self.settle(intent, Settled::Done(json(&value)))?;
                    return Ok(value);
                }
                Err(error) => error,
            };
            // What stands in the way may be the very thing: git's transport sends a push again by itself when the line
            // breaks, and somebody else may have wanted the same.
            let in_the_way = matches!(error, CapabilityError::Conflict { .. });
            if in_the_way || error.outcome() == Outcome::Unknown {
                match self.timed(Outcome::Nothing, probe()).await {
                    Ok(Probe::Present(value)) => {
                        self.settle(intent, Settled::Adopted(json(&value)))?;
                        return Ok(value);
                    }
                    Ok(Probe::Absent) => self.settle(intent, Settled::Nothing(error.to_string()))?,
                    Err(CapabilityError::Conflict { what }) => {
                        self.settle(intent, Settled::Nothing(what.clone()))?;
                        return Err(CapabilityError::Conflict { what }.into());
                    }
                    Err(lost) => {
                        self.settle(intent, Settled::Unknown(format!("{error}; then {lost}")))?;
                        return Err(error.into());
                    }
                }
            } else {
                self.settle(intent, Settled::Nothing(error.to_string()))?;
            }
            if attempt >= self.parts.limits.tries || !worth_another_try(&error) {
                return Err(error.into());
            }
            self.parts.pause.wait(backoff(attempt, &error)).await;
        }
        Err(CallError::Fatal("an effect was tried without end".into()))
    }

    /// What the first look of an effect means for the journal; a value when there is nothing left to do.
    fn look<T: Serialize>(
        &self,
        operation: &Operation,
        before: &Recorded,
        found: Probe<T>,
    ) -> CallResult<Option<T>> {
        match (before, found) {
            (Recorded::Open(intent), Probe::Present(value)) => {
                self.settle(*intent, Settled::Adopted(json(&value)))?;
                Ok(Some(value))
            }
            (Recorded::Open(intent), Probe::Absent) => {
                self.settle(*intent, Settled::Nothing("looked for after an interruption: not there".into()))?;
                Ok(None)
            }
            (Recorded::Nothing, Probe::Present(value)) => {
                self.say(Level::Info, &format!("already there: {}", operation.summary))?;
                Ok(Some(value))
            }
            (Recorded::Done(_) | Recorded::AssumedDone, Probe::Present(value)) => Ok(Some(value)),
            (_, Probe::Absent) => Ok(None),
        }
    }

    /// An effect that no probe can see: performed at most once for its key, replayed from the journal afterwards. What it
    /// asks for may have been worded anew since; it is not done again. `perform` has a time limit of its own.
    async fn once<T, E, EF>(&self, operation: &Operation, assumed: T, perform: E) -> CallResult<T>
    where
        T: Serialize + DeserializeOwned + Send,
        E: FnOnce() -> EF + Send,
        EF: Future<Output = Result<T, CapabilityError>> + Send,
    {
        self.allow(operation)?;
        let before = self.known_by_key(operation)?;
        self.once_after(before, operation, assumed, perform).await
    }

    /// What the journal knows of an effect: of this very one, or of another one of the same key.
    fn known_by_key(&self, operation: &Operation) -> CallResult<Recorded> {
        let (recorder, step) = (&self.parts.recorder, &self.parts.step);
        let before = recorder.recorded(step, operation);
        let Some(key) = operation.request["key"].as_str() else { return Ok(before) };
        if key.len() > KEY {
            let what = format!("a key of {} bytes: at most {KEY} are kept", key.len());
            return Err(CapabilityError::invalid(what).into());
        }
        if before != Recorded::Nothing {
            return Ok(before);
        }
        let before = recorder.keyed(step, &operation.function, key);
        if before != Recorded::Nothing {
            let what =
                format!("{}: asked for before under the key {key:?}, in other words", operation.summary);
            self.say(Level::Warning, &what)?;
        }
        Ok(before)
    }

    async fn once_after<T, E, EF>(
        &self,
        before: Recorded,
        operation: &Operation,
        assumed: T,
        perform: E,
    ) -> CallResult<T>
    where
        T: Serialize + DeserializeOwned + Send,
        E: FnOnce() -> EF + Send,
        EF: Future<Output = Result<T, CapabilityError>> + Send,
    {
        match before {
            Recorded::Done(value) => {
                return serde_json::from_value(value).map_err(|error| {
                    self.fatally(format!("the journal holds another kind of result: {error}"))
                });
            }
            Recorded::AssumedDone => return Ok(assumed),
            Recorded::Open(_) => return Err(CallError::Unsettled(operation.summary.clone())),
            Recorded::Nothing => {}
        }
        self.planned(operation).await?;
        let intent = self.intend(operation)?;
        match perform().await {
            Ok(value) => {
                self.settle(intent, Settled::Done(json(&value)))?;
                Ok(value)
            }
            Err(error) if error.outcome() == Outcome::Unknown => {
                self.settle(intent, Settled::Unknown(error.to_string()))?;
                Err(CallError::Unsettled(format!("{}: {error}", operation.summary)))
            }
            Err(error) => {
                self.settle(intent, Settled::Nothing(error.to_string()))?;
                Err(error.into())
            }
        }
    }

    /// An effect that a plan does not show is not performed.
    async fn planned(&self, operation: &Operation) -> CallResult<()> {
        let Some(hold) = &self.parts.hold else { return Ok(()) };
        self.held(hold.effect(&self.parts.step, operation).await)
    }

    fn held(&self, result: Result<(), HoldError>) -> CallResult<()> {
        match result {
            Ok(()) => Ok(()),
            Err(HoldError::Capability(error)) => Err(error.into()),
            Err(HoldError::Fatal(why)) => Err(self.fatally(why)),
            Err(HoldError::Unplanned(what)) => {
                let mut first = self.unplanned.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                first.get_or_insert_with(|| what.clone());
                Err(CallError::Unplanned(what))
            }
        }
    }

    fn intend(&self, operation: &Operation) -> CallResult<u64> {
        let class = function::by_short_name(&operation.function).map_or(Class::Once, |known| known.class);
        self.written(self.parts.recorder.intent(&self.parts.step, class, operation))
    }

    fn settle(&self, intent: u64, settled: Settled) -> CallResult<()> {
        self.written(self.parts.recorder.settled(&self.parts.step, intent, settled))
    }

    /// A journal that cannot be written ends the step: nothing may happen that is not recorded.
    fn written<T>(&self, result: Result<T, String>) -> CallResult<T> {
        result.map_err(|why| self.fatally(why))
    }

    fn fatally(&self, why: String) -> CallError {
        let mut fatal = self.fatal.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        fatal.get_or_insert_with(|| why.clone());
        CallError::Fatal(why)
    }

    /// An epoch deadline does not stop a sleeping host call, hence a time limit around every one.
    async fn timed<T>(
        &self,
        outcome: Outcome,
        call: impl Future<Output = Result<T, CapabilityError>> + Send,
    ) -> Result<T, CapabilityError> {
        tokio::time::timeout(self.parts.limits.call, call).await.unwrap_or_else(|_| {
            let what = format!("no answer within {} s", self.parts.limits.call.as_secs());
            Err(CapabilityError::Unavailable { what, outcome })
        })
    }
}

/// Longest remark kept, in bytes.
const MAX_REMARK: usize = 4096;

/// Longest power that a denial names, in bytes.
const MAX_POWER: usize = 2048;

/// Longest key of an effect, in bytes.
const KEY: usize = 500;

/// Text of a guest without control characters (terminal escapes among them) and without changes of the direction of
/// writing, cut at `limit` bytes.
pub(crate) fn printable(text: &str, limit: usize) -> String {
    let mut clean = String::new();
    for c in text.chars() {
        if clean.len() + c.len_utf8() > limit {
            clean.push('…');
            break;
        }
        let control = c.is_control() && c != '\n' && c != '\t';
        clean.push(if control || turns(c) { '\u{fffd}' } else { c });
    }
    clean
}

/// Characters that change the direction of writing: a text could show other words than it holds.
pub(crate) fn turns(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn json<T: Serialize>(value: &T) -> serde_json::Value {
    serde_json::to_value(value).unwrap_or(serde_json::Value::Null)
}

fn worth_another_try(error: &CapabilityError) -> bool {
    matches!(error, CapabilityError::Unavailable { .. } | CapabilityError::RateLimited { .. })
}

fn backoff(attempt: u32, error: &CapabilityError) -> Duration {
    match error {
        CapabilityError::RateLimited { retry_after: Some(seconds), .. } => {
            Duration::from_secs(u64::from(*seconds).min(900))
        }
        _ => Duration::from_secs(2u64.saturating_pow(attempt).min(60)),
    }
}
