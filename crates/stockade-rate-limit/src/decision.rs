//! What a store says of a request.

use std::{iter, time::Duration};

use smallvec::SmallVec;

use crate::{Bucket, Limits};

/// What a store says of a request: one [`QuotaStatus`] for each bucket, in their order.
#[derive(Clone, Debug, Default)]
pub struct Decision {
    /// One quota is the usual case. Decisions are handed on a few times, so they are small.
    statuses: SmallVec<[QuotaStatus; 1]>,
}

impl Decision {
    /// A decision with these levels; what is over [`Limits::MAX_QUOTAS`] is left out.
    pub fn new(statuses: impl IntoIterator<Item = QuotaStatus>) -> Self {
        Self {
            statuses: statuses.into_iter().take(Limits::MAX_QUOTAS).collect(),
        }
    }

    /// Lets the request in uncounted: where a store is down and its failure policy allows
    /// that. Clients are told no levels.
    pub fn uncounted() -> Self {
        Self::default()
    }

    /// The decision of one bucket.
    pub(crate) fn one(status: QuotaStatus) -> Self {
        Self {
            statuses: SmallVec::from_buf([status]),
        }
    }

    /// A decision with so many levels, to be filled in.
    pub(crate) fn blank(statuses: usize) -> Self {
        Self::new(iter::repeat_n(QuotaStatus::default(), statuses))
    }

    pub(crate) fn set(&mut self, at: usize, status: QuotaStatus) {
        self.statuses[at] = status;
    }

    /// One level a bucket; empty where the request was not counted.
    #[inline]
    pub fn statuses(&self) -> &[QuotaStatus] {
        &self.statuses
    }

    /// Whether the request is let in: whether every bucket allows it.
    pub fn is_allowed(&self) -> bool {
        self.statuses.iter().all(QuotaStatus::is_allowed)
    }

    /// How long it takes until all buckets allow the request.
    pub(crate) fn retry_after(&self) -> Duration {
        let waits = self.statuses.iter().map(QuotaStatus::retry_after);
        waits.max().unwrap_or_default()
    }

    /// Those of the buckets that do not allow it.
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

/// What is left in a bucket: after the request, where it was let in, and without it where
/// it was not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaStatus {
    remaining: u32,
    /// In nanoseconds.
    reset_after: u64,
    /// In nanoseconds; 0 allows.
    retry_after: u64,
}

impl QuotaStatus {
    /// A level; the times are kept in nanoseconds, and 584 years stand for longer ones.
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

    /// How much can be had at once now.
    pub fn remaining(&self) -> u32 {
        self.remaining
    }

    /// How long it takes until everything that was used up is forgotten.
    pub fn reset_after(&self) -> Duration {
        Duration::from_nanos(self.reset_after)
    }

    pub(crate) fn reset_nanos(&self) -> u64 {
        self.reset_after
    }

    /// How long it takes until the request would be let in; zero where it is, and
    /// [`NEVER`](Self::NEVER) where it asks for more than there ever is.
    pub fn retry_after(&self) -> Duration {
        Duration::from_nanos(self.retry_after)
    }

    /// Whether this bucket lets the request in.
    pub fn is_allowed(&self) -> bool {
        self.retry_after == 0
    }

    /// The [`retry_after`](Self::retry_after) of a request that costs more than the burst.
    pub const NEVER: Duration = Duration::from_nanos(u64::MAX);
}
