//! Writes down what steps would do, while they run against the overlay.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::document::PlannedEffect;
use crate::capability::Slug;
use crate::capability::git::CommitSpec;
use crate::function::{self, Class};
use crate::gate::{Hold, HoldError, Watcher};
use crate::journal::{Event, Level, Record};
use crate::operation::Operation;
use crate::policy::pattern::RefPattern;

/// What was seen of one step.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// Effects, in order.
    pub(super) effects: Vec<PlannedEffect>,
    /// Commits with their repositories, in order.
    pub(super) commits: Vec<(Slug, String, CommitSpec)>,
    /// What it said.
    pub(super) remarks: Vec<String>,
    /// Requests it took.
    pub(super) requests: u64,
}

/// How many requests were sent so far.
pub(super) type Meter = Box<dyn Fn() -> u64 + Send + Sync>;

/// Everything that is seen while a plan is made.
pub(super) struct Notes {
    meter: Meter,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    steps: BTreeMap<String, Seen>,
    listed: BTreeSet<(Slug, String)>,
    metered: u64,
}

impl Notes {
    pub(super) fn new(meter: Meter) -> Self {
        Self { meter, inner: Mutex::default() }
    }

    /// What was seen of a step.
    pub(super) fn of(&self, step: &str) -> Seen {
        self.lock().steps.get(step).cloned().unwrap_or_default()
    }

    /// Refs that were listed: repositories with globs.
    pub(super) fn listed(&self) -> Vec<(Slug, String)> {
        self.lock().listed.iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn step(&self, step: &str, note: impl FnOnce(&mut Seen)) {
        note(self.lock().steps.entry(step.to_owned()).or_default());
    }
}

#[async_trait]
impl Hold for Notes {
    async fn effect(&self, step: &str, operation: &Operation) -> Result<(), HoldError> {
        let known = function::by_short_name(&operation.function);
        let effect = PlannedEffect {
            function: operation.function.clone(),
            class: known.map_or(Class::Once, |known| known.class),
            summary: operation.summary.clone(),
            reversible: known.is_some_and(|known| known.is_reversible(&operation.request)),
            request: operation.shown(),
        };
        self.step(step, |seen| seen.effects.push(effect));
        Ok(())
    }

    async fn commit(
        &self,
        step: &str,
        repository: &Slug,
        spec: &CommitSpec,
        id: &str,
    ) -> Result<(), HoldError> {
        self.step(step, |seen| {
            // A step that is started again builds the same commits again.
            if seen.commits.iter().all(|(_, known, _)| known != id) {
                seen.commits.push((repository.clone(), id.to_owned(), spec.clone()));
            }
        });
        Ok(())
    }

    fn listed(&self, repository: &Slug, glob: &RefPattern) {
        self.lock().listed.insert((repository.clone(), glob.to_string()));
    }
}

impl Watcher for Notes {
    fn recorded(&self, record: &Record) {
        let now = (self.meter)();
        let mut inner = self.lock();
        let taken = now.saturating_sub(inner.metered);
        inner.metered = now;
        // One step runs at a time: whatever was sent before its end was sent for it.
        if let Some(step) = record.event.step().filter(|_| !matches!(record.event, Event::Started { .. })) {
            inner.steps.entry(step.to_owned()).or_default().requests += taken;
        }
    }

    fn said(&self, step: &str, level: Level, text: &str) {
        if level >= Level::Info {
            self.step(step, |seen| {
                if !seen.remarks.iter().any(|known| known == text) {
                    seen.remarks.push(text.to_owned());
                }
            });
        }
    }

    fn progress(&self, _: &str, _: u32, _: u32, _: &str) {}
}
