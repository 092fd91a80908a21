//! The sliding window as pure functions; see [`Quota::sliding`] for what it counts.
//!
//! The state of a bucket is three numbers in 64 bits: the number of the window modulo 2^24 in
//! the upper bits, then the count of the previous window in 20 bits, then the count of this
//! window in 20 bits.
//!
//! A window number in the future means that the clock was set back, or that the state was not
//! touched for half of 2^24 windows. Its counts are treated as current, so that no client
//! gains quota, and none is locked out for longer than two windows.

use crate::{Quota, QuotaStatus};

/// Returns the new state and the status.
///
/// Store the state even if the status refuses the request: it is the old state, advanced to
/// the current window.
pub fn take(state: u64, quota: &Quota, now: u64, cost: u32) -> (u64, QuotaStatus) {
    let mut counts = Counts::at(state, quota, now);
    if cost > quota.count() {
        let status = QuotaStatus::never(counts.remaining(), counts.reset_after());
        return (counts.state(), status);
    }
    // A cost of 0 still requires that something is left.
    let room = u64::from(quota.count() - cost.max(1));
    let wait = match counts.used() > room {
        true => counts.wait_for(room),
        false => {
            counts.this += u64::from(cost);
            0
        }
    };
    let status = QuotaStatus::from_nanos(counts.remaining(), counts.reset_after(), wait);
    (counts.state(), status)
}

/// Returns the state after an unconditional debit, or after a refund if `delta` is negative. A
/// refund reduces the count of this window first, then that of the previous one.
pub fn settle(state: u64, quota: &Quota, now: u64, delta: i64) -> u64 {
    let mut counts = Counts::at(state, quota, now);
    let number = delta.unsigned_abs();
    if delta < 0 {
        let rest = number.saturating_sub(counts.this);
        counts.before = counts.before.saturating_sub(rest);
        counts.this = counts.this.saturating_sub(number);
    } else {
        counts.this = counts.this.saturating_add(number).min(COUNT);
    }
    counts.state()
}

/// The sum of both windows.
pub(crate) fn debt(state: u64, quota: &Quota, now: u64) -> u64 {
    let counts = Counts::at(state, quota, now);
    counts.before + counts.this
}

/// The time until nothing is counted any more, in nanoseconds.
pub(crate) fn reset_after(state: u64, quota: &Quota, now: u64) -> u64 {
    Counts::at(state, quota, now).reset_after()
}

/// The state of a client that has both debts, counting each request once.
pub(crate) fn worse(a: u64, b: u64, quota: &Quota, now: u64) -> u64 {
    let (a, b) = (Counts::at(a, quota, now), Counts::at(b, quota, now));
    Counts {
        before: a.before.max(b.before),
        this: a.this.max(b.this),
        ..a
    }
    .state()
}

const COUNT_BITS: u32 = 20;
const COUNT: u64 = (1 << COUNT_BITS) - 1;
const NUMBER: u64 = (1 << 24) - 1;
const MILLISECOND: u64 = 1_000_000;

struct Counts {
    limit: u64,
    /// The number of the window.
    number: u64,
    before: u64,
    this: u64,
    /// The elapsed part of the window, in nanoseconds.
    elapsed: u64,
    /// The length of the window, in milliseconds.
    length: u64,
}

impl Counts {
    fn at(state: u64, quota: &Quota, now: u64) -> Self {
        let period = quota.period_nanos();
        let mut number = (now / period) & NUMBER;
        let mut elapsed = now % period;
        let stored = state >> (2 * COUNT_BITS);
        let (before, this) = (state >> COUNT_BITS & COUNT, state & COUNT);
        let (before, this) = match number.wrapping_sub(stored) & NUMBER {
            0 => (before, this),
            1 => (this, 0),
            // Another thread with a later clock reading was here first.
            NUMBER => {
                (number, elapsed) = (stored, 0);
                (before, this)
            }
            past if past <= NUMBER / 2 => (0, 0),
            _future => (before, this),
        };
        Self {
            limit: u64::from(quota.count()),
            number,
            before,
            this,
            elapsed,
            length: period / MILLISECOND,
        }
    }

    fn state(&self) -> u64 {
        self.number << (2 * COUNT_BITS) | self.before << COUNT_BITS | self.this
    }

    /// The weighted count. Partial milliseconds and fractions round up, so that it is never
    /// too low.
    fn used(&self) -> u64 {
        let left = self.length - self.elapsed / MILLISECOND;
        (self.before * left).div_ceil(self.length) + self.this
    }

    fn remaining(&self) -> u32 {
        // At most the quota's count, which is a u32.
        self.limit.saturating_sub(self.used()) as u32
    }

    /// The time in nanoseconds until at most `room` is used, if nothing is added.
    fn wait_for(&self, room: u64) -> u64 {
        match room.checked_sub(self.this) {
            Some(room) => self.passed(self.before, room) - self.elapsed,
            None => self.window_left() + self.passed(self.this, room),
        }
    }

    /// The elapsed part of the following window, in nanoseconds, at which at most `room` of
    /// `count` still counts.
    fn passed(&self, count: u64, room: u64) -> u64 {
        let left = (room * self.length).checked_div(count).unwrap_or(0);
        (self.length - left.min(self.length)) * MILLISECOND
    }

    fn window_left(&self) -> u64 {
        self.length * MILLISECOND - self.elapsed
    }

    fn reset_after(&self) -> u64 {
        match (self.before, self.this) {
            (0, 0) => 0,
            (_, 0) => self.window_left(),
            _ => self.window_left() + self.length * MILLISECOND,
        }
    }
}
