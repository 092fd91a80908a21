//! The decision of a store.

use std::{iter, time::Duration};

use smallvec::SmallVec;

use crate::{Bucket, Limits};

/// The decision of a store: one [`QuotaStatus`] per bucket, in the order of the buckets.
#[derive(Clone, Debug, Default)]
pub struct Decision {
    /// Inline for one quota, the common case; decisions are moved several times.
    statuses: SmallVec<[QuotaStatus; 1]>,
}

impl Decision {
    /// Creates a decision from these statuses; entries beyond [`Limits::MAX_QUOTAS`] are
    /// dropped.
    pub fn new(statuses: impl IntoIterator<Item = QuotaStatus>) -> Self {
        Self {
            statuses: statuses.into_iter().take(Limits::MAX_QUOTAS).collect(),
        }
    }

    /// Allows the request without counting it, for example when the store is down and the
    /// failure policy allows that. No `RateLimit` header is sent.
    pub fn uncounted() -> Self {
        Self::default()
    }

    /// The decision for a single bucket.
    pub(crate) fn one(status: QuotaStatus) -> Self {
        Self {
            statuses: SmallVec::from_buf([status]),
        }
    }

    /// A decision with default statuses, to be filled by [`set`](Self::set).
    pub(crate) fn blank(statuses: usize) -> Self {
        Self::new(iter::repeat_n(QuotaStatus::default(), statuses))
    }

    pub(crate) fn set(&mut self, at: usize, status: QuotaStatus) {
        self.statuses[at] = status;
    }

    /// One status per bucket; empty if the request was not counted.
    #[inline]
    pub fn statuses(&self) -> &[QuotaStatus] {
        &self.statuses
    }

    /// Whether every bucket allows the request.
    pub fn is_allowed(&self) -> bool {
        self.statuses.iter().all(QuotaStatus::is_allowed)
    }

    /// The time until all buckets allow the request.
    pub(crate) fn retry_after(&self) -> Duration {
        let waits = self.statuses.iter().map(QuotaStatus::retry_after);
        waits.max().unwrap_or_default()
    }

    /// The buckets that refuse the request.
    pub(crate) fn refusing<'b>(
        &self,
        buckets: &'b [Bucket<'b>],
    ) -> impl Iterator<Item = &'b Bucket<'b>> {
        let statuses = buckets.iter().zip(&self.statuses);
        statuses
            .filter(|(_, status)| !status.is_allowed())
            .map(|(bucket, _)| bucket)
    }
}

/// The state of a bucket: after the debit if the request is allowed, else without it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaStatus {
    remaining: u32,
    /// In nanoseconds.
    reset_after: u64,
    /// In nanoseconds; 0 allows.
    retry_after: u64,
}

impl QuotaStatus {
    /// Creates a status. Durations are stored in nanoseconds and saturate at 584 years.
    pub fn new(remaining: u32, reset_after: Duration, retry_after: Duration) -> Self {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Self::from_nanos(remaining, nanos(reset_after), nanos(retry_after))
    }

    pub(crate) const fn from_nanos(remaining: u32, reset_after: u64, retry_after: u64) -> Self {
        Self {
            remaining,
            reset_after,
            retry_after,
        }
    }

    pub(crate) const fn never(remaining: u32, reset_after: u64) -> Self {
        Self::from_nanos(remaining, reset_after, u64::MAX)
    }

    /// The cost that would currently be allowed.
    pub fn remaining(&self) -> u32 {
        self.remaining
    }

    /// The time until the bucket is full again.
    pub fn reset_after(&self) -> Duration {
        Duration::from_nanos(self.reset_after)
    }

    pub(crate) fn reset_nanos(&self) -> u64 {
        self.reset_after
    }

    /// The time until the request would be allowed: zero if it is, and [`NEVER`](Self::NEVER)
    /// if its cost exceeds the burst.
    pub fn retry_after(&self) -> Duration {
        Duration::from_nanos(self.retry_after)
    }

    /// Whether this bucket allows the request.
    pub fn is_allowed(&self) -> bool {
        self.retry_after == 0
    }

    /// The [`retry_after`](Self::retry_after) of a request whose cost exceeds the burst.
    pub const NEVER: Duration = Duration::from_nanos(u64::MAX);
}
