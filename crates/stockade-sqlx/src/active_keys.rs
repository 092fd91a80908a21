//! The records in force, and how others come into force.

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

/// The published set, and the records that it was made of.
#[derive(Default)]
pub(crate) struct ActiveKeys {
    live: LiveKeys,
    records: Arc<Mutex<Records>>,
}

/// The right to put records in force. It is held from before the database is asked until
/// the answer is in force, so that an older answer never replaces a newer one and a key
/// that was just revoked does not come back.
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
    /// Puts all rows in force.
    ///
    /// A row that is not valid opens nothing, and neither do two rows with the same hash: the
    /// last good record of such a key stays in force, unless its row says that it is revoked,
    /// and a key that had none is refused. The other rows are taken, since a revocation among
    /// them must not wait until someone fixes that one.
    ///
    /// # Errors
    /// When a row is not valid, after the others were taken.
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
                    // Once only, so that this ends.
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

    /// Puts one record in force that the database has taken.
    ///
    /// The publisher comes back when that cannot be told from another one: changes by others
    /// are missing here, and all rows have to be read.
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

/// Away from the async threads: a hundred thousand keys take a tenth of a second.
async fn run_blocking<T>(
    work: impl FnOnce() -> Result<T, KeyStoreError> + Send + 'static,
) -> Result<T, KeyStoreError>
where
    T: Send + 'static,
{
    task::spawn_blocking(work).await.map_err(|stopped| {
        KeyStoreError::new(
            KeyStoreErrorKind::Unavailable,
            "the keys were not put in force",
        )
        .with_source(stopped)
    })?
}
