//! Keys of a set, and the entries of their hashes.

use std::{
    borrow::Borrow,
    hash::{Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use stockade_core::{
    client::IpPrefix,
    clock::Timestamp,
    identity::{Principal, QuotaOverrides},
};

use crate::{KeyDigest, KeyHash, KeyId, KeyRecord};

/// The parts of a record that its hashes share.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) id: KeyId,
    /// The current hash, which identifies a rotation in a later set.
    pub(crate) hash: KeyHash,
    pub(crate) principal: Principal,
    pub(crate) networks: Vec<IpPrefix>,
    expires: Option<Timestamp>,
    #[cfg(feature = "file")]
    has_models: bool,
    pub(crate) revoked: bool,
}

impl Key {
    pub(super) fn new(record: &KeyRecord) -> Self {
        Self {
            id: record.id.clone(),
            hash: record.hash.clone(),
            principal: record.principal(),
            networks: record.networks.clone(),
            expires: record.expires,
            #[cfg(feature = "file")]
            has_models: record.models.is_some(),
            revoked: record.revoked.is_some(),
        }
    }

    pub(crate) fn is_active(&self, now: Timestamp) -> bool {
        !self.revoked && self.expires.is_none_or(|expires| now < expires)
    }

    pub(crate) fn quotas(&self) -> &QuotaOverrides {
        self.principal.quotas()
    }
}

/// What the check for truncated files reads.
#[cfg(feature = "file")]
impl Key {
    pub(crate) fn expires(&self) -> Option<Timestamp> {
        self.expires
    }

    /// Returns whether the key is restricted to some models.
    pub(crate) fn has_models(&self) -> bool {
        self.has_models
    }
}

/// One hash of a key, with copies of what a request needs, so that it need not read the [`Key`].
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: Arc<Key>,
    principal: Principal,
    expires: Timestamp,
    pub(crate) revoked: bool,
    /// Whether the key is restricted to networks.
    pub(crate) is_bound: bool,
    /// A flag instead of a time, so that requests need not read the clock.
    used: AtomicBool,
}

const NEVER: Timestamp = Timestamp::from_nanos(u64::MAX);

impl Entry {
    pub(super) fn new(key: Arc<Key>, expires: Option<Timestamp>) -> Self {
        Self {
            principal: key.principal.clone(),
            expires: expires.unwrap_or(NEVER),
            revoked: key.revoked,
            is_bound: !key.networks.is_empty(),
            used: AtomicBool::new(false),
            key,
        }
    }

    /// Accepts a request: marks the key as used and returns its principal.
    pub(crate) fn accept(&self) -> Principal {
        self.mark_used();
        self.principal.clone()
    }

    /// Returns whether the key has expired. Reads the clock only for keys with an expiry.
    pub(crate) fn has_expired(&self, now: impl FnOnce() -> Timestamp) -> bool {
        self.expires != NEVER && now() >= self.expires
    }

    pub(super) fn mark_used(&self) {
        // Usually set already; without a write, the cache line stays shared.
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn take_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }
}

/// An entry and its digest; 64 bytes, so that a look-up reads one or two cache lines.
#[derive(Debug)]
pub(super) struct IndexEntry {
    pub(super) digest: KeyDigest,
    pub(super) entry: Entry,
}

impl Borrow<KeyDigest> for IndexEntry {
    fn borrow(&self) -> &KeyDigest {
        &self.digest
    }
}

impl PartialEq for IndexEntry {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for IndexEntry {}

impl Hash for IndexEntry {
    fn hash<H>(&self, state: &mut H)
    where
        H: Hasher,
    {
        self.digest.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_entry_has_64_bytes() {
        assert_eq!(size_of::<IndexEntry>(), 64);
    }
}
