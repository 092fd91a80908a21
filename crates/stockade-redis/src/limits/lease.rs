//! Permits that this process has debited in advance.
//!
//! A lease is debited when it is granted, so that whatever is spent from it was counted
//! before. The unspent rest must not grow while the bucket refills: Redis stores how much is
//! leased, and never lets the debt of the bucket fall below that. At any time, the debt in
//! Redis is therefore at least what was allowed plus what may still be allowed, and no more
//! requests are allowed than without leases.
//!
//! A lease is spent for [`LIFETIME`] after its request; Redis holds it for [`TERM`], which is
//! longer, so that the clocks need not agree.

use std::{
    mem,
    time::{Duration, Instant},
};

use stockade_rate_limit::{Bucket, Quota, QuotaStatus, gcra};

use super::{
    call::{BucketCall, LeaseCall, PendingCall},
    wire::times,
};

/// How long a lease may be spent.
pub(super) const LIFETIME: Duration = Duration::from_secs(1);
/// How long Redis holds a lease that is not returned.
pub(super) const TERM: Duration = Duration::from_secs(3);
/// The pause after a refused lease.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// The digests of the quota id and the key.
pub(super) type LeaseId = (u64, u64);

/// The reply to a lease call; times in nanoseconds of Redis's clock.
#[derive(Debug)]
pub(super) struct LeaseReply {
    pub(super) granted: bool,
    pub(super) now: u64,
    pub(super) full_at: u64,
}

/// The id of a bucket's lease.
pub(super) fn id(bucket: &Bucket<'_>) -> LeaseId {
    (bucket.quota_id().digest(), bucket.key().digest())
}

/// The debit of one bucket.
#[derive(Clone, Copy)]
pub(super) struct Debit {
    pub(super) id: LeaseId,
    quota: Quota,
    pub(super) cost: u32,
}

impl Debit {
    pub(super) fn from_bucket(bucket: &Bucket<'_>) -> Self {
        Self {
            id: id(bucket),
            quota: bucket.quota(),
            cost: bucket.cost(),
        }
    }

    pub(super) fn from_call(bucket: &BucketCall) -> Self {
        Self {
            id: bucket.id,
            quota: bucket.quota,
            cost: bucket.cost,
        }
    }
}

/// The lease of one bucket, or the usage of a bucket without one.
pub(super) struct Lease {
    pub(super) quota: Quota,
    key: Box<str>,
    /// Permits that can be spent.
    pub(super) left: u32,
    /// Permits held in Redis: unspent ones, and those spent since the last call.
    held: u32,
    /// The size of the next lease.
    target: u32,
    /// Permits spent since the last lease ended.
    used: u32,
    /// When the last granted lease was requested.
    since: Instant,
    /// Redis's time then, in nanoseconds.
    server_time: u64,
    /// When the bucket would be full if the unspent permits were returned.
    full_at: u64,
    /// When Redis stops holding it, in microseconds of its clock.
    ends: u64,
    pub(super) asking: bool,
    /// No lease is requested before then.
    retry_at: Option<Instant>,
    /// Calls that wait for the reply.
    pub(super) parked: Vec<PendingCall>,
}

impl Lease {
    pub(super) fn new(quota: Quota, now: Instant) -> Self {
        Self {
            quota,
            key: "".into(),
            left: 0,
            held: 0,
            target: 0,
            used: 0,
            since: now,
            server_time: 0,
            full_at: 0,
            ends: 0,
            asking: false,
            retry_at: None,
            parked: Vec::new(),
        }
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= LIFETIME
    }

    pub(super) fn covers(&self, debit: Debit, now: Instant) -> bool {
        self.left >= debit.cost.max(1) && self.quota == debit.quota && !self.is_over(now)
    }

    pub(super) fn spend(&mut self, cost: u32, now: Instant) -> QuotaStatus {
        self.left -= cost;
        self.used = self.used.saturating_add(cost);
        let elapsed = now.saturating_duration_since(self.since).as_nanos() as u64;
        let (full_at, status) =
            gcra::take(self.full_at, &self.quota, self.server_time + elapsed, cost);
        self.full_at = full_at;
        // The state of other processes is unknown, but this much was debited.
        QuotaStatus::new(status.remaining(), status.reset_after(), Duration::ZERO)
    }

    /// Requests the next lease before it is needed: one at a time, and doubled whenever most
    /// of it was spent within the lifetime.
    pub(super) fn ask(
        &mut self,
        bucket: &Bucket<'_>,
        max: u32,
        now: Instant,
        key: impl FnOnce() -> Box<str>,
    ) -> Option<LeaseCall> {
        if self.asking || self.retry_at.is_some_and(|retry_at| now < retry_at) {
            return None;
        }
        if self.quota != bucket.quota() {
            let back = self.give_back(id(bucket), now);
            *self = Self::new(bucket.quota(), now);
            return back;
        }
        let (back, want) = if self.is_over(now) {
            if self.used == 0 {
                let back = self.give_back(id(bucket), now);
                *self = Self::new(bucket.quota(), now);
                return back;
            }
            (mem::take(&mut self.left), mem::take(&mut self.used))
        } else if self.left <= self.target / 8 {
            (0, self.target.saturating_mul(2).max(2))
        } else {
            return None;
        };
        self.target = want.min(max);
        if self.target <= self.left {
            return None;
        }
        if self.key.is_empty() {
            self.key = key();
        }
        self.asking = true;
        let held = mem::replace(&mut self.held, self.left);
        Some(LeaseCall {
            id: id(bucket),
            key: self.key.clone(),
            quota: self.quota,
            ends: if held > 0 { self.ends } else { 0 },
            back,
            done: held - self.left,
            want: self.target - self.left,
            at: now,
        })
    }

    pub(super) fn answered(&mut self, call: &LeaseCall, granted: Option<&LeaseReply>) {
        self.asking = false;
        match granted {
            Some(LeaseReply {
                granted: true,
                now,
                full_at,
            }) => {
                self.left += call.want;
                self.held += call.want;
                self.since = call.at;
                self.server_time = *now;
                self.full_at = full_at.saturating_sub(times(&self.quota, self.left));
                self.ends = now / 1_000 + TERM.as_micros() as u64;
            }
            _ => {
                self.target = self.left;
                self.retry_at = Some(call.at + RETRY_PAUSE);
            }
        }
    }

    pub(super) fn give_back(&mut self, id: LeaseId, now: Instant) -> Option<LeaseCall> {
        (self.held > 0).then(|| LeaseCall {
            id,
            key: self.key.clone(),
            quota: self.quota,
            ends: self.ends,
            back: self.left,
            done: self.held,
            want: 0,
            at: now,
        })
    }
}
