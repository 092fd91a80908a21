//! The interface between a key store and a database.

use stockade_core::clock::Timestamp;
use stockade_key_auth::{KeyChange, KeyId, KeyRecord, KeyStoreError, StoreFuture};

use crate::{error, row::StoredKey};

/// A database with a table of keys.
///
/// Writes are serialised transactions across all processes: no index covers both columns of
/// hashes, so a query checks that a hash is unique.
pub(crate) trait Database: Send + Sync + 'static {
    /// Reads all rows.
    fn load(&self) -> StoreFuture<'_, Vec<StoredKey>>;

    /// Inserts a row.
    fn insert(&self, record: KeyRecord) -> StoreFuture<'_, ()>;

    /// Changes a row, and returns the new record.
    fn change(&self, id: KeyId, change: KeyChange) -> StoreFuture<'_, KeyRecord>;

    /// Notes when keys were used last.
    fn record_use(&self, ids: Vec<KeyId>, at: Timestamp) -> StoreFuture<'_, ()>;

    /// Subscribes to changes by any process.
    fn subscribe(&self) -> StoreFuture<'_, Box<dyn ChangeStream>>;
}

/// A stream of changes in a database.
pub(crate) trait ChangeStream: Send {
    /// Waits for a change. Returns `false` after a while without changes, if the database
    /// answers.
    ///
    /// # Errors
    /// When changes may have been missed.
    fn next(&mut self) -> StoreFuture<'_, bool>;
}

/// Opens the database of a URL, and creates or migrates its tables.
pub(crate) async fn open(url: &str) -> Result<(Box<dyn Database>, String), KeyStoreError> {
    #[cfg(feature = "sqlite")]
    if url.starts_with("sqlite:") {
        let database = crate::sqlite::Sqlite::open(url).await?;
        let location = database.location();
        return Ok((Box::new(database), location));
    }
    #[cfg(feature = "postgres")]
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        let database = crate::postgres::Postgres::open(url).await?;
        let location = database.location();
        return Ok((Box::new(database), location));
    }
    Err(error::unsupported_scheme())
}
