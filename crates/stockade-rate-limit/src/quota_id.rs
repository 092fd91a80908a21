//! The identity of a quota.

use std::{
    any::Any,
    fmt,
    hash::{BuildHasher, Hasher},
    sync::{Arc, OnceLock},
};

use crate::{Algorithm, Quota, headers, rate_key::seed};

/// Identifies one quota of one limit, and so the states of all its keys. Cheap to clone.
///
/// Limits with the same name, and quotas with the same algorithm and period, have the same id,
/// whatever their count and burst. A changed count therefore keeps the existing states.
#[derive(Clone)]
pub struct QuotaId(Arc<Inner>);

struct Inner {
    digest: u64,
    key: Box<str>,
    policy: Box<str>,
    /// The policy name as a string of a structured field.
    field: Box<str>,
    /// State of the first store that uses this quota.
    cache: OnceLock<Arc<dyn Any + Send + Sync>>,
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
            digest: hasher.finish(),
            key: key.into(),
            policy: policy.into(),
            field: headers::sf_string(policy).into(),
            cache: OnceLock::new(),
        }))
    }

    /// A digest of the id, valid in this process only.
    pub fn digest(&self) -> u64 {
        self.0.digest
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

    /// What a store has cached here, if it is of this type.
    pub(crate) fn cached<T>(&self) -> Option<&T>
    where
        T: Any,
    {
        self.0.cache.get()?.downcast_ref()
    }

    /// The same, shared.
    pub(crate) fn cached_arc<T>(&self) -> Option<Arc<T>>
    where
        T: Any + Send + Sync,
    {
        self.0.cache.get()?.clone().downcast().ok()
    }

    /// Caches a value for a store, unless there is one.
    pub(crate) fn cache(&self, value: Arc<dyn Any + Send + Sync>) {
        // The value that was cached first stays.
        let _ = self.0.cache.set(value);
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
