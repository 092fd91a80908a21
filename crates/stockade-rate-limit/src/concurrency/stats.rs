//! What a concurrency guard has seen.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::limit_set::LimitSet;

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
pub(super) struct GaugeGuard {
    limits: Arc<LimitSet>,
    gauge: fn(&Counters) -> &AtomicU64,
}

impl GaugeGuard {
    /// A request that was let in.
    pub(super) fn admitted(limits: &Arc<LimitSet>) -> Self {
        limits.counters.admitted.fetch_add(1, Ordering::Relaxed);
        Self::new(limits, |counters| &counters.in_use)
    }

    /// A request that waits.
    pub(super) fn waiting(limits: &Arc<LimitSet>) -> Self {
        Self::new(limits, |counters| &counters.waiting)
    }

    /// The rules in whose counters it is.
    pub(super) fn limits(&self) -> &Arc<LimitSet> {
        &self.limits
    }

    fn new(limits: &Arc<LimitSet>, gauge: fn(&Counters) -> &AtomicU64) -> Self {
        gauge(&limits.counters).fetch_add(1, Ordering::Relaxed);
        Self {
            limits: Arc::clone(limits),
            gauge,
        }
    }
}

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        (self.gauge)(&self.limits.counters).fetch_sub(1, Ordering::Relaxed);
    }
}
