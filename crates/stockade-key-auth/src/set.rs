//! All keys in force at one moment.

use std::{
    collections::{HashMap, HashSet},
    error::Error,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use moka::sync::Cache;
use stockade_core::{Principal, Timestamp};

use crate::{
    KeyDigest, KeyId, KeyRecord,
    digest::ByDigest,
    hash::{Kind as KeyHash, SlowHash},
};

/// Keys that were tried in vain are remembered so that they cost nothing again.
const REMEMBERED_FAILURES: u64 = 10_000;
const FAILURE_LIFETIME: Duration = Duration::from_secs(60);

/// All keys in force at one moment. It is swapped as a whole, never changed.
///
/// A key with a fast hash is found by its digest. One with a slow hash has to be tried
/// once, and is then learnt: found by its digest, too. What was learnt, and what was
/// tried in vain, belongs to the set, so it dies with the set.
pub struct KeySet {
    by_digest: ByDigestMap<Arc<Entry>>,
    slow: HashMap<KeyId, Arc<SlowEntry>>,
    /// At most one key a slow entry.
    learnt: ArcSwap<ByDigestMap<Arc<SlowEntry>>>,
    failed: Cache<KeyDigest, ()>,
}

type ByDigestMap<V> = HashMap<KeyDigest, V, ByDigest>;

/// What a request needs of a key.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) principal: Principal,
    pub(crate) expires: Option<Timestamp>,
}

/// A key that only a slow hash can verify.
pub(crate) struct SlowEntry {
    id: KeyId,
    hash: SlowHash,
    entry: Arc<Entry>,
    /// Its text is known by digest, so no other text needs to be tried.
    learnt: AtomicBool,
}

/// What a set knows of a key without verifying anything.
pub(crate) enum Known {
    Valid(Arc<Entry>),
    Invalid,
    /// Only a slow hash can tell.
    Unknown,
}

impl KeySet {
    /// The set of these keys.
    ///
    /// # Errors
    /// When two of them have the same id, or the same hash: then a request would not tell
    /// which of them it comes from.
    pub fn new(records: impl IntoIterator<Item = KeyRecord>) -> Result<Self, DuplicateKeyError> {
        let mut set = Self::default();
        let mut ids = HashSet::new();
        let mut slow_hashes = HashMap::new();
        for record in records {
            let id = record.id().clone();
            if !ids.insert(id.clone()) {
                return Err(DuplicateKeyError { id, other: None });
            }
            let entry = Arc::new(Entry {
                principal: record.principal(),
                expires: record.expires_at(),
            });
            let twin = match record.into_hash() {
                KeyHash::Fast(digest) => set
                    .by_digest
                    .insert(digest, entry)
                    .map(|twin| twin.principal.id().into()),
                KeyHash::Slow(hash) => {
                    let twin = slow_hashes.insert(hash.clone(), id.to_string());
                    set.slow
                        .insert(id.clone(), SlowEntry::new(&id, hash, entry));
                    twin.map(Box::from)
                }
            };
            if twin.is_some() {
                return Err(DuplicateKeyError { id, other: twin });
            }
        }
        Ok(set)
    }

    /// Takes over what an older set has learnt about hashes that are still the same.
    pub(crate) fn inherit(&self, older: &Self) {
        for (digest, slow) in older.learnt.load().iter() {
            self.learn(*digest, slow);
        }
    }

    pub(crate) fn find(&self, digest: &KeyDigest) -> Known {
        if let Some(entry) = self.by_digest.get(digest) {
            return Known::Valid(Arc::clone(entry));
        }
        if self.slow.is_empty() {
            return Known::Invalid;
        }
        if let Some(slow) = self.learnt.load().get(digest) {
            return Known::Valid(Arc::clone(&slow.entry));
        }
        if self.failed.contains_key(digest) {
            return Known::Invalid;
        }
        Known::Unknown
    }

    /// Tries a key against all slow hashes that it could belong to, until nobody is
    /// interested any more. Takes long.
    ///
    /// A claimed id that is unknown is tried against some other entry, which it will not
    /// match, so that an id that exists takes as long as one that does not.
    pub(crate) fn try_slow(
        &self,
        key: &[u8],
        id: Option<&KeyId>,
        wanted: impl Fn() -> bool,
    ) -> Tried {
        let named = id.map(|id| self.slow.get(id).or_else(|| self.slow.values().next()));
        let all = self
            .slow
            .values()
            .filter(|slow| !slow.learnt.load(Ordering::Relaxed));
        let candidates: Vec<_> = match named {
            Some(named) => named.into_iter().collect(),
            None => all.collect(),
        };
        for slow in candidates {
            if !wanted() {
                return Tried::Abandoned;
            }
            if slow.hash.verify(key) {
                return Tried::Matches(Arc::clone(slow));
            }
        }
        Tried::Fails
    }

    /// Learns that this is the digest of the key of an entry, of this set or of an older
    /// one. `None` when this set has no such key: it was revoked, or its hash changed.
    pub(crate) fn learn(&self, digest: KeyDigest, tried: &SlowEntry) -> Option<Arc<Entry>> {
        let slow = self.slow.get(&tried.id)?;
        if slow.hash != tried.hash {
            return None;
        }
        self.learnt.rcu(|learnt| {
            let mut learnt = HashMap::clone(learnt);
            learnt.insert(digest, Arc::clone(slow));
            learnt
        });
        slow.learnt.store(true, Ordering::Relaxed);
        Some(Arc::clone(&slow.entry))
    }

    pub(crate) fn remember_failure(&self, digest: KeyDigest) {
        self.failed.insert(digest, ());
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.by_digest.len() + self.slow.len()
    }

    /// Whether there are none, so that every request is refused.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What came of trying a key against slow hashes.
pub(crate) enum Tried {
    Matches(Arc<SlowEntry>),
    Fails,
    Abandoned,
}

impl SlowEntry {
    fn new(id: &KeyId, hash: SlowHash, entry: Arc<Entry>) -> Arc<Self> {
        Arc::new(Self {
            id: id.clone(),
            hash,
            entry,
            learnt: AtomicBool::new(false),
        })
    }
}

impl Default for KeySet {
    /// No keys: every request is refused.
    fn default() -> Self {
        Self {
            by_digest: HashMap::default(),
            slow: HashMap::new(),
            learnt: ArcSwap::default(),
            failed: Cache::builder()
                .max_capacity(REMEMBERED_FAILURES)
                .time_to_live(FAILURE_LIFETIME)
                .build(),
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

/// Two keys that could not be told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuplicateKeyError {
    id: KeyId,
    other: Option<Box<str>>,
}

impl DuplicateKeyError {
    /// The second one of the two.
    pub fn id(&self) -> &KeyId {
        &self.id
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
