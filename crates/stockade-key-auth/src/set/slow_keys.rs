//! Keys with slow hashes, and the caches of their verifications.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, Ordering},
    },
};

use arc_swap::ArcSwap;
use quick_cache::sync::Cache;

use super::Entry;
use crate::{KeyDigest, KeyId, digest::ByDigest, hash::SlowHash};

/// Failed verifications are cached, so that repeated bad keys are rejected cheaply.
const MAX_CACHED_FAILURES: usize = 10_000;

/// The keys of a set with slow hashes.
pub(super) struct SlowKeys {
    /// A rotated key has two slow hashes during its grace period.
    by_id: HashMap<KeyId, Vec<Arc<SlowEntry>>>,
    /// Verified keys by digest; at most one per slow entry.
    verified: ArcSwap<HashMap<KeyDigest, Arc<SlowEntry>, ByDigest>>,
    /// Allocated for the first failure.
    failed: LazyLock<Cache<KeyDigest, ()>>,
}

/// A slow hash and its entry.
pub(crate) struct SlowEntry {
    pub(super) hash: SlowHash,
    pub(super) entry: Arc<Entry>,
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

impl SlowKeys {
    pub(super) fn insert(&mut self, hash: SlowHash, entry: Entry) {
        let hashes = self.by_id.entry(entry.key.id.clone()).or_default();
        hashes.push(Arc::new(SlowEntry {
            hash,
            entry: Arc::new(entry),
            verified: AtomicBool::new(false),
        }));
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.by_id.values().flatten().map(|slow| &*slow.entry)
    }

    /// Looks up a digest in the caches.
    pub(super) fn find(&self, digest: &KeyDigest) -> Lookup {
        if self.by_id.is_empty() {
            return Lookup::NotFound;
        }
        if let Some(slow) = self.verified.load().get(digest) {
            return Lookup::Found(Arc::clone(&slow.entry));
        }
        if self.failed.get(digest).is_some() {
            return Lookup::NotFound;
        }
        Lookup::NeedsVerification
    }

    /// Carries over the verified keys of unchanged hashes of an older set.
    pub(super) fn carry_over(&self, older: &Self) {
        for (digest, slow) in older.verified.load().iter() {
            self.cache_verified(*digest, slow);
        }
    }

    /// Verifies a key against all candidate hashes, as long as `is_wanted`. Blocks.
    ///
    /// A key with an unknown id is verified against the hashes of another key, without the
    /// possibility of a match, so that the response time does not reveal which ids exist.
    pub(super) fn verify(
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
    pub(super) fn candidates(&self, id: Option<&KeyId>) -> (Vec<&Arc<SlowEntry>>, bool) {
        let Some(id) = id else {
            let unverified = |slow: &&Arc<SlowEntry>| !slow.verified.load(Ordering::Relaxed);
            let all = self.by_id.values().flatten();
            return (all.filter(unverified).collect(), false);
        };
        match self.by_id.get(id) {
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
            .by_id
            .iter()
            .max_by_key(|(known, _)| SEED.hash_one((id, known)));
        chosen.map_or(&[], |(_, hashes)| hashes)
    }

    /// Caches the digest of a key that matched an entry of this set or of an older one. Returns
    /// `None` when this set has no such hash any more.
    pub(super) fn cache_verified(
        &self,
        digest: KeyDigest,
        matched: &SlowEntry,
    ) -> Option<Arc<Entry>> {
        let mut same = self.by_id.get(&matched.entry.key.id)?.iter();
        let slow = same.find(|slow| slow.hash == matched.hash)?;
        self.verified.rcu(|verified| {
            let mut verified = HashMap::clone(verified);
            verified.insert(digest, Arc::clone(slow));
            verified
        });
        slow.verified.store(true, Ordering::Relaxed);
        Some(Arc::clone(&slow.entry))
    }

    pub(super) fn cache_failure(&self, digest: KeyDigest) {
        self.failed.insert(digest, ());
    }
}

impl Default for SlowKeys {
    fn default() -> Self {
        Self {
            by_id: HashMap::new(),
            verified: ArcSwap::default(),
            failed: LazyLock::new(|| Cache::new(MAX_CACHED_FAILURES)),
        }
    }
}
