//! One quota of one subject.

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

/// What a store is asked for: one quota of one subject, and what a request costs of it.
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

    /// Which quota of which limit: what is counted apart from everything else.
    pub fn quota_id(&self) -> &'a QuotaId {
        self.quota_id
    }

    /// Whom it is counted for.
    pub fn key(&self) -> RateKey<'a> {
        self.key
    }

    /// The quota in force for this subject now.
    pub fn quota(&self) -> Quota {
        self.quota
    }

    pub(crate) fn as_quota(&self) -> &Quota {
        &self.quota
    }

    /// What the request costs. 0 only looks, and is let in as long as anything is left.
    pub fn cost(&self) -> u32 {
        self.cost
    }

    /// The same bucket under another quota, such as the share that one process may give
    /// away by itself.
    pub fn with_quota(self, quota: Quota) -> Self {
        Self { quota, ..self }
    }

    /// A copy that outlives the request.
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
    /// A bucket that no request has led to, such as for testing a store. Its subject is of a
    /// kind of its own, and is no other subject with this text.
    pub fn new(limit: &str, key: &str, quota: Quota, cost: u32) -> Self {
        Self {
            quota_id: QuotaId::new(limit, limit, quota),
            key: OwnedRateKey::named(key),
            quota,
            cost,
        }
    }

    /// The bucket.
    pub fn as_bucket(&self) -> Bucket<'_> {
        Bucket {
            quota_id: &self.quota_id,
            key: self.key.as_key(),
            quota: self.quota,
            cost: self.cost,
        }
    }
}

/// One quota of one limit: the states of all its subjects. Cheap to clone.
///
/// Limits with the same name and quotas of the same kind and period are the same lane,
/// whatever their counts and bursts are. So a changed count finds the states that the old
/// one has left.
#[derive(Clone)]
pub struct QuotaId(Arc<Inner>);

struct Inner {
    id: u64,
    key: Box<str>,
    policy: Box<str>,
    /// The policy as a string of a structured field.
    field: Box<str>,
    /// Where the first store in memory that was asked for it keeps its states.
    cached_table: OnceLock<Arc<Table>>,
}

impl QuotaId {
    /// The lane of this quota in the limit of this name; `policy` is what clients see.
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

    /// A digest of the key, of no use to any other process.
    pub fn digest(&self) -> u64 {
        self.0.id
    }

    /// The lane's name, the same in every process: `ip/60000ms`. A sliding window's is
    /// `ip/~60000ms`.
    pub fn as_str(&self) -> &str {
        &self.0.key
    }

    /// What clients know the quota by: `ip`, or `ip-minute` where the limit has several.
    pub fn policy_name(&self) -> &str {
        &self.0.policy
    }

    /// `"ip"`, with its quotation marks.
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
        f.debug_tuple("Lane").field(&self.0.key).finish()
    }
}
