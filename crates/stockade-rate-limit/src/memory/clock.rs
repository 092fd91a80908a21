//! The clock of the memory store.

use std::time::{Duration, Instant};

use stockade_core::clock::{Clock, Timestamp};

/// Measures the time since its creation. Limits in memory only need differences, and setting
/// the wall clock must neither refill quotas nor lock clients out.
#[derive(Clone, Copy, Debug)]
pub struct MonotonicClock {
    start: Instant,
}

impl MonotonicClock {
    /// Creates a clock that starts at the [`Timestamp`] 0.
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
