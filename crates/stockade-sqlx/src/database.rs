//! What a key store asks of a database.

use stockade_core::clock::Timestamp;
use stockade_key_auth::{KeyChange, KeyId, KeyRecord, KeyStoreError, StoreFuture};

use crate::{error, row::StoredKey};

/// A database with the table of keys in it.
///
/// Each write is one transaction that no other write overlaps, whichever process makes
/// it: two keys with one hash are found by looking, and no index covers both columns.
pub(crate) trait Database: Send + Sync + 'static {
    /// All rows.
    fn load(&self) -> StoreFuture<'_, Vec<StoredKey>>;

    /// Adds a row.
    fn insert(&self, record: KeyRecord) -> StoreFuture<'_, ()>;

    /// ChangeStream a row, and says what it is now.
    fn change(&self, id: KeyId, change: KeyChange) -> StoreFuture<'_, KeyRecord>;

    /// Notes when keys were used last.
    fn record_use(&self, ids: Vec<KeyId>, at: Timestamp) -> StoreFuture<'_, ()>;

    /// Starts to listen for changes that anybody makes from now on.
    fn subscribe(&self) -> StoreFuture<'_, Box<dyn ChangeStream>>;
}

/// ChangeStream in a database, as they happen.
pub(crate) trait ChangeStream: Send {
    /// Waits for a change, or for a while: then it is `false`, and the database answers.
    ///
    /// # Errors
    /// When changes may have been missed.
    fn next(&mut self) -> StoreFuture<'_, bool>;
}

/// Opens the database of a URL, with its tables made or brought up to date.
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
