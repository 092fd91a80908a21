//! The policies, by a quota's algorithm.

use crate::{Algorithm, Quota, QuotaStatus, gcra, sliding};

/// The new state, and the level; see [`gcra::take`] and [`sliding::take`].
#[inline]
pub(crate) fn take(state: u64, quota: &Quota, now: u64, cost: u32) -> (u64, QuotaStatus) {
    match quota.algorithm() {
        Algorithm::Gcra => gcra::take(state, quota, now, cost),
        Algorithm::SlidingWindow => sliding::take(state, quota, now, cost),
    }
}

/// The state after a debit or giving back.
pub(crate) fn settle(state: u64, quota: &Quota, now: u64, delta: i64) -> u64 {
    match quota.algorithm() {
        Algorithm::Gcra => gcra::settle(state, quota, now, delta),
        Algorithm::SlidingWindow => sliding::settle(state, quota, now, delta),
    }
}

/// What a state still owes, to compare it with others of its lane; with 0 it may be
/// forgotten.
pub(crate) fn debt(state: u64, quota: &Quota, now: u64) -> u64 {
    match quota.algorithm() {
        Algorithm::Gcra => gcra::debt(state, quota, now),
        Algorithm::SlidingWindow => sliding::debt(state, quota, now),
    }
}

/// How long it takes until a state owes nothing, in nanoseconds.
pub(crate) fn reset_after(state: u64, quota: &Quota, now: u64) -> u64 {
    match quota.algorithm() {
        Algorithm::Gcra => gcra::debt(state, quota, now),
        Algorithm::SlidingWindow => sliding::reset_after(state, quota, now),
    }
}

/// A state that owes no less than any of the two.
pub(crate) fn worse(a: u64, b: u64, quota: &Quota, now: u64) -> u64 {
    match quota.algorithm() {
        Algorithm::Gcra => a.max(b),
        Algorithm::SlidingWindow => sliding::worse(a, b, quota, now),
    }
}
