//! What a guest may use: memory over all its memories, tables, instances, fuel, copies, output.

use std::time::Duration;

use wasmtime::{ResourceLimiter, Trap};

/// Bounds of one call of a guest.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of a component file.
    pub component: usize,
    /// Bytes of all linear memories together.
    pub memory: usize,
    /// Elements of all tables together.
    pub table_elements: usize,
    /// Core instances, tables and memories, each.
    pub instances: usize,
    /// Units of wasmtime's fuel, roughly one an instruction: the reproducible budget.
    pub fuel: u64,
    /// Bytes that one host call may copy between guest and host.
    pub copies: usize,
    /// Bytes of captured standard output and error.
    pub output: usize,
    /// Handles that are open at once.
    pub handles: usize,
    /// Wall-clock time of a step, the waiting for remotes included.
    pub wall: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            component: 64 << 20,
            memory: 256 << 20,
            table_elements: 200_000,
            instances: 64,
            fuel: 200_000_000_000,
            copies: 64 << 20,
            output: 64 << 10,
            handles: 4096,
            wall: Duration::from_secs(3600),
        }
    }
}

/// Counts what a store has been given.
#[derive(Debug)]
pub(crate) struct Meter {
    memory: usize,
    memory_limit: usize,
    elements: usize,
    elements_limit: usize,
    instances: usize,
}

impl Meter {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            memory: 0,
            memory_limit: limits.memory,
            elements: 0,
            elements_limit: limits.table_elements,
            instances: limits.instances,
        }
    }

    /// A growth is granted while the total stays within the limit. A memory that is dropped with its store is never
    /// given back: a store lives for one call.
    fn grant(used: &mut usize, limit: usize, current: usize, desired: usize) -> bool {
        let after = used.saturating_add(desired.saturating_sub(current));
        if after > limit {
            return false;
        }
        *used = after;
        true
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(Self::grant(&mut self.memory, self.memory_limit, current, desired))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(Self::grant(&mut self.elements, self.elements_limit, current, desired))
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        self.instances
    }

    fn memories(&self) -> usize {
        self.instances
    }
}

/// A trap in words for whoever wrote the plugin.
pub(super) fn explain(error: &wasmtime::Error) -> String {
    let reason = match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => {
            "it used up its fuel: an endless loop, or a limit that is too low".to_owned()
        }
        Some(Trap::StackOverflow) => "its call stack overflowed".to_owned(),
        Some(trap) => trap.to_string(),
        None => format!("{error:#}"),
    };
    reason.lines().take(20).collect::<Vec<_>>().join("\n")
}
