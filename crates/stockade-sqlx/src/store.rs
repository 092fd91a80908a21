//! A key store in a database.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use stockade_core::clock::Timestamp;
use stockade_key_auth::{
    KeyChange, KeyId, KeyRecord, KeySet, KeyStore, KeyStoreError, KeyStoreErrorKind, LiveKeys,
    StoreFuture,
};
use stockade_watch::SourceHealth;
use tokio::{task, time};

use crate::{
    StoreHealth,
    active_keys::{ActiveKeys, Publisher},
    database::{self, Database},
    follow::{self, StopOnDrop},
    health::Health,
};

/// How long a database may take for one change, and for all rows.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(10);
const LOAD_TIMEOUT: Duration = Duration::from_secs(60);

/// Keeps keys in SQLite or PostgreSQL. Cheap to clone.
///
/// The table is `stockade_keys`; it is made when a database is opened for the first time.
/// Requests never ask the database: they read the keys that were read last, and a change
/// made here is among them before its future resolves. The database is followed: changes by
/// others are among them within a second. That lasts as long as the store, one of its
/// [`LiveKeys`], or a guard, layer or service that takes its keys, and ends with the tokio
/// runtime. A store that [`connect_static`](Self::connect_static) opens reads the keys once.
#[derive(Clone)]
pub struct SqlKeyStore {
    inner: Arc<Inner>,
    /// The keys of `inner`, which keep the follower alive.
    keys: LiveKeys,
}

pub(crate) struct Inner {
    pub(crate) database: Box<dyn Database>,
    location: String,
    /// Without the follower, which refers to this.
    active: ActiveKeys,
    pub(crate) health: Health,
}

impl SqlKeyStore {
    /// Opens `sqlite:PATH`, `sqlite::memory:` or `postgres://USER:PASSWORD@HOST/DATABASE`,
    /// makes the tables or brings them up to date, reads all keys, and puts changes by others
    /// in force as they are made.
    ///
    /// PostgreSQL notifies of each change at once; a SQLite file is polled twice a second. A
    /// lost connection is made again, and all keys are read again then. What goes wrong is
    /// logged as an error and shown by [`health`](Self::health) and [`source`](Self::source).
    ///
    /// A file that is not there is made, for its owner only. Beyond this machine
    /// PostgreSQL is spoken to over verified TLS, unless the URL has another `sslmode`
    /// than `prefer`.
    ///
    /// # Errors
    /// When the database cannot be opened, or when a key in it is not valid: the error
    /// names the key. No error shows the URL, which may hold a password.
    pub async fn connect(url: &str) -> Result<Self, KeyStoreError> {
        let Self { inner, keys } = Self::connect_static(url).await?;
        let follower = task::spawn(follow::follow(Arc::clone(&inner)));
        let keys = keys.keep_alive(StopOnDrop(follower));
        Ok(Self { inner, keys })
    }

    /// As [`connect`](Self::connect), but reads the keys once: changes by others have no effect
    /// until [`reload`](Self::reload). For tools.
    ///
    /// In front of a server it means that a key which is revoked elsewhere stays valid.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn connect_static(url: &str) -> Result<Self, KeyStoreError> {
        let (database, location) = time::timeout(LOAD_TIMEOUT, database::open(url))
            .await
            .unwrap_or_else(|_| Err(timeout_error()))?;
        let inner = Arc::new(Inner {
            health: Health::new(&location),
            database,
            location,
            active: ActiveKeys::default(),
        });
        inner.reload().await?;
        Ok(Self {
            keys: inner.active.live().clone(),
            inner,
        })
    }

    /// Reads all keys again.
    ///
    /// # Errors
    /// When the database cannot be read: the keys that were in force stay in force. When a
    /// key in it is not valid: then what was in force of that key stays in force.
    pub async fn reload(&self) -> Result<(), KeyStoreError> {
        self.inner.reload().await
    }

    /// The database without its user, password and parameters.
    pub fn location(&self) -> &str {
        &self.inner.location
    }

    /// How the store fares with its database.
    pub fn health(&self) -> StoreHealth {
        self.inner.health.now()
    }

    /// How the database fares as a source of keys: its age, its failures and the last error.
    /// For metrics and readiness, together with other watched sources.
    pub fn source(&self) -> &SourceHealth {
        self.inner.health.source()
    }

    /// Runs to its end also when the caller leaves: a change that the database has taken
    /// must come into force.
    fn run<T, F>(&self, work: impl FnOnce(Arc<Inner>) -> F) -> StoreFuture<'_, T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, KeyStoreError>> + Send + 'static,
    {
        let inner = Arc::clone(&self.inner);
        let work = work(Arc::clone(&inner));
        Box::pin(async move {
            let result = task::spawn(work).await.unwrap_or_else(|stopped| {
                Err(
                    KeyStoreError::new(KeyStoreErrorKind::Unavailable, "the store was stopped")
                        .with_source(stopped),
                )
            });
            inner.health.note(&result);
            result
        })
    }
}

impl Inner {
    /// How many keys are in force.
    pub(crate) fn len(&self) -> usize {
        self.active.live().current().len()
    }

    pub(crate) async fn reload(&self) -> Result<(), KeyStoreError> {
        let publisher = self.active.lock().await;
        self.reload_with(publisher).await
    }

    async fn reload_with(&self, publisher: Publisher) -> Result<(), KeyStoreError> {
        let result = match with_timeout(LOAD_TIMEOUT, self.database.load()).await {
            Ok(rows) => publisher.publish_all(rows).await,
            Err(error) => Err(error),
        };
        self.health.note(&result);
        self.health.read(&result);
        result
    }

    async fn publish(&self, publisher: Publisher, record: KeyRecord) -> Result<(), KeyStoreError> {
        match publisher.publish(record).await? {
            None => Ok(()),
            Some(publisher) => self.reload_with(publisher).await,
        }
    }
}

impl KeyStore for SqlKeyStore {
    fn keys(&self) -> LiveKeys {
        self.keys.clone()
    }

    fn list(&self) -> StoreFuture<'_, Vec<KeyRecord>> {
        self.run(|inner| async move {
            let rows = with_timeout(LOAD_TIMEOUT, inner.database.load()).await?;
            let records: Result<Vec<_>, _> = rows.into_iter().map(|row| row.record).collect();
            let mut records = records?;
            records.sort_by(|a, b| a.id.cmp(&b.id));
            Ok(records)
        })
    }

    fn create(&self, record: KeyRecord) -> StoreFuture<'_, ()> {
        self.run(|inner| async move {
            if record.has_known_secret() {
                return Err(KeyStoreError::known_secret(&record.id));
            }
            // Refuses a record whose own two hashes are the same.
            KeySet::new([record.clone()])?;
            let publisher = inner.active.lock().await;
            with_timeout(CHANGE_TIMEOUT, inner.database.insert(record.clone())).await?;
            inner.publish(publisher, record).await
        })
    }

    fn change(&self, id: KeyId, change: KeyChange) -> StoreFuture<'_, KeyRecord> {
        self.run(|inner| async move {
            let publisher = inner.active.lock().await;
            let changed = with_timeout(CHANGE_TIMEOUT, inner.database.change(id, change)).await?;
            inner.publish(publisher, changed.clone()).await?;
            Ok(changed)
        })
    }

    fn record_use(&self, ids: Vec<KeyId>, at: Timestamp) -> StoreFuture<'_, ()> {
        self.run(|inner| async move {
            with_timeout(CHANGE_TIMEOUT, inner.database.record_use(ids, at)).await
        })
    }
}

async fn with_timeout<T>(limit: Duration, work: StoreFuture<'_, T>) -> Result<T, KeyStoreError> {
    let done = time::timeout(limit, work).await;
    done.unwrap_or_else(|_| Err(timeout_error()))
}

fn timeout_error() -> KeyStoreError {
    KeyStoreError::new(
        KeyStoreErrorKind::Unavailable,
        "the database does not answer; a change may still be made when it does",
    )
}

impl fmt::Debug for SqlKeyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlKeyStore")
            .field("location", &self.inner.location)
            .field("keys", self.inner.active.live())
            .field("health", &self.health())
            .finish_non_exhaustive()
    }
}
