//! The generic cell rate algorithm, as pure functions.
//!
//! The state of a bucket is one moment: when it will be full again, in nanoseconds of any
//! clock. A state in the past, 0 too, is a full bucket. A request that costs `n` moves the
//! moment on by `n` intervals, which it may do as long as the moment stays within `burst`
//! intervals from now. See ITU-T I.371 (2004), annex A.
//!
//! No debt is longer than three times the time that the burst takes to fill up: a burst that
//! was reserved, and twice as much again that turned out to have been used. So a clock that
//! was put back neither locks a client out for long nor gives it anything.

use crate::{Quota, QuotaStatus};

/// The new state, and the level.
///
/// Keep the state also where the level does not allow the request: it is the old one then,
/// unless that was out of bounds.
#[inline]
pub fn take(state: u64, quota: &Quota, now: u64, cost: u32) -> (u64, QuotaStatus) {
    let debt = debt(state, quota, now);
    let kept = state.min(now.saturating_add(debt));
    if cost > quota.max_burst() {
        return (kept, QuotaStatus::never(remaining(quota, debt), debt));
    }
    let interval = quota.interval_nanos();
    let price = u64::from(cost) * interval;
    // What costs nothing still needs something to be left.
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

/// The state after a debit that is made whatever is left, or after giving back where
/// `delta` is negative.
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

/// How long the bucket takes to be full again, in nanoseconds.
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
