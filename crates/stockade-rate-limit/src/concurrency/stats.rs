//! The statistics of a concurrency guard.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
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
    shards: [Shard; SHARDS],
    waiting: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
}

/// The counters that every request changes, for some of the threads: in a cache line of its
/// own, so that threads do not contend for it.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Shard {
    admitted: AtomicU64,
    ended: AtomicU64,
}

const SHARDS: usize = 8;

impl Counters {
    pub(super) fn read(&self) -> ConcurrencyStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Acquire);
        // In this order, so that a request that ends meanwhile is not missing.
        let ended: u64 = self.shards.iter().map(|shard| read(&shard.ended)).sum();
        let admitted: u64 = self.shards.iter().map(|shard| read(&shard.admitted)).sum();
        ConcurrencyStats {
            in_use: admitted.saturating_sub(ended),
            waiting: read(&self.waiting),
            admitted,
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

    /// The shard of this thread.
    fn shard(&self) -> &Shard {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static SHARD: usize = THREADS.fetch_add(1, Ordering::Relaxed) % SHARDS;
        }
        &self.shards[SHARD.with(|shard| *shard)]
    }
}

/// Counts a request as in use until it is dropped.
#[derive(Debug)]
pub(super) struct InUse {
    limits: Arc<LimitSet>,
}

impl InUse {
    pub(super) fn new(limits: &Arc<LimitSet>) -> Self {
        let shard = limits.counters.shard();
        shard.admitted.fetch_add(1, Ordering::Release);
        Self {
            limits: Arc::clone(limits),
        }
    }

    /// The limits that count it.
    pub(super) fn limits(&self) -> &LimitSet {
        &self.limits
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        let shard = self.limits.counters.shard();
        shard.ended.fetch_add(1, Ordering::Release);
    }
}

/// Counts a request as waiting until it is dropped.
#[derive(Debug)]
pub(super) struct Waiting {
    limits: Arc<LimitSet>,
}

impl Waiting {
    pub(super) fn new(limits: &Arc<LimitSet>) -> Self {
        limits.counters.waiting.fetch_add(1, Ordering::Relaxed);
        Self {
            limits: Arc::clone(limits),
        }
    }

    /// The limits that count it.
    pub(super) fn limits(&self) -> &Arc<LimitSet> {
        &self.limits
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.limits.counters.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
