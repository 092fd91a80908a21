//! Dispatches to the algorithm of a quota.

use crate::{Algorithm, Quota, QuotaStatus, gcra, sliding};

/// Returns the new state and the status; see [`gcra::take`] and [`sliding::take`].
#[inline]
pub(crate) fn take(state: u64, quota: &Quota, now: u64, cost: u32) -> (u64, QuotaStatus) {
    match quota.algorithm() {
        Algorithm::Gcra => gcra::take(state, quota, now, cost),
        Algorithm::SlidingWindow => sliding::take(state, quota, now, cost),
    }
}

/// Returns the state after a debit or refund.
pub(crate) fn settle(state: u64, quota: &Quota, now: u64, delta: i64) -> u64 {
    match quota.algorithm() {
        Algorithm::Gcra => gcra::settle(state, quota, now, delta),
        Algorithm::SlidingWindow => sliding::settle(state, quota, now, delta),
    }
}

/// The debt of a state, comparable with others of its quota; at 0, the state may be evicted.
pub(crate) fn debt(state: u64, quota: &Quota, now: u64) -> u64 {
    match quota.algorithm() {
        Algorithm::Gcra => gcra::debt(state, quota, now),
        Algorithm::SlidingWindow => sliding::debt(state, quota, now),
    }
}

/// The time until the debt is zero, in nanoseconds.
pub(crate) fn reset_after(state: u64, quota: &Quota, now: u64) -> u64 {
    match quota.algorithm() {
        Algorithm::Gcra => gcra::debt(state, quota, now),
        Algorithm::SlidingWindow => sliding::reset_after(state, quota, now),
    }
}

/// A state whose debt is at least that of each argument.
pub(crate) fn worse(a: u64, b: u64, quota: &Quota, now: u64) -> u64 {
    match quota.algorithm() {
        Algorithm::Gcra => a.max(b),
        Algorithm::SlidingWindow => sliding::worse(a, b, quota, now),
    }
}
