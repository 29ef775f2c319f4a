//! Time as a capability: the library never reads the system clock, it is handed one.

use std::sync::Mutex;

use chrono::{DateTime, Duration, Utc};

/// Where the time of day comes from.
pub trait Clock: Send + Sync {
    /// The present moment.
    fn now(&self) -> DateTime<Utc>;
}

/// A clock that stands still until it is told to move: rehearsals and tests.
#[derive(Debug)]
pub struct SimulatedClock {
    now: Mutex<DateTime<Utc>>,
}

impl SimulatedClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn new(now: DateTime<Utc>) -> Self {
        Self { now: Mutex::new(now) }
    }

    /// Moves the clock forward by `by`; a negative span leaves it where it is.
    pub fn advance(&self, by: Duration) {
        let mut now = lock(&self.now);
        if by > Duration::zero() {
            *now += by;
        }
    }

    /// Moves the clock forward to `to`; an earlier moment leaves it where it is.
    pub fn advance_to(&self, to: DateTime<Utc>) {
        let mut now = lock(&self.now);
        if to > *now {
            *now = to;
        }
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> DateTime<Utc> {
        *lock(&self.now)
    }
}

/// A poisoned lock only means that another thread panicked while reading a timestamp: the value is still whole.
fn lock(now: &Mutex<DateTime<Utc>>) -> std::sync::MutexGuard<'_, DateTime<Utc>> {
    now.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
