//! What the script is asked for.

use std::time::Instant;

use stockade_rate_limit::{Bucket, Decision, Quota, StoreError};
use tokio::sync::oneshot;

use super::lease::{self, LeaseId};
use crate::Namespace;

/// One order to the script.
#[derive(Debug)]
pub(super) enum PendingCall {
    /// A decision on all buckets of a request.
    Take {
        buckets: Vec<BucketCall>,
        reply: Reply,
    },
    /// A debit after the fact.
    Settle { bucket: BucketCall, delta: i64 },
    /// Permits for this process.
    Lease(LeaseCall),
}

pub(super) type Reply = oneshot::Sender<Result<Decision, StoreError>>;

impl PendingCall {
    /// Whether somebody still waits for it.
    pub(super) fn is_wanted(&self) -> bool {
        match self {
            Self::Take { reply, .. } => !reply.is_closed(),
            Self::Settle { .. } | Self::Lease(_) => true,
        }
    }
}

/// One bucket.
#[derive(Debug)]
pub(super) struct BucketCall {
    pub(super) id: LeaseId,
    pub(super) key: Box<str>,
    pub(super) quota: Quota,
    pub(super) cost: u32,
}

impl BucketCall {
    pub(super) fn new(bucket: &Bucket<'_>, namespace: &Namespace) -> Self {
        let key = namespace.rate_key("limit", bucket.quota_id().as_str(), &bucket.key());
        Self {
            id: lease::id(bucket),
            key: key.into(),
            quota: bucket.quota(),
            cost: bucket.cost(),
        }
    }
}

/// A change of what is held for this process: permits that go back, and new ones.
#[derive(Debug)]
pub(super) struct LeaseCall {
    pub(super) id: LeaseId,
    pub(super) key: Box<str>,
    pub(super) quota: Quota,
    /// Until when, by Redis's clock in microseconds, something is held; 0 where nothing is.
    pub(super) ends: u64,
    /// Permits that were not spent.
    pub(super) back: u32,
    /// Permits that need not be held any more, spent or not.
    pub(super) done: u32,
    /// New permits.
    pub(super) want: u32,
    /// When it was made.
    pub(super) at: Instant,
}
