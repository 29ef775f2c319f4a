//! What a store holds: the gate of its step, handles, limits and captured output.

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
    wasi: WasiCtx,
    meter: Meter,
    output: Output,
}

impl StepState {
    pub(super) fn new(gate: Option<Gate>, ambience: Ambience, limits: &Limits) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles);
        let output = Output::new(limits.output);
        let wasi = wasi::context(ambience, &output);
        Self { gate, table, wasi, meter: Meter::new(limits), output }
    }

    pub(super) fn limiter(&mut self) -> &mut Meter {
        &mut self.meter
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
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}
