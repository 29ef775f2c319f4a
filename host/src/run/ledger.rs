//! The journal with a clock and a watcher: what the scheduler and the gate write through.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Duration, Utc};

use crate::clock::Clock;
use crate::function::Class;
use crate::gate::{Denial, Recorded, Recorder, Settled, Watcher};
use crate::journal::{
    Artefact, Condition, EffectResult, Event, Journal, JournalError, Level, Record, RunState,
};
use crate::operation::Operation;

/// Journal, clock and watcher of one run. Cheap to clone.
#[derive(Clone)]
pub struct Ledger {
    journal: Arc<Journal>,
    clock: Arc<dyn Clock>,
    watcher: Arc<dyn Watcher>,
    memory: Arc<Mutex<Memory>>,
    /// Whether so much time has passed since the last event that the clock may be wrong.
    leapt: bool,
}

/// A gap after the last event that makes a clock doubtful: such a run may have been parked, or its clock set wrong.
const LEAP: Duration = Duration::days(30);

/// What only times of events tell: when a step last began to wait, since when for what, and when it asked.
#[derive(Default)]
struct Memory {
    asked: BTreeMap<String, DateTime<Utc>>,
    waits: BTreeMap<String, Waited>,
}

/// A wait as the journal has it.
struct Waited {
    /// When the plugin last looked.
    last: DateTime<Utc>,
    condition: Condition,
    since: DateTime<Utc>,
    /// How many times the plugin looked.
    looks: u32,
}

impl Ledger {
    /// A ledger over a journal that was opened for writing.
    ///
    /// # Errors
    /// [`JournalError`] when its events cannot be read.
    pub fn new(
        journal: Arc<Journal>,
        clock: Arc<dyn Clock>,
        watcher: Arc<dyn Watcher>,
    ) -> Result<Self, JournalError> {
        let mut memory = Memory::default();
        for record in journal.events()? {
            memory.take(&record);
        }
        let gap = clock.now() - journal.last_time();
        let leapt = gap > LEAP && journal.with_state(|state| !state.is_finished());
        let ledger = Self { journal, clock, watcher, memory: Arc::new(Mutex::new(memory)), leapt };
        if leapt {
            let text = format!(
                "the clock is {} days past the last event; if it is wrong, stop and set it. A time limit that ended \
                 meanwhile gets one more look",
                gap.num_days()
            );
            ledger.append(Event::Remark { step: None, level: Level::Warning, text })?;
        }
        Ok(ledger)
    }

    /// Whether the clock is so far past the event before that time limits are not held to it at once.
    pub(super) fn leapt(&self) -> bool {
        self.leapt
    }

    /// The journal.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The state of the run.
    #[must_use]
    pub fn state(&self) -> RunState {
        self.journal.with_state(Clone::clone)
    }

    /// The present moment, and never before the last event: a clock that went backwards stands still instead.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now().max(self.journal.last_time())
    }

    pub(super) fn watcher(&self) -> Arc<dyn Watcher> {
        self.watcher.clone()
    }

    /// Writes an event; whoever watches sees it once it is durable.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn append(&self, event: Event) -> Result<u64, JournalError> {
        if let Some(remark) = self.journal.clock_remark(self.clock.now()) {
            self.put(remark)?;
        }
        self.put(event)
    }

    fn put(&self, event: Event) -> Result<u64, JournalError> {
        let time = self.now();
        let seq = self.journal.append(event.clone(), time)?;
        let record = Record { seq, time, event };
        self.memory().take(&record);
        self.watcher.recorded(&record);
        Ok(seq)
    }

    /// Finds out whether the journal can still be written, without changing what it says.
    pub(super) fn check(&self) -> Result<(), JournalError> {
        let text = "the host could not go on".to_owned();
        self.append(Event::Remark { step: None, level: Level::Warning, text }).map(drop)
    }

    /// When the plugin last found a step to be waiting, and how many times it did for the same thing.
    pub(super) fn last_wait(&self, step: &str) -> Option<(DateTime<Utc>, u32)> {
        self.memory().waits.get(step).map(|waited| (waited.last, waited.looks))
    }

    /// Since when a step has been waiting for this very condition.
    pub(super) fn waiting_since(
        &self,
        state: &RunState,
        step: &str,
        condition: &Condition,
    ) -> Option<DateTime<Utc>> {
        state.step(step)?;
        let memory = self.memory();
        memory.waits.get(step).filter(|waited| waited.condition == *condition).map(|waited| waited.since)
    }

    /// When a step last asked its question.
    #[must_use]
    pub fn asked_at(&self, step: &str) -> Option<DateTime<Utc>> {
        self.memory().asked.get(step).copied()
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down what became of an effect.
    pub(super) fn settle(&self, step: &str, intent: u64, settled: Settled) -> Result<(), JournalError> {
        let result = match settled {
            Settled::Done(value) => EffectResult::Done { value },
            Settled::Adopted(value) => EffectResult::Adopted { value },
            Settled::Nothing(error) => EffectResult::Nothing { error },
            Settled::Unknown(error) => EffectResult::Unknown { error },
        };
        self.append(Event::Outcome { step: step.into(), intent, result }).map(drop)
    }

    fn write(&self, event: Event) -> Result<u64, String> {
        self.append(event).map_err(|error| error.to_string())
    }
}

impl Memory {
    fn take(&mut self, record: &Record) {
        match &record.event {
            Event::Waiting { step, wait } => {
                let (condition, since) = (wait.condition.clone(), wait.since);
                let same = self.waits.get(step).filter(|w| w.since == since && w.condition == condition);
                let looks = same.map_or(0, |waited| waited.looks).saturating_add(1);
                self.waits.insert(step.clone(), Waited { last: record.time, condition, since, looks });
            }
            Event::Asked { step, .. } => {
                self.asked.insert(step.clone(), record.time);
            }
            // A step that starts over waits anew; one that is merely polled keeps its beginning.
            Event::Retried { step, .. } => {
                self.waits.remove(step);
            }
            _ => {}
        }
    }
}

impl Recorder for Ledger {
    fn denied(&self, step: &str, operation: &Operation, denial: &Denial) -> Result<(), String> {
        self.write(Event::Denied {
            step: step.into(),
            function: operation.function.clone(),
            power: denial.power.clone(),
            source: denial.source.clone(),
        })
        .map(drop)
    }

    fn intent(&self, step: &str, class: Class, operation: &Operation) -> Result<u64, String> {
        self.write(Event::Intent {
            step: step.into(),
            ordinal: 0,
            function: operation.function.clone(),
            class,
            digest: operation.digest(),
            request: operation.request.clone(),
            summary: operation.summary.clone(),
        })
    }

    fn settled(&self, step: &str, intent: u64, settled: Settled) -> Result<(), String> {
        self.settle(step, intent, settled).map_err(|error| error.to_string())
    }

    fn recorded(&self, step: &str, operation: &Operation) -> Recorded {
        let digest = operation.digest();
        self.journal.with_state(|state| match state.recorded(step, &digest, 0) {
            None => Recorded::Nothing,
            Some(effect) if !effect.is_settled() => Recorded::Open(effect.seq),
            Some(effect) => match &effect.result {
                Some(EffectResult::Done { value } | EffectResult::Adopted { value }) => {
                    Recorded::Done(value.clone())
                }
                Some(EffectResult::Assumed { .. }) if effect.happened() => Recorded::AssumedDone,
                _ => Recorded::Nothing,
            },
        })
    }

    fn remark(&self, step: &str, level: Level, text: &str) -> Result<(), String> {
        self.write(Event::Remark { step: Some(step.into()), level, text: text.into() }).map(drop)
    }

    fn artefact(
        &self,
        step: &str,
        name: &str,
        media_type: &str,
        size: u64,
        sha256: &str,
    ) -> Result<(), String> {
        let artefact =
            Artefact { name: name.into(), media_type: media_type.into(), size, sha256: sha256.into() };
        self.write(Event::Artefact { step: step.into(), artefact }).map(drop)
    }
}
