//! The keys of the program, listed from memory.

mod entry;
mod last_use;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use stockade_core::clock::Timestamp;
use stockade_key_auth::{KeyChange, KeyId, KeyRecord, KeyStore, KeyStoreError, KeyStoreErrorKind};
use tokio::{runtime::Handle, time};

use crate::error::{ApiError, ApiResult};
pub(crate) use entry::{KeyEntry, KeyState, KeyView, TEAM, rfc3339};
pub(crate) use last_use::add_last_uses;

/// The times of last use are not published, so the records are read again after this time.
const MAX_AGE: Duration = Duration::from_secs(30);

/// How long a list waits for the records after a change by another process. Reading many takes
/// longer; the list is that of the previous state then.
const PATIENCE: Duration = Duration::from_millis(50);

/// All records by id. Cheap to clone.
pub(crate) type KeyMap = Arc<BTreeMap<KeyId, Arc<KeyEntry>>>;

/// A key store with a copy of its records in memory, so that a list of 100,000 keys is not read
/// from a database for each page. Cheap to clone.
///
/// Changes through this directory are in the copy at once. Changes by others are read after the
/// store has published them.
#[derive(Clone)]
pub(crate) struct KeyDirectory(Arc<Inner>);

struct Inner {
    store: Arc<dyn KeyStore>,
    /// The number of published sets.
    published: Arc<AtomicU64>,
    copy: Mutex<Copy>,
    /// Held while the records are read.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Copy {
    keys: KeyMap,
    /// The number of published sets before the records were read; `None` before the first time.
    published: Option<u64>,
    read_at: Option<Instant>,
    /// The changes since the present reading began, which it may have missed.
    changed: Vec<Arc<KeyEntry>>,
}

impl KeyDirectory {
    pub(crate) fn new(store: Arc<dyn KeyStore>) -> Self {
        let published = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&published);
        store.keys().on_publish(move |_| {
            counter.fetch_add(1, Ordering::Release);
        });
        let directory = Self(Arc::new(Inner {
            store,
            published,
            copy: Mutex::default(),
            reading: tokio::sync::Mutex::default(),
        }));
        // The first list does not wait for many keys. A failure is in the log.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(directory.clone().read());
        }
        directory
    }

    /// All records.
    ///
    /// # Errors
    /// When the store has never been read, and cannot be.
    pub(crate) async fn all(&self) -> ApiResult<KeyMap> {
        let published = self.0.published.load(Ordering::Acquire);
        let (keys, known, read_at) =
            self.with_copy(|copy| (Arc::clone(&copy.keys), copy.published, copy.read_at));
        let is_old = read_at.is_none_or(|at| at.elapsed() > MAX_AGE);
        if known == Some(published) && !is_old {
            return Ok(keys);
        }
        let reading = tokio::spawn(self.clone().read());
        match known {
            None => {
                let read = reading.await;
                read.unwrap_or_else(|_| Err(stopped()))?;
            }
            // Only the times of last use are old.
            Some(known) if known == published => return Ok(keys),
            Some(_) => {
                // A task is not cancelled; its failure is in the log.
                let _ = time::timeout(PATIENCE, reading).await;
            }
        }
        Ok(self.with_copy(|copy| Arc::clone(&copy.keys)))
    }

    /// Returns one record.
    ///
    /// # Errors
    /// When no key has this id.
    pub(crate) async fn find(&self, id: &str) -> ApiResult<Arc<KeyEntry>> {
        let id: Option<KeyId> = id.parse().ok();
        let keys = self.all().await?;
        let found = id.and_then(|id| keys.get(&id).cloned());
        found.ok_or_else(|| ApiError::not_found("no key has this id"))
    }

    /// Adds a key, which is valid when the future resolves.
    pub(crate) async fn create(&self, record: KeyRecord) -> ApiResult<Arc<KeyEntry>> {
        let created = self.0.store.create(record.clone()).await;
        created.map_err(|error| match error.kind() {
            KeyStoreErrorKind::Duplicate if record.hash.as_certificate().is_some() => {
                ApiError::conflict("a key with this id or certificate exists")
            }
            _ => error.into(),
        })?;
        Ok(self.put(record))
    }

    /// Changes a key; the change is in force when the future resolves.
    pub(crate) async fn change(&self, id: KeyId, change: KeyChange) -> ApiResult<Arc<KeyEntry>> {
        let record = self.0.store.change(id, change).await?;
        Ok(self.put(record))
    }

    async fn read(self) -> ApiResult<()> {
        let _reading = self.0.reading.lock().await;
        let published = self.0.published.load(Ordering::Acquire);
        let is_new = self.with_copy(|copy| {
            copy.changed.clear();
            let is_old = copy.read_at.is_none_or(|at| at.elapsed() > MAX_AGE);
            copy.published == Some(published) && !is_old
        });
        if is_new {
            return Ok(());
        }
        let records = self.0.store.list().await?;
        let entries = records.into_iter().map(KeyEntry::new).map(Arc::new);
        let mut keys: BTreeMap<_, _> = entries
            .map(|entry| (entry.record.id.clone(), entry))
            .collect();
        self.with_copy(|copy| {
            for entry in copy.changed.drain(..) {
                keys.insert(entry.record.id.clone(), entry);
            }
            copy.keys = Arc::new(keys);
            copy.published = Some(published);
            copy.read_at = Some(Instant::now());
        });
        Ok(())
    }

    fn put(&self, record: KeyRecord) -> Arc<KeyEntry> {
        let entry = Arc::new(KeyEntry::new(record));
        self.with_copy(|copy| {
            let keys = Arc::make_mut(&mut copy.keys);
            keys.insert(entry.record.id.clone(), Arc::clone(&entry));
            copy.changed.push(Arc::clone(&entry));
        });
        entry
    }

    fn with_copy<T>(&self, work: impl FnOnce(&mut Copy) -> T) -> T {
        // Each step leaves the copy valid.
        let copy = self.0.copy.lock();
        work(&mut copy.unwrap_or_else(PoisonError::into_inner))
    }
}

/// The current time, with the precision of the API.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_nanos(u64::try_from(crate::time::now()).unwrap_or_default() * 1_000_000)
}

fn stopped() -> ApiError {
    KeyStoreError::new(KeyStoreErrorKind::Unavailable, "the key store was stopped").into()
}

/// Failures of the store are logged; the response has no details of them.
impl From<KeyStoreError> for ApiError {
    fn from(error: KeyStoreError) -> Self {
        match error.kind() {
            KeyStoreErrorKind::NotFound => Self::not_found("no key has this id"),
            KeyStoreErrorKind::Duplicate => Self::conflict("a key with this id exists").param("id"),
            KeyStoreErrorKind::Conflict => Self::changed_meanwhile(),
            KeyStoreErrorKind::Inactive => Self::conflict(error.to_string()),
            KeyStoreErrorKind::Invalid => Self::new(
                http::StatusCode::BAD_REQUEST,
                "VALIDATION_ERROR",
                error.to_string(),
            ),
            _ => {
                tracing::error!(%error, "the key store failed");
                Self::new(
                    http::StatusCode::SERVICE_UNAVAILABLE,
                    "STORE_UNAVAILABLE",
                    "the key store is unavailable; try again",
                )
            }
        }
    }
}
