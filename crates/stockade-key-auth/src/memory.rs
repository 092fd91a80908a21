//! Keys in memory.

use std::{
    fmt,
    future::ready,
    sync::{Mutex, PoisonError},
};

use stockade_core::clock::Timestamp;

use crate::{
    DuplicateKeyError, KeyChange, KeyId, KeyRecord, KeyStore, KeyStoreError, LiveKeys, StoreFuture,
    records::Records,
};

/// Keeps keys in memory; they are gone with the process.
///
/// A change copies the whole set, so this is for thousands of keys, not for millions that
/// change by the minute.
#[derive(Default)]
pub struct MemoryKeyStore {
    records: Mutex<Records>,
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
        self.edit(|records| {
            records.put(record);
            Ok(())
        })
    }

    /// Removes a key; it is refused from the next request on. Whether there was one.
    pub fn remove(&self, id: &KeyId) -> bool {
        let mut removed = false;
        let edited = self.edit(|records| {
            removed = records.remove(id);
            Ok::<_, DuplicateKeyError>(())
        });
        debug_assert!(edited.is_ok(), "fewer keys make no duplicates");
        removed
    }

    /// Changes a copy, and puts it in force when it is sound.
    fn edit<T, E>(&self, edit: impl FnOnce(&mut Records) -> Result<T, E>) -> Result<T, E>
    where
        E: From<DuplicateKeyError>,
    {
        // A panic leaves nothing half changed: the copy is dropped.
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let mut edited = records.clone();
        let result = edit(&mut edited)?;
        let set = edited.set()?;
        *records = edited;
        self.live.publish(set);
        Ok(result)
    }
}

impl KeyStore for MemoryKeyStore {
    fn keys(&self) -> LiveKeys {
        self.live.clone()
    }

    fn list(&self) -> StoreFuture<'_, Vec<KeyRecord>> {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        Box::pin(ready(Ok(records.list())))
    }

    fn create(&self, record: KeyRecord) -> StoreFuture<'_, ()> {
        if record.has_known_secret() {
            return Box::pin(ready(Err(KeyStoreError::known_secret(&record.id))));
        }
        let created = self.edit(|records| records.create(record).map_err(KeyStoreError::from));
        Box::pin(ready(created))
    }

    fn change(&self, id: KeyId, change: KeyChange) -> StoreFuture<'_, KeyRecord> {
        Box::pin(ready(self.edit(|records| records.change(&id, &change))))
    }

    fn record_use(&self, ids: Vec<KeyId>, at: Timestamp) -> StoreFuture<'_, ()> {
        // Who used a key is nothing that requests look at: no new set.
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.record_use(&ids, at);
        Box::pin(ready(Ok(())))
    }
}

impl fmt::Debug for MemoryKeyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MemoryKeyStore").field(&self.live).finish()
    }
}
