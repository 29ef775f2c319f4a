//! The journal with a clock and a watcher: what the scheduler and the gate write through.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Duration, Utc};

use crate::clock::Clock;
use crate::function::Class;
use crate::gate::{Denial, Recorded, Recorder, Settled, Watcher};
use crate::journal::{
    Artefact, Condition, Effect, EffectResult, Event, Journal, JournalError, Level, Record, RunState,
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
        let seq = self.journal.write(event.clone(), time)?;
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
        self.journal.with_state(|state| state.recorded(step, &digest, 0).map_or(Recorded::Nothing, known))
    }

    fn keyed(&self, step: &str, function: &str, key: &str) -> Recorded {
        self.journal.with_state(|state| {
            let effects = state.step(step).into_iter().flat_map(|step| step.effects.iter());
            let same = effects
                .rev()
                .filter(|effect| effect.function == function && effect.request["key"].as_str() == Some(key));
            same.map(known).find(|known| *known != Recorded::Nothing).unwrap_or(Recorded::Nothing)
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

/// What an effect of the journal means for who asks for it again.
fn known(effect: &Effect) -> Recorded {
    if !effect.is_settled() {
        return Recorded::Open(effect.seq);
    }
    match &effect.result {
        Some(EffectResult::Done { value } | EffectResult::Adopted { value }) => Recorded::Done(value.clone()),
        Some(EffectResult::Assumed { .. }) if effect.happened() => Recorded::AssumedDone,
        _ => Recorded::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SimulatedClock;
    use crate::journal::{FORMAT, Header, Identity, PluginIdentity, StepKind, StepNode, Wait, World};

    /// Whoever watches, as a list of what there was to see.
    #[derive(Default)]
    struct Seen(Mutex<Vec<Record>>);

    impl Watcher for Seen {
        fn recorded(&self, record: &Record) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(record.clone());
        }
        fn said(&self, _: &str, _: Level, _: &str) {}
        fn progress(&self, _: &str, _: u32, _: u32, _: &str) {}
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + Duration::seconds(seconds)
    }

    fn header() -> Header {
        let step = StepNode {
            id: "a".into(),
            title: "a".into(),
            kind: StepKind::Wait,
            needs: Vec::new(),
            irreversible: false,
            source: String::new(),
        };
        Header {
            format: FORMAT,
            run: "r".into(),
            release: "r".into(),
            title: "r".into(),
            plugin: PluginIdentity { name: "p".into(), version: "1".into(), digest: "sha256:00".into() },
            policy: None,
            plan: None,
            process: "p".into(),
            profile: "p".into(),
            inputs: serde_json::json!({}),
            graph: vec![step],
            pinned: at(0),
            identity: Identity { name: "J".into(), email: "j@example.org".into(), login: None },
            world: World::Live,
            forge: None,
            confirm: false,
            started_by: "j".into(),
        }
    }

    fn waiting(since: i64) -> Event {
        let wait = Wait {
            condition: Condition::Other { text: "x".into() },
            summary: "x".into(),
            url: None,
            poll_seconds: 60,
            timeout_seconds: 0,
            since: at(since),
        };
        Event::Waiting { step: "a".into(), wait }
    }

    #[test]
    fn a_clock_that_jumps_is_written_down() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal");
        drop(Journal::create(&path, header(), at(1000)).expect("a journal"));
        let day = 86_400;
        // What the clock shows when the ledger is opened; the time it goes by, whether it leapt, how many remarks.
        let table =
            [(1001, 1001, false, 0), (400, 1001, false, 1), (1001 + 40 * day, 1001 + 40 * day, true, 1)];
        for (shown, now, leapt, remarks) in table {
            let journal = Arc::new(Journal::open(&path).expect("nobody holds it"));
            let (clock, seen) = (Arc::new(SimulatedClock::new(at(shown))), Arc::new(Seen::default()));
            let ledger = Ledger::new(journal.clone(), clock, seen.clone()).expect("readable");
            assert_eq!((ledger.now(), ledger.leapt()), (at(now), leapt), "{shown}");
            for text in ["one", "two"] {
                ledger.remark("a", Level::Info, text).expect("written");
            }
            let seen = seen.0.lock().unwrap_or_else(PoisonError::into_inner);
            let warned =
                |record: &&Record| matches!(&record.event, Event::Remark { level: Level::Warning, .. });
            assert_eq!(seen.iter().filter(warned).count(), remarks, "{shown}");
            assert!(seen.iter().all(|record| record.time == at(now)), "{seen:?}");
            let events = journal.events().expect("readable");
            assert_eq!(events.get(events.len() - seen.len()..), Some(seen.as_slice()), "all of it was shown");
        }
    }

    #[test]
    fn looks_at_one_wait_are_counted() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal");
        let journal = Arc::new(Journal::create(&path, header(), at(0)).expect("a journal"));
        let clock = Arc::new(SimulatedClock::new(at(0)));
        let ledger = Ledger::new(journal, clock.clone(), Arc::new(Seen::default())).expect("readable");
        let table = [(0, 1), (0, 2), (0, 3), (500, 1), (500, 2)];
        for (attempt, (since, looks)) in (1..).zip(table) {
            clock.advance(Duration::seconds(100));
            ledger.append(Event::Started { step: "a".into(), attempt }).expect("legal");
            ledger.append(waiting(since)).expect("legal");
            assert_eq!(ledger.last_wait("a"), Some((clock.now(), looks)));
        }
    }
}
