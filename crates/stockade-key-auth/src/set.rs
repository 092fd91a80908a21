//! The set of active keys.

use std::{
    collections::{HashMap, HashSet},
    error::Error,
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use moka::sync::Cache;
use stockade_core::{
    client::IpPrefix,
    clock::Timestamp,
    identity::{Principal, QuotaOverrides},
};

use crate::{
    KeyDigest, KeyHash, KeyId, KeyRecord,
    digest::ByDigest,
    hash::{Kind, SlowHash},
    store::KNOWN_SECRET,
};

/// Failed verifications are cached, so that repeated bad keys are rejected cheaply.
const MAX_CACHED_FAILURES: u64 = 10_000;
const FAILURE_LIFETIME: Duration = Duration::from_secs(60);

/// An immutable snapshot of all keys; updates replace it as a whole.
///
/// A key with a fast hash is found by its digest. A key with a slow hash is verified on first
/// use, and then found by its digest, too. The caches of verified keys and of failures belong to
/// the set and are dropped with it.
pub struct KeySet {
    by_digest: ByDigestMap<Entry>,
    /// A rotated key has two slow hashes during its grace period.
    slow: HashMap<KeyId, Vec<Arc<SlowEntry>>>,
    /// Verified keys by digest; at most one per slow entry.
    verified: ArcSwap<ByDigestMap<Arc<SlowEntry>>>,
    failed: Cache<KeyDigest, ()>,
    peppered: bool,
    keys: Vec<Arc<Key>>,
}

type ByDigestMap<V> = HashMap<KeyDigest, V, ByDigest>;

/// The parts of a record that its hashes share.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) id: KeyId,
    /// The current hash, which identifies a rotation in a later set.
    pub(crate) hash: KeyHash,
    principal: Principal,
    pub(crate) networks: Vec<IpPrefix>,
    expires: Option<Timestamp>,
    has_models: bool,
    pub(crate) revoked: bool,
    /// A flag instead of a time, so that requests need not read the clock.
    used: AtomicBool,
}

/// One hash of a key.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: Arc<Key>,
    pub(crate) expires: Option<Timestamp>,
}

impl Key {
    /// Accepts a request: marks the key as used and returns its principal.
    pub(crate) fn accept(&self) -> Principal {
        self.record_use();
        self.principal.clone()
    }

    pub(crate) fn is_active(&self, now: Timestamp) -> bool {
        !self.revoked && self.expires.is_none_or(|expires| now < expires)
    }

    pub(crate) fn expires(&self) -> Option<Timestamp> {
        self.expires
    }

    pub(crate) fn quotas(&self) -> &QuotaOverrides {
        self.principal.quotas()
    }

    /// Returns whether the key is restricted to some models.
    pub(crate) fn has_models(&self) -> bool {
        self.has_models
    }

    fn record_use(&self) {
        // Usually set already; without a write, the cache line stays shared.
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }
}

/// A slow hash and its entry.
pub(crate) struct SlowEntry {
    hash: SlowHash,
    entry: Arc<Entry>,
    /// Whether the matching key is cached by digest, so that no other key can match.
    verified: AtomicBool,
}

/// The result of a look-up among keys with slow hashes.
pub(crate) enum Lookup {
    /// The key is known; it may be revoked or expired.
    Found(Arc<Entry>),
    NotFound,
    /// The key must be verified against slow hashes.
    NeedsVerification,
}

/// The result of verifying a key against slow hashes.
pub(crate) enum SlowOutcome {
    Match(Arc<SlowEntry>),
    NoMatch,
    Cancelled,
}

impl KeySet {
    /// Builds a set. Hashes of [well-known secrets](KeyHash::is_of_known_secret) are logged and
    /// never match.
    ///
    /// # Errors
    /// Returns an error when two records have the same id or the same hash.
    pub fn new(records: impl IntoIterator<Item = KeyRecord>) -> Result<Self, DuplicateKeyError> {
        let mut set = Self::default();
        let mut ids = HashSet::new();
        let mut hashes = HashMap::new();
        for record in records {
            let id = record.id.clone();
            if !ids.insert(id.clone()) {
                return Err(DuplicateKeyError::id(id));
            }
            let key = Arc::new(Key {
                id: id.clone(),
                hash: record.hash.clone(),
                principal: record.principal(),
                networks: record.networks,
                expires: record.expires,
                has_models: record.models.is_some(),
                revoked: record.revoked.is_some(),
                used: AtomicBool::new(false),
            });
            set.keys.push(Arc::clone(&key));
            let previous = record.previous.map(|previous| {
                let expires = record
                    .expires
                    .map_or(previous.until, |at| at.min(previous.until));
                (previous.hash, Some(expires))
            });
            for (hash, expires) in previous.into_iter().chain([(record.hash, record.expires)]) {
                if let Some(other) = hashes.insert(hash.clone(), id.clone()) {
                    return Err(DuplicateKeyError::hash(id, other));
                }
                // Stores reject such keys; this covers sets from other sources.
                if hash.is_of_known_secret() {
                    tracing::error!(key = %id, "refused: {KNOWN_SECRET}");
                    continue;
                }
                set.add(
                    &id,
                    hash,
                    Entry {
                        key: Arc::clone(&key),
                        expires,
                    },
                );
            }
        }
        Ok(set)
    }

    fn add(&mut self, id: &KeyId, hash: KeyHash, entry: Entry) {
        match hash.into_kind() {
            Kind::Fast(digest) => {
                self.by_digest.insert(digest, entry);
            }
            Kind::Peppered(digest) => {
                self.peppered = true;
                self.by_digest.insert(digest, entry);
            }
            Kind::Slow(hash) => {
                self.slow
                    .entry(id.clone())
                    .or_default()
                    .push(Arc::new(SlowEntry {
                        hash,
                        entry: Arc::new(entry),
                        verified: AtomicBool::new(false),
                    }))
            }
        }
    }

    /// Carries over the verified keys of unchanged hashes and the use flags of an older set.
    pub(crate) fn carry_over(&self, older: &Self) {
        for (digest, slow) in older.verified.load().iter() {
            self.cache_verified(*digest, slow);
        }
        let used: HashSet<KeyId> = older.take_used().into_iter().collect();
        for key in self.keys.iter().filter(|key| used.contains(&key.id)) {
            key.record_use();
        }
    }

    /// Returns whether some hashes need a pepper.
    pub(crate) fn is_peppered(&self) -> bool {
        self.peppered
    }

    /// Looks up a digest among fast hashes.
    pub(crate) fn find(&self, digest: &KeyDigest) -> Option<&Entry> {
        self.by_digest.get(digest)
    }

    pub(crate) fn find_verified(&self, digest: &KeyDigest) -> Lookup {
        if self.slow.is_empty() {
            return Lookup::NotFound;
        }
        if let Some(slow) = self.verified.load().get(digest) {
            return Lookup::Found(Arc::clone(&slow.entry));
        }
        if self.failed.contains_key(digest) {
            return Lookup::NotFound;
        }
        Lookup::NeedsVerification
    }

    /// Verifies a key against all candidate slow hashes, as long as `is_wanted`. Blocks.
    ///
    /// A key with an unknown id is verified against the hashes of another key, without the
    /// possibility of a match, so that the response time does not reveal which ids exist.
    pub(crate) fn verify_slow(
        &self,
        key: &[u8],
        id: Option<&KeyId>,
        is_wanted: impl Fn() -> bool,
    ) -> SlowOutcome {
        let (candidates, decoy) = self.candidates(id);
        for slow in candidates {
            if !is_wanted() {
                return SlowOutcome::Cancelled;
            }
            if slow.hash.verify(key) && !decoy {
                return SlowOutcome::Match(Arc::clone(slow));
            }
        }
        SlowOutcome::NoMatch
    }

    /// Returns the hashes to verify a key against, and whether they are decoys.
    fn candidates(&self, id: Option<&KeyId>) -> (Vec<&Arc<SlowEntry>>, bool) {
        let Some(id) = id else {
            let unlearnt = |slow: &&Arc<SlowEntry>| !slow.verified.load(Ordering::Relaxed);
            return (
                self.slow.values().flatten().filter(unlearnt).collect(),
                false,
            );
        };
        match self.slow.get(id) {
            Some(own) => (own.iter().collect(), false),
            None => (self.decoy(id).iter().collect(), true),
        }
    }

    /// Returns the hashes of a key chosen by the unknown id (rendezvous hashing).
    ///
    /// The cost of a known id depends on its hashes and is the same each time. An unknown id
    /// must look alike: neither the same cost for all unknown ids, nor another cost each time.
    /// The choice cannot be predicted outside of this process.
    fn decoy(&self, id: &KeyId) -> &[Arc<SlowEntry>] {
        static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        let chosen = self
            .slow
            .iter()
            .max_by_key(|(known, _)| SEED.hash_one((id, known)));
        chosen.map_or(&[], |(_, hashes)| hashes)
    }

    /// Caches the digest of a key that matched an entry of this set or of an older one. Returns
    /// `None` when this set has no such hash any more.
    pub(crate) fn cache_verified(
        &self,
        digest: KeyDigest,
        tried: &SlowEntry,
    ) -> Option<Arc<Entry>> {
        let mut same = self.slow.get(&tried.entry.key.id)?.iter();
        let slow = same.find(|slow| slow.hash == tried.hash)?;
        self.verified.rcu(|verified| {
            let mut verified = HashMap::clone(verified);
            verified.insert(digest, Arc::clone(slow));
            verified
        });
        slow.verified.store(true, Ordering::Relaxed);
        Some(Arc::clone(&slow.entry))
    }

    pub(crate) fn cache_failure(&self, digest: KeyDigest) {
        self.failed.insert(digest, ());
    }

    /// Returns the keys used since the last call.
    pub(crate) fn take_used(&self) -> Vec<KeyId> {
        let used = self
            .keys
            .iter()
            .filter(|key| key.used.swap(false, Ordering::Relaxed));
        used.map(|key| key.id.clone()).collect()
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter().map(Arc::as_ref)
    }

    /// Counts the keys that depend on server settings.
    pub fn requirements(&self) -> KeyRequirements {
        let count = |needs: fn(&Key) -> bool| self.keys().filter(|key| needs(key)).count();
        KeyRequirements {
            pepper: count(|key| key.hash.algorithm() == "hmac-sha256"),
            request_quotas: count(|key| {
                let quotas = key.quotas();
                quotas.requests_per_minute.is_some()
                    || quotas.requests_per_hour.is_some()
                    || quotas.requests_per_day.is_some()
            }),
            token_quotas: count(|key| key.quotas().tokens_per_minute.is_some()),
            concurrency: count(|key| key.quotas().concurrency.is_some()),
        }
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

impl Default for KeySet {
    /// Creates an empty set, which refuses every request.
    fn default() -> Self {
        Self {
            by_digest: HashMap::default(),
            slow: HashMap::new(),
            verified: ArcSwap::default(),
            failed: Cache::builder()
                .max_capacity(MAX_CACHED_FAILURES)
                .time_to_live(FAILURE_LIFETIME)
                .build(),
            peppered: false,
            keys: Vec::new(),
        }
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySet")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// The numbers of keys in a [`KeySet`] that depend on server settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyRequirements {
    /// Keys with a peppered hash; see [`Pepper`](crate::Pepper).
    pub pepper: usize,
    /// Keys with their own request quotas.
    pub request_quotas: usize,
    /// Keys with their own token quota.
    pub token_quotas: usize,
    /// Keys with their own concurrency limit.
    pub concurrency: usize,
}

/// The error of two keys with the same id or hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuplicateKeyError {
    id: KeyId,
    other: Option<KeyId>,
}

impl DuplicateKeyError {
    pub(crate) fn id(id: KeyId) -> Self {
        Self { id, other: None }
    }

    fn hash(id: KeyId, other: KeyId) -> Self {
        Self {
            id,
            other: Some(other),
        }
    }

    /// Returns the id of the second key.
    pub fn key(&self) -> &KeyId {
        &self.id
    }

    /// Returns the id of the first key, if it differs.
    pub fn other(&self) -> Option<&KeyId> {
        self.other.as_ref()
    }
}

impl fmt::Display for DuplicateKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.other {
            None => write!(f, "two keys have the id {}; rename one", self.id),
            Some(other) => write!(
                f,
                "the keys {} and {other} have the same hash; issue a new key for one of them",
                self.id
            ),
        }
    }
}

impl Error for DuplicateKeyError {}

#[cfg(test)]
mod tests;
