//! What a concurrency guard has seen.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::rules::Rules;

/// What a [`Concurrency`](crate::Concurrency) guard has seen, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConcurrencyStats {
    /// Requests that hold places now.
    pub in_use: u64,
    /// Requests that wait for a place now.
    pub waiting: u64,
    /// Requests that were let in so far.
    pub admitted: u64,
    /// Requests that found a place full so far, after their wait where they had one.
    pub refused: u64,
    /// Requests that were refused so far because the store did not answer.
    pub failed: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    in_use: AtomicU64,
    waiting: AtomicU64,
    admitted: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
}

impl Counters {
    pub(super) fn read(&self) -> ConcurrencyStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ConcurrencyStats {
            in_use: read(&self.in_use),
            waiting: read(&self.waiting),
            admitted: read(&self.admitted),
            refused: read(&self.refused),
            failed: read(&self.failed),
        }
    }

    pub(super) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }
}

/// Counts itself for as long as it lives.
#[derive(Debug)]
pub(super) struct Counted {
    rules: Arc<Rules>,
    gauge: fn(&Counters) -> &AtomicU64,
}

impl Counted {
    /// A request that was let in.
    pub(super) fn admitted(rules: &Arc<Rules>) -> Self {
        rules.counters.admitted.fetch_add(1, Ordering::Relaxed);
        Self::new(rules, |counters| &counters.in_use)
    }

    /// A request that waits.
    pub(super) fn waiting(rules: &Arc<Rules>) -> Self {
        Self::new(rules, |counters| &counters.waiting)
    }

    /// The rules in whose counters it is.
    pub(super) fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    fn new(rules: &Arc<Rules>, gauge: fn(&Counters) -> &AtomicU64) -> Self {
        gauge(&rules.counters).fetch_add(1, Ordering::Relaxed);
        Self {
            rules: Arc::clone(rules),
            gauge,
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        (self.gauge)(&self.rules.counters).fetch_sub(1, Ordering::Relaxed);
    }
}
