//! One quota of one key.

use crate::{
    Quota,
    quota_id::QuotaId,
    rate_key::{OwnedRateKey, RateKey},
};

/// One quota of one key, and the cost of the request: the unit that a store decides about.
#[derive(Clone, Copy, Debug)]
pub struct Bucket<'a> {
    quota_id: &'a QuotaId,
    key: RateKey<'a>,
    quota: Quota,
    cost: u32,
}

impl<'a> Bucket<'a> {
    pub(crate) fn new(quota_id: &'a QuotaId, key: RateKey<'a>, quota: Quota, cost: u32) -> Self {
        Self {
            quota_id,
            key,
            quota,
            cost,
        }
    }

    /// Identifies the quota: buckets of different quotas are counted separately.
    pub fn quota_id(&self) -> &'a QuotaId {
        self.quota_id
    }

    /// The key that is counted.
    pub fn key(&self) -> RateKey<'a> {
        self.key
    }

    /// The quota that is currently in force for this key.
    pub fn quota(&self) -> Quota {
        self.quota
    }

    pub(crate) fn as_quota(&self) -> &Quota {
        &self.quota
    }

    /// The cost of the request. A cost of 0 reads the bucket; it is allowed as long as
    /// anything is left.
    pub fn cost(&self) -> u32 {
        self.cost
    }

    /// Returns this bucket with another quota, such as the share of one process.
    pub fn with_quota(self, quota: Quota) -> Self {
        Self { quota, ..self }
    }

    pub(crate) fn with_cost(self, cost: u32) -> Self {
        Self { cost, ..self }
    }

    /// Returns a copy that outlives the request.
    pub fn to_owned(&self) -> OwnedBucket {
        OwnedBucket {
            quota_id: self.quota_id.clone(),
            key: OwnedRateKey::new(&self.key),
            quota: self.quota,
            cost: self.cost,
        }
    }
}

/// A [`Bucket`] that outlives its request.
#[derive(Clone, Debug)]
pub struct OwnedBucket {
    quota_id: QuotaId,
    key: OwnedRateKey,
    quota: Quota,
    cost: u32,
}

impl OwnedBucket {
    /// Creates a bucket without a request, for example to test a store. Its key has a kind of
    /// its own and differs from every extracted key.
    pub fn new(limit: &str, key: &str, quota: Quota, cost: u32) -> Self {
        Self {
            quota_id: QuotaId::new(limit, limit, quota),
            key: OwnedRateKey::named(key),
            quota,
            cost,
        }
    }

    /// Returns the borrowed form.
    pub fn as_bucket(&self) -> Bucket<'_> {
        Bucket {
            quota_id: &self.quota_id,
            key: self.key.as_key(),
            quota: self.quota,
            cost: self.cost,
        }
    }
}
