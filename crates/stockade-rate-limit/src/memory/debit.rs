//! The debit of one bucket.

use std::sync::MutexGuard;

use super::{
    set::{Lookup, Set},
    table::Table,
};
use crate::{Bucket, QuotaStatus, policy};

/// A bucket that is being decided, with its set locked.
pub(super) struct PendingDebit<'a> {
    bucket: &'a Bucket<'a>,
    table: &'a Table,
    set: MutexGuard<'a, Set>,
    lookup: Lookup,
    state: u64,
    pub(super) status: QuotaStatus,
}

impl<'a> PendingDebit<'a> {
    // Otherwise the compiler outlines it for single buckets, too, and passes it in memory.
    #[inline(always)]
    pub(super) fn check(bucket: &'a Bucket<'a>, table: &'a Table, now: u64) -> Self {
        let set = table.lock(bucket.key().digest());
        let lookup = set.find(tag(bucket));
        let (state, status) = policy::take(lookup.state, bucket.as_quota(), now, bucket.cost());
        Self {
            bucket,
            table,
            set,
            lookup,
            state,
            status,
        }
    }

    /// Stores the state if the request is allowed, or if this bucket refuses it, and returns
    /// the status.
    #[inline(always)]
    pub(super) fn commit(mut self, allowed: bool, now: u64) -> QuotaStatus {
        let quota = self.bucket.as_quota();
        if allowed {
            let tag = tag(self.bucket);
            self.set.keep(tag, &self.lookup, self.state, quota, now);
            let forgotten = now.saturating_add(self.status.reset_nanos());
            self.table.keep_until(forgotten);
            self.status
        } else if self.status.is_allowed() {
            // Another bucket refused the request. A cost of 0 changes nothing.
            policy::take(self.lookup.state, quota, now, 0).1
        } else {
            self.set.keep_refused(&self.lookup, self.state);
            self.status
        }
    }
}

/// The half of the digest that does not select the set; 0 marks an empty slot. Two keys with
/// the same set and tag share a state: with 10 million keys, one pair in a hundred tables.
pub(super) fn tag(bucket: &Bucket<'_>) -> u32 {
    (bucket.key().digest() as u32).max(1)
}
