//! The cache of verified tokens.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use arc_swap::{ArcSwapOption, Guard};
use stockade_core::clock::Timestamp;

use crate::{TokenDigest, rules::VerifiedToken};

/// A verified token and the generation of its key set.
pub(crate) struct Entry {
    pub(crate) digest: TokenDigest,
    pub(crate) generation: u64,
    pub(crate) verified: VerifiedToken,
}

/// A set-associative cache of fixed size. A hit takes no lock and writes nothing.
///
/// Only tokens with a valid signature are inserted, so attackers cannot evict entries.
#[derive(Clone)]
pub(crate) struct Cache {
    /// A power of two; zero without a cache.
    sets: usize,
    /// Sets of [`WAYS`] slots each, allocated for the first token.
    slots: Arc<OnceLock<Box<[ArcSwapOption<Entry>]>>>,
}

/// The number of slots per set.
const WAYS: usize = 8;

impl Cache {
    /// Creates a cache for at least `capacity` tokens; zero disables it.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            sets: match capacity {
                0 => 0,
                _ => capacity.div_ceil(WAYS).next_power_of_two(),
            },
            slots: Arc::default(),
        }
    }

    /// Looks up a token that a key set of this generation verified. It may have expired.
    pub(crate) fn get(&self, digest: &TokenDigest, generation: u64) -> Option<Hit> {
        let slots = self.set(self.slots.get()?, digest);
        slots.iter().find_map(|slot| {
            let entry = slot.load();
            let known = entry
                .as_ref()
                .is_some_and(|entry| entry.generation == generation && entry.digest == *digest);
            known.then_some(Hit(entry))
        })
    }

    /// Inserts a token, replacing an outdated one or the one that expires first.
    pub(crate) fn insert(&self, entry: Entry) {
        let worth = |slot: &ArcSwapOption<Entry>| match &*slot.load() {
            Some(other) if other.generation >= entry.generation && other.digest != entry.digest => {
                other.verified.validity.until
            }
            _ => Timestamp::default(),
        };
        if self.sets == 0 {
            return;
        }
        let make = || {
            let slots = 0..self.sets * WAYS;
            slots.map(|_| ArcSwapOption::empty()).collect()
        };
        let set = self.set(self.slots.get_or_init(make), &entry.digest);
        if let Some(slot) = set.iter().min_by_key(|slot| worth(slot)) {
            slot.store(Some(Arc::new(entry)));
        }
    }

    fn set<'p>(
        &self,
        slots: &'p [ArcSwapOption<Entry>],
        digest: &TokenDigest,
    ) -> &'p [ArcSwapOption<Entry>] {
        let at = digest.index() & (self.sets - 1);
        &slots[at * WAYS..][..WAYS]
    }
}

/// A cached token, borrowed from the table.
pub(crate) struct Hit(Guard<Option<Arc<Entry>>>);

impl Hit {
    pub(crate) fn verified(&self) -> Option<&VerifiedToken> {
        self.0.as_ref().map(|entry| &entry.verified)
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("capacity", &(self.sets * WAYS))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use stockade_core::identity::Principal;

    use super::*;
    use crate::rules::ValidityPeriod;

    fn entry(text: &str, generation: u64, until: u64) -> Entry {
        Entry {
            digest: TokenDigest::of(text),
            generation,
            verified: VerifiedToken {
                principal: Principal::builder(text).build(),
                validity: ValidityPeriod::new(Duration::ZERO, Timestamp::from_secs(until)),
                token_id: None,
            },
        }
    }

    fn id(cache: &Cache, text: &str, generation: u64) -> Option<String> {
        let hit = cache.get(&TokenDigest::of(text), generation)?;
        Some(hit.verified()?.principal.id().to_owned())
    }

    #[test]
    fn finds_tokens_by_digest_and_generation() {
        let cache = Cache::new(16);
        cache.insert(entry("a", 1, 100));
        assert_eq!(id(&cache, "a", 1).as_deref(), Some("a"));
        assert_eq!(id(&cache, "b", 1), None);
        assert_eq!(id(&cache, "a", 2), None);
    }

    #[test]
    fn evicts_the_token_that_expires_first() {
        let cache = Cache::new(WAYS);
        for n in 0..1_000 {
            cache.insert(entry(&n.to_string(), 1, 1_000 + n));
        }
        let kept: Vec<_> = (0..1_000)
            .filter(|n| id(&cache, &n.to_string(), 1).is_some())
            .collect();
        assert_eq!(kept, Vec::from_iter(992..1_000));
        // Tokens of an older generation are evicted first.
        cache.insert(entry("new", 2, 5));
        cache.insert(entry("newer", 2, 6));
        assert!(id(&cache, "new", 2).is_some() && id(&cache, "newer", 2).is_some());
    }

    #[test]
    fn zero_capacity_disables_the_cache() {
        let cache = Cache::new(0);
        cache.insert(entry("a", 1, 100));
        assert_eq!(id(&cache, "a", 1), None);
    }
}
