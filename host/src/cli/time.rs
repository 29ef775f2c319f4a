//! Time as it really passes; the library is handed it.

use castoff::clock::Clock;
use chrono::{DateTime, TimeDelta, Utc};

/// The system's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one clock that all others are handed from")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

/// A clock that began at another moment and runs as fast as the system's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ShiftedClock(TimeDelta);

impl ShiftedClock {
    /// A clock that shows `start` now.
    pub(crate) fn starting_at(start: DateTime<Utc>) -> Self {
        Self(start - SystemClock.now())
    }
}

impl Clock for ShiftedClock {
    fn now(&self) -> DateTime<Utc> {
        SystemClock.now() + self.0
    }
}

/// A moment for people.
pub(crate) fn moment(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A span for people: `0.3 s`, `42 s`, `3 min`, `3 h 20 min`.
pub(crate) fn span(span: TimeDelta) -> String {
    let milliseconds = span.num_milliseconds().max(0);
    match milliseconds {
        0..10_000 => format!("{}.{} s", milliseconds / 1000, milliseconds / 100 % 10),
        _ => castoff::run::span(span),
    }
}

/// Time that a command took.
pub(crate) fn elapsed(took: std::time::Duration) -> String {
    span(TimeDelta::from_std(took).unwrap_or_default())
}
