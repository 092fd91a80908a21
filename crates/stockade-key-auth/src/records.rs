//! Records in memory, and the operations that stores share.

use std::collections::BTreeMap;

use stockade_core::clock::Timestamp;

use crate::{DuplicateKeyError, KeyChange, KeyId, KeyRecord, KeySet, KeyStoreError};

/// All records of a store, by key id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Records(BTreeMap<KeyId, KeyRecord>);

impl Records {
    pub(crate) fn create(&mut self, record: KeyRecord) -> Result<(), DuplicateKeyError> {
        if self.0.contains_key(&record.id) {
            return Err(DuplicateKeyError::id(record.id));
        }
        self.put(record);
        Ok(())
    }

    pub(crate) fn put(&mut self, record: KeyRecord) {
        self.0.insert(record.id.clone(), record);
    }

    pub(crate) fn remove(&mut self, id: &KeyId) -> bool {
        self.0.remove(id).is_some()
    }

    pub(crate) fn change(
        &mut self,
        id: &KeyId,
        change: &KeyChange,
    ) -> Result<KeyRecord, KeyStoreError> {
        let record = self.0.get(id).ok_or_else(|| KeyStoreError::not_found(id))?;
        let changed = change.apply(record.clone())?;
        self.put(changed.clone());
        Ok(changed)
    }

    pub(crate) fn record_use(&mut self, ids: &[KeyId], at: Timestamp) {
        for record in ids
            .iter()
            .filter_map(|id| self.0.get(id).cloned())
            .collect::<Vec<_>>()
        {
            // Recording a use never fails.
            if let Ok(used) = (KeyChange::RecordUse { at }).apply(record) {
                self.put(used);
            }
        }
    }

    pub(crate) fn list(&self) -> Vec<KeyRecord> {
        self.0.values().cloned().collect()
    }

    pub(crate) fn set(&self) -> Result<KeySet, DuplicateKeyError> {
        KeySet::new(self.0.values().cloned())
    }
}

#[cfg(feature = "file")]
impl Records {
    pub(crate) fn new(
        records: impl IntoIterator<Item = KeyRecord>,
    ) -> Result<Self, DuplicateKeyError> {
        let mut all = Self::default();
        for record in records {
            all.create(record)?;
        }
        Ok(all)
    }

    pub(crate) fn get(&self, id: &KeyId) -> Option<&KeyRecord> {
        self.0.get(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &KeyRecord> {
        self.0.values()
    }
}
