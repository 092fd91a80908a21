//! One quota of one key.

use std::{
    fmt,
    hash::{BuildHasher, Hasher},
    sync::{Arc, OnceLock},
};

use crate::{
    Algorithm, Quota, headers,
    memory::Table,
    rate_key::{OwnedRateKey, RateKey, seed},
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

/// Identifies one quota of one limit, and so the states of all its keys. Cheap to clone.
///
/// Limits with the same name, and quotas with the same algorithm and period, have the same id,
/// whatever their count and burst. A changed count therefore keeps the existing states.
#[derive(Clone)]
pub struct QuotaId(Arc<Inner>);

struct Inner {
    id: u64,
    key: Box<str>,
    policy: Box<str>,
    /// The policy name as a string of a structured field.
    field: Box<str>,
    /// The table of the first memory store that was asked for this quota.
    cached_table: OnceLock<Arc<Table>>,
}

impl QuotaId {
    /// The id of this quota in the limit of this name; `policy` is the name that clients see.
    pub(crate) fn new(limit: &str, policy: &str, quota: Quota) -> Self {
        let algorithm = match quota.algorithm() {
            Algorithm::Gcra => "",
            Algorithm::SlidingWindow => "~",
        };
        let key = format!("{limit}/{algorithm}{}ms", quota.period().as_millis());
        let mut hasher = seed().build_hasher();
        hasher.write(key.as_bytes());
        Self(Arc::new(Inner {
            id: hasher.finish(),
            key: key.into(),
            policy: policy.into(),
            field: headers::sf_string(policy).into(),
            cached_table: OnceLock::new(),
        }))
    }

    /// A digest of the id, valid in this process only.
    pub fn digest(&self) -> u64 {
        self.0.id
    }

    /// The id as text, the same in every process: `ip/60000ms`, or `ip/~60000ms` for a sliding
    /// window.
    pub fn as_str(&self) -> &str {
        &self.0.key
    }

    /// The name that clients see: `ip`, or `ip-minute` if the limit has several quotas.
    pub fn policy_name(&self) -> &str {
        &self.0.policy
    }

    /// The policy name in quotation marks: `"ip"`.
    pub(crate) fn field(&self) -> &str {
        &self.0.field
    }

    pub(crate) fn cached_table(&self) -> &OnceLock<Arc<Table>> {
        &self.0.cached_table
    }
}

impl PartialEq for QuotaId {
    fn eq(&self, other: &Self) -> bool {
        (self.as_str(), self.policy_name()) == (other.as_str(), other.policy_name())
    }
}

impl Eq for QuotaId {}

impl fmt::Debug for QuotaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("QuotaId").field(&self.0.key).finish()
    }
}
