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

/// The timeouts for one change, and for reading all rows.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(10);
const LOAD_TIMEOUT: Duration = Duration::from_secs(60);

/// A key store in SQLite or PostgreSQL. Cheap to clone.
///
/// The table `stockade_keys` is created when a database is opened for the first time. Requests
/// never query the database: they use the keys in memory. A change by this store is active
/// before its future resolves, and changes by other processes become active within a second.
/// The database is followed as long as the store, one of its [`LiveKeys`], or a guard, layer or
/// service that uses its keys, exists, and at most until the tokio runtime stops. A store opened
/// with [`connect_static`](Self::connect_static) reads the keys once.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use stockade_key_auth::{GeneratedKey, KeyAuthLayer, KeyRecord, KeyStore};
/// use stockade_sqlx::SqlKeyStore;
///
/// let store = SqlKeyStore::connect("sqlite::memory:").await?;
/// let key = GeneratedKey::new("sk", "team-core".parse()?)?;
/// store.create(KeyRecord::new(key.id().clone(), key.digest())).await?;
/// let layer = KeyAuthLayer::new(&store);
/// assert!(!store.health().stale);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "sqlite"))]
/// # fn main() {}
/// ```
#[derive(Clone)]
pub struct SqlKeyStore {
    inner: Arc<Inner>,
    /// The keys of `inner`; they keep the follower alive.
    keys: LiveKeys,
}

pub(crate) struct Inner {
    pub(crate) database: Box<dyn Database>,
    location: String,
    /// Does not keep the follower alive, which holds a reference to this.
    active: ActiveKeys,
    pub(crate) health: Health,
}

impl SqlKeyStore {
    /// Opens `sqlite:PATH`, `sqlite::memory:` or `postgres://USER:PASSWORD@HOST/DATABASE`,
    /// creates or migrates the tables, reads all keys, and follows changes by other processes.
    ///
    /// PostgreSQL sends a notification for each change; a SQLite file is polled twice a second.
    /// After a lost connection all keys are read again. Failures are logged as errors, and
    /// reported by [`health`](Self::health) and [`source`](Self::source).
    ///
    /// A missing SQLite file is created with mode 0600. Remote PostgreSQL servers require
    /// verified TLS, unless the URL sets an `sslmode` other than `prefer`.
    ///
    /// # Errors
    /// When the database cannot be opened, or a key in it is invalid: the error names the key.
    /// Errors do not contain the URL, which may contain a password.
    pub async fn connect(url: &str) -> Result<Self, KeyStoreError> {
        let Self { inner, keys } = Self::connect_static(url).await?;
        let follower = task::spawn(follow::follow(Arc::clone(&inner)));
        let keys = keys.keep_alive(StopOnDrop(follower));
        Ok(Self { inner, keys })
    }

    /// Opens a database like [`connect`](Self::connect), but does not follow changes by other
    /// processes: they have no effect until [`reload`](Self::reload). For tools.
    ///
    /// On a server, a key that another process revokes would stay valid.
    ///
    /// # Errors
    /// The same as for [`connect`](Self::connect).
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
    /// When the database cannot be read: all keys stay as they were. When a key in it is
    /// invalid: that key stays as it was.
    pub async fn reload(&self) -> Result<(), KeyStoreError> {
        self.inner.reload().await
    }

    /// The URL of the database without user, password and parameters.
    pub fn location(&self) -> &str {
        &self.inner.location
    }

    /// The health of the store.
    pub fn health(&self) -> StoreHealth {
        self.inner.health.now()
    }

    /// The health of the database as a watched source: the time of the last success, the number
    /// of failures and the last error. For metrics and readiness.
    pub fn source(&self) -> &SourceHealth {
        self.inner.health.source()
    }

    /// Runs work to completion, even if the caller drops the future: a committed change must
    /// become active.
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
            inner.health.record_query(&result);
            result
        })
    }
}

impl Inner {
    /// The number of active keys.
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
        self.health.record_query(&result);
        self.health.record_reload(&result);
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
            // Refuses a record with two equal hashes.
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
        "the database does not respond; a pending change may still be committed later",
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
