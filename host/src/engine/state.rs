//! What a store holds: the gate of its step, handles, limits and captured output.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use wasmtime::CallHook;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::Ambience;
use super::limits::{Limits, Meter};
use super::wasi::{self, Output};
use crate::gate::{CallError, Gate};

/// Data of a store; one store for one call of a guest.
pub(crate) struct StepState {
    /// None for `describe` and `steps`, which may call no import.
    pub(crate) gate: Option<Gate>,
    /// Handles of the guest.
    pub(crate) table: ResourceTable,
    ambience: Ambience,
    /// Made when the guest first asks for it: most calls never do.
    wasi: Option<WasiCtx>,
    meter: Meter,
    output: Output,
    stopwatch: Stopwatch,
}

impl StepState {
    pub(super) fn new(gate: Option<Gate>, ambience: Ambience, limits: &Limits, spent: Spent) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles);
        let output = Output::new(limits.output);
        let (meter, stopwatch) = (Meter::new(limits), Stopwatch { since: None, spent });
        Self { gate, table, ambience, wasi: None, meter, output, stopwatch }
    }

    pub(super) fn limiter(&mut self) -> &mut Meter {
        &mut self.meter
    }

    pub(super) fn stopwatch(&mut self) -> &mut Stopwatch {
        &mut self.stopwatch
    }

    pub(super) fn output(&self) -> String {
        self.output.text()
    }

    /// The gate for one call of the guest, or the reason why it may not be made.
    pub(crate) fn gate(&self) -> Result<Gate, CallError> {
        let gate = self.gate.clone().ok_or_else(|| {
            CallError::Capability(crate::capability::CapabilityError::invalid(
                "describe and steps may not call the host",
            ))
        })?;
        gate.count()?;
        Ok(gate)
    }
}

impl WasiView for StepState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let Self { ambience, output, .. } = self;
        let ctx = self.wasi.get_or_insert_with(|| wasi::context(*ambience, output));
        WasiCtxView { ctx, table: &mut self.table }
    }
}

/// Time that the guests of an engine have run, in all of its stores.
#[derive(Debug, Clone, Default)]
pub(super) struct Spent(Arc<AtomicU64>);

impl Spent {
    pub(super) fn so_far(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

/// Runs while a guest does, and stands while the host works for it.
pub(super) struct Stopwatch {
    since: Option<Instant>,
    spent: Spent,
}

impl Stopwatch {
    /// Follows the border between guest and host.
    pub(super) fn follow(&mut self, hook: CallHook) {
        if matches!(hook, CallHook::CallingWasm | CallHook::ReturningFromHost) {
            self.since = Some(Instant::now());
        } else if let Some(since) = self.since.take() {
            let nanoseconds = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
            self.spent.0.fetch_add(nanoseconds, Ordering::Relaxed);
        }
    }
}
