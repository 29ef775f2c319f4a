//! Bounds of what a step may take of the host, and how much of them is used.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::{CallError, CallResult, Gate, MAX_REMARK, printable};
use crate::capability::CapabilityError;
use crate::journal::Level;
use crate::policy::Policy;

/// Bounds of what one call, and one step, may take.
#[derive(Debug, Clone, Copy)]
pub struct CallLimits {
    /// Wall-clock time of one call of a back end.
    pub call: Duration,
    /// Bytes of one file, diff or response handed to a guest.
    pub bytes: usize,
    /// Entries of one list handed to a guest.
    pub entries: usize,
    /// Times an `ensure` effect is tried while it certainly did not happen.
    pub tries: u32,
    /// Calls to the host that one attempt of a step may make.
    pub calls: u64,
    /// Bytes that one attempt of a step may say.
    pub log: u64,
}

impl Default for CallLimits {
    fn default() -> Self {
        Self {
            call: Duration::from_secs(600),
            bytes: 32 << 20,
            entries: 100_000,
            tries: 3,
            calls: 1_000_000,
            log: 16 << 20,
        }
    }
}

impl CallLimits {
    /// The bounds that a policy sets; what it does not name stays as usual.
    #[must_use]
    pub fn of(policy: Option<&Policy>) -> Self {
        let usual = Self::default();
        let Some(set) = policy.map(Policy::limits) else { return usual };
        Self {
            call: set
                .host_call_seconds
                .map_or(usual.call, |seconds| Duration::from_secs(seconds.get().into())),
            calls: set.host_calls.map_or(usual.calls, |calls| calls.get().into()),
            log: set.log_kib.map_or(usual.log, |kib| u64::from(kib.get()) << 10),
            ..usual
        }
    }
}

/// What one attempt of a step has used.
#[derive(Debug, Default)]
pub(super) struct Used {
    calls: AtomicU64,
    log: AtomicU64,
    /// Whether it was said that it says too much.
    silenced: AtomicBool,
    denials: AtomicU64,
}

/// Denials of one attempt of a step that are written down: more of them tell nobody more.
const DENIALS: u64 = 1000;

impl Gate {
    /// Counts a call of the guest.
    ///
    /// # Errors
    /// [`CapabilityError::Invalid`] when it is one too many.
    pub fn count(&self) -> CallResult<()> {
        let most = self.parts.limits.calls;
        if self.used.calls.fetch_add(1, Ordering::Relaxed) < most {
            return Ok(());
        }
        Err(CapabilityError::invalid(format!("the step made more than {most} calls to the host")).into())
    }

    /// Lets the guest say something, as long as it does not say too much.
    ///
    /// # Errors
    /// [`CallError::Fatal`] when the journal cannot be written.
    pub fn emit(&self, level: Level, text: &str) -> CallResult<()> {
        if self.may_say(text)? { self.say(level, text) } else { Ok(()) }
    }

    /// Tells whoever watches how far the step is.
    ///
    /// # Errors
    /// As [`Gate::emit`].
    pub fn progress(&self, done: u32, total: u32, what: &str) -> CallResult<()> {
        if self.may_say(what)? {
            self.parts.watcher.progress(&self.parts.step, done, total, &printable(what, MAX_REMARK));
        }
        Ok(())
    }

    /// Whether a denial is still written down; the first one that is not is remarked on.
    pub(super) fn may_note_denial(&self) -> CallResult<bool> {
        let before = self.used.denials.fetch_add(1, Ordering::Relaxed);
        if before == DENIALS {
            let text =
                format!("the step was denied more than {DENIALS} calls: further ones are not written down");
            self.say(Level::Warning, &text)?;
        }
        Ok(before < DENIALS)
    }

    /// Whether a text is within what the step may say; the first one that is not is remarked on.
    fn may_say(&self, text: &str) -> Result<bool, CallError> {
        let (most, size) = (self.parts.limits.log, text.len().min(MAX_REMARK));
        let size = u64::try_from(size).unwrap_or(u64::MAX);
        if self.used.log.fetch_add(size, Ordering::Relaxed).saturating_add(size) <= most {
            return Ok(true);
        }
        if !self.used.silenced.swap(true, Ordering::Relaxed) {
            self.say(
                Level::Warning,
                &format!("the step says more than {} KiB: the rest is dropped", most >> 10),
            )?;
        }
        Ok(false)
    }
}
