//! The clock of the memory store.

use std::time::Duration;

use stockade_core::{
    clock::{Clock, SystemClock, Timestamp},
    context::RequestContext,
};

/// Measures the time since its creation. Limits in memory only need differences, and setting
/// the wall clock must neither refill quotas nor lock clients out.
#[derive(Clone, Copy, Debug)]
pub struct MonotonicClock {
    start: Duration,
}

impl MonotonicClock {
    /// Creates a clock that starts at the [`Timestamp`] 0.
    pub fn new() -> Self {
        Self {
            start: SystemClock::shared().uptime(),
        }
    }

    fn at(self, uptime: Duration) -> Timestamp {
        Timestamp::default() + uptime.saturating_sub(self.start)
    }
}

impl Default for MonotonicClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for MonotonicClock {
    fn now(&self) -> Timestamp {
        self.at(SystemClock::shared().uptime())
    }

    fn arrival(&self, context: &RequestContext) -> Timestamp {
        self.at(context.uptime_on_arrival())
    }
}
