//! The generic cell rate algorithm as pure functions.
//!
//! The state of a bucket is a point in time: when it will be full again, in nanoseconds of any
//! clock. A state in the past, including 0, is a full bucket. A request of cost `n` advances
//! the state by `n` intervals; it is allowed as long as the state stays within `burst`
//! intervals of the current time. See ITU-T I.371 (2004), annex A.
//!
//! A debt never exceeds three times the time in which the burst refills: a reserved burst,
//! plus twice as much that was used in excess. A clock that is set back therefore neither
//! locks a client out for long nor grants it quota.

use crate::{Quota, QuotaStatus};

/// Returns the new state and the status.
///
/// Store the state even if the status refuses the request: it is the old state, clamped to the
/// valid range.
#[inline]
pub fn take(state: u64, quota: &Quota, now: u64, cost: u32) -> (u64, QuotaStatus) {
    let debt = debt(state, quota, now);
    let kept = state.min(now.saturating_add(debt));
    if cost > quota.max_burst() {
        return (kept, QuotaStatus::never(remaining(quota, debt), debt));
    }
    let interval = quota.interval_nanos();
    let price = u64::from(cost) * interval;
    // A cost of 0 still requires that something is left.
    let wait = (debt + price.max(interval)).saturating_sub(quota.tolerance_nanos());
    if wait > 0 {
        return (
            kept,
            QuotaStatus::from_nanos(remaining(quota, debt), debt, wait),
        );
    }
    let debt = debt + price;
    let state = now.saturating_add(debt);
    (
        state,
        QuotaStatus::from_nanos(remaining(quota, debt), debt, 0),
    )
}

/// Returns the state after an unconditional debit, or after a refund if `delta` is negative.
pub fn settle(state: u64, quota: &Quota, now: u64, delta: i64) -> u64 {
    let time = delta.unsigned_abs().saturating_mul(quota.interval_nanos());
    let debt = debt(state, quota, now);
    let debt = if delta < 0 {
        debt.saturating_sub(time)
    } else {
        debt.saturating_add(time).min(longest(quota))
    };
    now.saturating_add(debt)
}

/// The time until the bucket is full again, in nanoseconds.
pub(crate) fn debt(state: u64, quota: &Quota, now: u64) -> u64 {
    state.saturating_sub(now).min(longest(quota))
}

fn longest(quota: &Quota) -> u64 {
    3 * quota.tolerance_nanos()
}

fn remaining(quota: &Quota, debt: u64) -> u32 {
    let left = quota.tolerance_nanos().saturating_sub(debt);
    // At most the burst, which is a u32.
    (left / quota.interval_nanos()) as u32
}
