//! The set of active keys.

mod duplicate;
mod key;
mod requirements;
mod slow_keys;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fmt,
    sync::Arc,
};

use crate::{
    KeyDigest, KeyHash, KeyId, KeyRecord, digest::ByDigest, hash::Kind, store::KNOWN_SECRET,
};
use key::IndexEntry;
use slow_keys::SlowKeys;

pub use duplicate::DuplicateKeyError;
pub(crate) use key::{Entry, Key};
pub use requirements::KeyRequirements;
pub(crate) use slow_keys::{Lookup, SlowEntry, SlowOutcome};

/// An immutable snapshot of all keys; updates replace it as a whole.
///
/// A key with a fast hash is found by its digest. A key with a slow hash is verified on first
/// use, and then found by its digest, too. The caches of verified keys and of failures belong to
/// the set and are dropped with it.
///
/// ```
/// use stockade_key_auth::{GeneratedKey, KeyRecord, KeySet};
///
/// let key = GeneratedKey::new("sk", "team-core".parse()?)?;
/// let record = KeyRecord::new(key.id().clone(), key.digest());
/// assert_eq!(KeySet::new([record.clone()])?.len(), 1);
/// // Ids are unique.
/// assert!(KeySet::new([record.clone(), record]).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Default)]
pub struct KeySet {
    by_digest: HashSet<IndexEntry, ByDigest>,
    /// An index of their own: the text of an API key is never looked up among certificates, and
    /// no certificate among the hashes.
    certificates: HashSet<IndexEntry, ByDigest>,
    slow: SlowKeys,
    peppered: bool,
    keys: Vec<Arc<Key>>,
}

impl KeySet {
    /// Builds a set. Hashes of [well-known secrets](KeyHash::is_of_known_secret) are logged and
    /// never match.
    ///
    /// # Errors
    /// Returns an error when two records have the same id, hash or certificate.
    pub fn new(records: impl IntoIterator<Item = KeyRecord>) -> Result<Self, DuplicateKeyError> {
        let mut set = Self::default();
        let mut ids = HashSet::new();
        let mut hashes = HashMap::new();
        for record in records {
            let id = record.id.clone();
            if !ids.insert(id.clone()) {
                return Err(DuplicateKeyError::id(id));
            }
            let key = Arc::new(Key::new(&record));
            set.keys.push(Arc::clone(&key));
            let previous = record.previous.map(|previous| {
                let expires = record
                    .expires
                    .map_or(previous.until, |at| at.min(previous.until));
                (previous.hash, Some(expires))
            });
            for (hash, expires) in previous.into_iter().chain([(record.hash, record.expires)]) {
                if let Some(other) = hashes.insert(hash.clone(), id.clone()) {
                    return Err(match hash.as_certificate() {
                        None => DuplicateKeyError::hash(id, other),
                        Some(_) => DuplicateKeyError::certificate(id, other),
                    });
                }
                // Stores reject such keys; this covers sets from other sources.
                if hash.is_of_known_secret() {
                    tracing::error!(key = %id, "refused: {KNOWN_SECRET}");
                    continue;
                }
                set.insert(hash, Entry::new(Arc::clone(&key), expires));
            }
        }
        Ok(set)
    }

    fn insert(&mut self, hash: KeyHash, entry: Entry) {
        let digest = match hash.into_kind() {
            Kind::Slow(hash) => return self.slow.insert(hash, entry),
            Kind::Certificate(id) => {
                let digest = id.digest();
                self.certificates.replace(IndexEntry { digest, entry });
                return;
            }
            Kind::Fast(digest) => digest,
            Kind::Peppered(digest) => {
                self.peppered = true;
                digest
            }
        };
        self.by_digest.replace(IndexEntry { digest, entry });
    }

    /// Carries over the verified keys of unchanged hashes and the use flags of an older set.
    pub(crate) fn carry_over(&self, older: &Self) {
        self.slow.carry_over(&older.slow);
        let used: HashSet<KeyId> = older.take_used().into_iter().collect();
        for entry in self.entries().filter(|entry| used.contains(&entry.key.id)) {
            entry.mark_used();
        }
    }

    /// Returns whether some hashes need a pepper.
    pub(crate) fn is_peppered(&self) -> bool {
        self.peppered
    }

    /// Looks up a digest among fast hashes.
    pub(crate) fn find(&self, digest: &KeyDigest) -> Option<&Entry> {
        self.by_digest.get(digest).map(|found| &found.entry)
    }

    /// Looks up the digest of a [`SpiffeId`](crate::SpiffeId) among certificates.
    pub(crate) fn find_certificate(&self, digest: &KeyDigest) -> Option<&Entry> {
        self.certificates.get(digest).map(|found| &found.entry)
    }

    /// Looks up a digest among verified keys with slow hashes.
    pub(crate) fn find_verified(&self, digest: &KeyDigest) -> Lookup {
        self.slow.find(digest)
    }

    /// Verifies a key against slow hashes, as long as `is_wanted`. Blocks.
    pub(crate) fn verify_slow(
        &self,
        key: &[u8],
        id: Option<&KeyId>,
        is_wanted: impl Fn() -> bool,
    ) -> SlowOutcome {
        self.slow.verify(key, id, is_wanted)
    }

    /// Caches the digest of a key that matched an entry of this set or of an older one. Returns
    /// `None` when this set has no such hash any more.
    pub(crate) fn cache_verified(
        &self,
        digest: KeyDigest,
        matched: &SlowEntry,
    ) -> Option<Arc<Entry>> {
        self.slow.cache_verified(digest, matched)
    }

    pub(crate) fn cache_failure(&self, digest: KeyDigest) {
        self.slow.cache_failure(digest);
    }

    /// Returns the keys used since the last call.
    pub(crate) fn take_used(&self) -> Vec<KeyId> {
        let used = self.entries().filter(|entry| entry.take_used());
        // A rotated key has two entries.
        let ids: BTreeSet<_> = used.map(|entry| &entry.key.id).collect();
        ids.into_iter().cloned().collect()
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        let indexed = self.by_digest.iter().chain(&self.certificates);
        let indexed = indexed.map(|found| &found.entry);
        indexed.chain(self.slow.entries())
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter().map(Arc::as_ref)
    }

    /// Returns the number of keys, including revoked and expired ones.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Returns whether the set is empty, so that every request is refused.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySet")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[cfg(all(feature = "argon2", feature = "bcrypt"))]
mod tests;
