//! All keys in force at one moment.

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

/// Keys that were tried in vain are remembered so that they cost nothing again.
const MAX_CACHED_FAILURES: u64 = 10_000;
const FAILURE_LIFETIME: Duration = Duration::from_secs(60);

/// All keys in force at one moment. It is swapped as a whole, never changed.
///
/// A key with a fast hash is found by its digest. One with a slow hash has to be tried
/// once, and is then learnt: found by its digest, too. What was learnt, and what was
/// tried in vain, belongs to the set, so it dies with the set.
pub struct KeySet {
    by_digest: ByDigestMap<Entry>,
    /// A key has a second slow hash for a while after it was rotated.
    slow: HashMap<KeyId, Vec<Arc<SlowEntry>>>,
    /// At most one key a slow entry.
    verified: ArcSwap<ByDigestMap<Arc<SlowEntry>>>,
    failed: Cache<KeyDigest, ()>,
    peppered: bool,
    keys: Vec<Arc<Key>>,
}

type ByDigestMap<V> = HashMap<KeyDigest, V, ByDigest>;

/// What the hashes of one record share.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) id: KeyId,
    /// The one in use, by which a later set tells a rotation.
    pub(crate) hash: KeyHash,
    principal: Principal,
    pub(crate) networks: Vec<IpPrefix>,
    expires: Option<Timestamp>,
    has_models: bool,
    pub(crate) revoked: bool,
    /// A flag and no time, so that a request needs no clock for it.
    used: AtomicBool,
}

/// One hash of a key.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: Arc<Key>,
    pub(crate) expires: Option<Timestamp>,
}

impl Key {
    /// The principal of a request with this key.
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

    /// Whether it is bound to some models.
    pub(crate) fn has_models(&self) -> bool {
        self.has_models
    }

    fn record_use(&self) {
        // Most of the time it is set already, and the cache line stays shared.
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }
}

/// A hash that takes long to verify.
pub(crate) struct SlowEntry {
    hash: SlowHash,
    entry: Arc<Entry>,
    /// Its text is known by digest, so no other text needs to be tried.
    verified: AtomicBool,
}

/// What a set knows of a key without verifying anything.
pub(crate) enum Lookup {
    /// There is such a key; it may still be revoked or expired.
    Found(Arc<Entry>),
    NotFound,
    /// Only a slow hash can tell.
    NeedsVerification,
}

/// What came of trying a key against slow hashes.
pub(crate) enum SlowOutcome {
    Match(Arc<SlowEntry>),
    NoMatch,
    Cancelled,
}

impl KeySet {
    /// The set of these keys. A hash of a [well-known secret](KeyHash::is_of_known_secret) lets
    /// no request in, and is logged.
    ///
    /// # Errors
    /// When two of them have the same id, or the same hash: then a request would not tell
    /// which of them it comes from.
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
                // Stores refuse such a key. Whatever else published it, it opens nothing.
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

    /// Takes over what an older set has learnt about hashes that are still the same, and
    /// which keys it saw used.
    pub(crate) fn carry_over(&self, older: &Self) {
        for (digest, slow) in older.verified.load().iter() {
            self.cache_verified(*digest, slow);
        }
        let used: HashSet<KeyId> = older.take_used().into_iter().collect();
        for key in self.keys.iter().filter(|key| used.contains(&key.id)) {
            key.record_use();
        }
    }

    /// Whether some keys are found by a digest with a pepper only.
    pub(crate) fn is_peppered(&self) -> bool {
        self.peppered
    }

    /// The key that is stored under this digest, as it is.
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

    /// Tries a key against all slow hashes that it could belong to, until nobody is
    /// interested any more. Takes long.
    ///
    /// A claimed id without slow hashes is tried against those of another key, without being
    /// able to match, so that the time does not show which ids exist.
    pub(crate) fn verify_slow(
        &self,
        key: &[u8],
        id: Option<&KeyId>,
        wanted: impl Fn() -> bool,
    ) -> SlowOutcome {
        let (candidates, decoy) = self.candidates(id);
        for slow in candidates {
            if !wanted() {
                return SlowOutcome::Cancelled;
            }
            if slow.hash.verify(key) && !decoy {
                return SlowOutcome::Match(Arc::clone(slow));
            }
        }
        SlowOutcome::NoMatch
    }

    /// The hashes that a key is tried against, and whether they are those of another key.
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

    /// The hashes of some key, always the same one for the same unknown id (rendezvous
    /// hashing).
    ///
    /// An id that exists costs what its hashes cost, every time, and their kinds and
    /// parameters differ from key to key. So an unknown id must neither cost the same as all
    /// other unknown ids nor something else each time: either would reveal it. Which
    /// key it is cannot be predicted outside of this process.
    fn decoy(&self, id: &KeyId) -> &[Arc<SlowEntry>] {
        static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        let chosen = self
            .slow
            .iter()
            .max_by_key(|(known, _)| SEED.hash_one((id, known)));
        chosen.map_or(&[], |(_, hashes)| hashes)
    }

    /// Learns that this is the digest of the key of an entry, of this set or of an older
    /// one. `None` when this set has no such key: it is gone, or its hash changed.
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

    /// The keys that were used since this was last called.
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

    /// Counts the keys that need a setting of their server.
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

    /// How many keys there are, those included that are refused.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are none, so that every request is refused.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

impl Default for KeySet {
    /// No keys: every request is refused.
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

/// How many keys of a [`KeySet`] need a setting of their server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyRequirements {
    /// Keys whose hash was made with a [`Pepper`](crate::Pepper).
    pub pepper: usize,
    /// Keys with quotas of requests of their own.
    pub request_quotas: usize,
    /// Keys with a quota of model tokens of their own.
    pub token_quotas: usize,
    /// Keys with a limit of concurrent requests of their own.
    pub concurrency: usize,
}

/// Two keys that could not be told apart.
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

    /// The second one of the two.
    pub fn key(&self) -> &KeyId {
        &self.id
    }

    /// The first one, where it has another id.
    pub fn other(&self) -> Option<&KeyId> {
        self.other.as_ref()
    }
}

impl fmt::Display for DuplicateKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.other {
            None => write!(f, "there are two keys with the id {}; rename one", self.id),
            Some(other) => write!(
                f,
                "the keys {} and {other} have the same hash; issue one of them anew",
                self.id
            ),
        }
    }
}

impl Error for DuplicateKeyError {}

#[cfg(test)]
mod tests;
