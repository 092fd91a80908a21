//! The active records, and their replacement.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use stockade_key_auth::{KeyId, KeyRecord, KeySet, KeyStoreError, KeyStoreErrorKind, LiveKeys};
use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    task,
};

use crate::row::StoredKey;

type Records = BTreeMap<KeyId, KeyRecord>;

/// The published keys, and the records behind them.
#[derive(Default)]
pub(crate) struct ActiveKeys {
    live: LiveKeys,
    records: Arc<Mutex<Records>>,
}

/// The exclusive right to publish records. It is acquired before a query and held until its
/// result is published, so that an older result never replaces a newer one and revives a
/// revoked key.
pub(crate) struct Publisher {
    live: LiveKeys,
    records: OwnedMutexGuard<Records>,
}

impl ActiveKeys {
    pub(crate) fn live(&self) -> &LiveKeys {
        &self.live
    }

    pub(crate) async fn lock(&self) -> Publisher {
        Publisher {
            live: self.live.clone(),
            records: Arc::clone(&self.records).lock_owned().await,
        }
    }
}

impl Publisher {
    /// Publishes all rows.
    ///
    /// An invalid row, or two rows with the same hash, grant no access: the last valid record of
    /// such a key stays active, unless its row is revoked; a key without one is inactive. The
    /// other rows are published, since a revocation among them must not wait for a repair.
    ///
    /// # Errors
    /// When a row is invalid, after publishing the others.
    pub(crate) async fn publish_all(mut self, rows: Vec<StoredKey>) -> Result<(), KeyStoreError> {
        run_blocking(move || {
            let mut records = Records::new();
            let mut corrupt = None;
            for row in rows {
                let record = row.record.or_else(|error| {
                    corrupt = Some(error);
                    let id = row.id.parse().ok();
                    id.and_then(|id: KeyId| self.records.get(&id).cloned())
                        .ok_or(())
                });
                if let Ok(record) = record {
                    records.insert(record.id.clone(), record);
                }
            }
            let mut restored = HashSet::new();
            let set = loop {
                let duplicate = match KeySet::new(records.values().cloned()) {
                    Ok(set) => break set,
                    Err(duplicate) => duplicate,
                };
                for id in duplicate.other().into_iter().chain([duplicate.key()]) {
                    let is_revoked = |record: KeyRecord| record.revoked.is_some();
                    let last = match records.remove(id).is_some_and(is_revoked) {
                        true => None,
                        false => self.records.get(id),
                    };
                    // Each record is restored once, so that the loop terminates.
                    if let Some(last) = last.filter(|_| restored.insert(id.clone())) {
                        records.insert(id.clone(), last.clone());
                    }
                }
                let message = duplicate.to_string();
                corrupt = Some(KeyStoreError::new(KeyStoreErrorKind::Corrupt, message));
            };
            *self.records = records;
            self.live.publish(set);
            corrupt.map_or(Ok(()), Err)
        })
        .await
    }

    /// Publishes one record after the database has accepted it.
    ///
    /// Returns the publisher if the record conflicts with another record: changes by other
    /// processes are missing here, and all rows must be read.
    pub(crate) async fn publish(
        mut self,
        record: KeyRecord,
    ) -> Result<Option<Self>, KeyStoreError> {
        run_blocking(move || {
            self.records.insert(record.id.clone(), record);
            match KeySet::new(self.records.values().cloned()) {
                Ok(set) => {
                    self.live.publish(set);
                    Ok(None)
                }
                Err(_) => Ok(Some(self)),
            }
        })
        .await
    }
}

/// Runs work outside of the async threads: 100,000 keys take a tenth of a second.
async fn run_blocking<T>(
    work: impl FnOnce() -> Result<T, KeyStoreError> + Send + 'static,
) -> Result<T, KeyStoreError>
where
    T: Send + 'static,
{
    task::spawn_blocking(work).await.map_err(|stopped| {
        KeyStoreError::new(
            KeyStoreErrorKind::Unavailable,
            "the new keys could not be activated",
        )
        .with_source(stopped)
    })?
}
