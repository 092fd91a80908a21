//! The calls of the script.

use std::time::Instant;

use stockade_rate_limit::{Bucket, Decision, Quota, StoreError};
use tokio::sync::oneshot;

use super::lease::{self, LeaseId};
use crate::Namespace;

/// One call of the script.
#[derive(Debug)]
pub(super) enum PendingCall {
    /// A decision about all buckets of a request.
    Take {
        buckets: Vec<BucketCall>,
        reply: Reply,
    },
    /// An unconditional debit, or a refund.
    Settle { bucket: BucketCall, delta: i64 },
    /// A change of the permits leased by this process.
    Lease(LeaseCall),
}

pub(super) type Reply = oneshot::Sender<Result<Decision, StoreError>>;

impl PendingCall {
    /// Whether its result is still needed.
    pub(super) fn is_wanted(&self) -> bool {
        match self {
            Self::Take { reply, .. } => !reply.is_closed(),
            Self::Settle { .. } | Self::Lease(_) => true,
        }
    }

    pub(super) fn is_lease(&self) -> bool {
        matches!(self, Self::Lease(_))
    }
}

/// One bucket of a call.
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

/// A change of the permits held for this process: returned and new ones.
#[derive(Debug)]
pub(super) struct LeaseCall {
    pub(super) id: LeaseId,
    pub(super) key: Box<str>,
    pub(super) quota: Quota,
    /// When the current lease ends, by Redis's clock in microseconds; 0 without one.
    pub(super) ends: u64,
    /// Permits that were not spent.
    pub(super) back: u32,
    /// Permits that need not be held any more, spent or not.
    pub(super) done: u32,
    /// New permits.
    pub(super) want: u32,
    /// When the call was created.
    pub(super) at: Instant,
}
