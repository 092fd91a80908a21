//! The statistics of a concurrency guard.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::limit_set::LimitSet;

/// The statistics of a [`Concurrency`](crate::Concurrency) guard, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConcurrencyStats {
    /// Requests in flight.
    pub in_use: u64,
    /// Requests waiting for a permit.
    pub waiting: u64,
    /// Requests admitted in total.
    pub admitted: u64,
    /// Requests refused in total because a limit was full, including those that waited first.
    pub refused: u64,
    /// Requests refused in total because the store failed.
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

/// Counts itself in a gauge until it is dropped.
#[derive(Debug)]
pub(super) struct GaugeGuard {
    limits: Arc<LimitSet>,
    gauge: fn(&Counters) -> &AtomicU64,
}

impl GaugeGuard {
    /// Counts an admitted request.
    pub(super) fn admitted(limits: &Arc<LimitSet>) -> Self {
        limits.counters.admitted.fetch_add(1, Ordering::Relaxed);
        Self::new(limits, |counters| &counters.in_use)
    }

    /// Counts a waiting request.
    pub(super) fn waiting(limits: &Arc<LimitSet>) -> Self {
        Self::new(limits, |counters| &counters.waiting)
    }

    /// The limits whose gauge it is.
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
