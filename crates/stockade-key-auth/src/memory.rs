//! Keys in memory.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, PoisonError},
};

use crate::{DuplicateKeyError, KeyId, KeyRecord, KeySet, KeyStore, LiveKeys};

/// Keeps keys in memory; they are gone with the process.
///
/// A change copies the whole set, so this is for thousands of keys, not for millions that
/// change by the minute.
#[derive(Default)]
pub struct MemoryKeyStore {
    records: Mutex<BTreeMap<KeyId, KeyRecord>>,
    live: LiveKeys,
}

impl MemoryKeyStore {
    /// A store without keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a key, or replaces the one with its id.
    ///
    /// # Errors
    /// When another key has the same hash; nothing is changed then.
    pub fn insert(&self, record: KeyRecord) -> Result<(), DuplicateKeyError> {
        self.change(|records| {
            records.insert(record.id().clone(), record);
        })
    }

    /// Removes a key; it is refused from the next request on. Whether there was one.
    pub fn remove(&self, id: &KeyId) -> bool {
        let mut removed = false;
        let changed = self.change(|records| removed = records.remove(id).is_some());
        debug_assert!(changed.is_ok(), "fewer keys make no duplicates");
        removed
    }

    fn change(
        &self,
        change: impl FnOnce(&mut BTreeMap<KeyId, KeyRecord>),
    ) -> Result<(), DuplicateKeyError> {
        // A panic cannot leave the map half changed: it is swapped below.
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = records.clone();
        change(&mut changed);
        let set = KeySet::new(changed.values().cloned())?;
        *records = changed;
        self.live.publish(set);
        Ok(())
    }
}

impl KeyStore for MemoryKeyStore {
    fn keys(&self) -> LiveKeys {
        self.live.clone()
    }
}

impl fmt::Debug for MemoryKeyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MemoryKeyStore").field(&self.live).finish()
    }
}
