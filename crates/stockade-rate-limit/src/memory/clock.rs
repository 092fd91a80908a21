//! The time that limits in memory go by.

use std::time::{Duration, Instant};

use stockade_core::clock::{Clock, Timestamp};

/// Counts the time that has run since it was made, and asks no wall clock: limits in memory
/// need only differences, and whoever sets the wall clock refills and locks out nobody.
#[derive(Clone, Copy, Debug)]
pub struct MonotonicClock {
    start: Instant,
}

impl MonotonicClock {
    /// A clock that starts now, at the [`Timestamp`] 0.
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Default for MonotonicClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for MonotonicClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(0) + Duration::from_nanos(self.start.elapsed().as_nanos() as u64)
    }
}
