//! The in-memory key store.

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

/// A key store in memory, without persistence.
///
/// Every change copies the whole set: suitable for thousands of keys, not for millions with
/// frequent changes.
///
/// ```
/// use stockade_key_auth::{GeneratedKey, KeyRecord, KeyStore, MemoryKeyStore};
///
/// let store = MemoryKeyStore::new();
/// let key = GeneratedKey::new("sk", "team-core".parse()?)?;
/// store.insert(KeyRecord::new(key.id().clone(), key.digest()))?;
/// assert_eq!(store.keys().current().len(), 1);
/// assert!(store.remove(key.id()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Default)]
pub struct MemoryKeyStore {
    records: Mutex<Records>,
    live: LiveKeys,
}

impl MemoryKeyStore {
    /// Creates an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Inserts a key, or replaces the one with the same id.
    ///
    /// # Errors
    /// Returns an error when another key has the same hash; the store is unchanged then.
    pub fn insert(&self, record: KeyRecord) -> Result<(), DuplicateKeyError> {
        self.edit(|records| {
            records.put(record);
            Ok(())
        })
    }

    /// Removes a key, which is rejected from the next request on. Returns whether it existed.
    pub fn remove(&self, id: &KeyId) -> bool {
        let mut removed = false;
        let edited = self.edit(|records| {
            removed = records.remove(id);
            Ok::<_, DuplicateKeyError>(())
        });
        debug_assert!(edited.is_ok(), "removing a key cannot create duplicates");
        removed
    }

    /// Edits a copy of the records, and publishes it when it is valid.
    fn edit<T, E>(&self, edit: impl FnOnce(&mut Records) -> Result<T, E>) -> Result<T, E>
    where
        E: From<DuplicateKeyError>,
    {
        // A panic leaves the records unchanged: only the copy is dropped.
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
        // Requests do not read the time of last use, so no new set is published.
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
