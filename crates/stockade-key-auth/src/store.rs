//! Key stores.

use std::{
    any::Any,
    error::Error,
    fmt,
    future::Future,
    panic::{self, AssertUnwindSafe},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arc_swap::{ArcSwap, Guard};
use stockade_core::clock::Timestamp;
use tracing::error;

use crate::{
    DuplicateKeyError, KeyChange, KeyChangeError, KeyDigest, KeyId, KeyRecord, KeySet,
    set::{Entry, SlowEntry},
};

/// A key store. Publishes the current [`KeySet`], and a new one on every change.
///
/// Requests read the published set and never wait for the store, so known keys keep working
/// while the store is slow or down. A change takes effect for requests that begin after its
/// publication, which precedes the resolution of its future.
pub trait KeyStore: Send + Sync + 'static {
    /// Returns the published keys.
    fn keys(&self) -> LiveKeys;

    /// Lists all records by id, including revoked and expired ones.
    fn list(&self) -> StoreFuture<'_, Vec<KeyRecord>>;

    /// Adds a key. An existing id or hash is a [`Duplicate`](KeyStoreErrorKind::Duplicate); the
    /// hash of a well-known secret is [`Invalid`](KeyStoreErrorKind::Invalid).
    fn create(&self, record: KeyRecord) -> StoreFuture<'_, ()>;

    /// Applies a change to one key atomically, and returns the new record.
    fn change(&self, id: KeyId, change: KeyChange) -> StoreFuture<'_, KeyRecord>;

    /// Records uses of keys. Unknown ids are ignored.
    fn record_use(&self, ids: Vec<KeyId>, at: Timestamp) -> StoreFuture<'_, ()>;

    /// Records all keys used since the last call; call it every minute.
    ///
    /// On failure these uses are lost, until the keys are used again.
    fn flush_usage(&self, now: Timestamp) -> StoreFuture<'_, ()> {
        let used = self.keys().current().take_used();
        match used.is_empty() {
            true => Box::pin(std::future::ready(Ok(()))),
            false => self.record_use(used, now),
        }
    }
}

/// The boxed future of a store operation.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, KeyStoreError>> + Send + 'a>>;

/// A handle to the current [`KeySet`], shared by a store and its readers. Cheap to clone.
///
/// A store that follows a file or a database does so as long as a clone of its keys exists, and
/// every guard, layer and service holds one.
///
/// ```
/// use stockade_key_auth::{GeneratedKey, KeyAuthLayer, KeyRecord, KeySet, LiveKeys};
///
/// let keys = LiveKeys::default();
/// let layer = KeyAuthLayer::with_keys(keys.clone());
/// // A store of your own publishes each change; the layer uses it for the next request.
/// let key = GeneratedKey::new("sk", "team-core".parse()?)?;
/// keys.publish(KeySet::new([KeyRecord::new(key.id().clone(), key.digest())])?);
/// assert_eq!(keys.current().len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct LiveKeys {
    live: Arc<Live>,
    /// Keeps the publisher alive. Not part of [`Live`], which the publisher refers to.
    publisher: Option<Arc<dyn Any + Send + Sync>>,
}

#[derive(Default)]
struct Live {
    set: ArcSwap<KeySet>,
    /// Locked during publication, so that listeners receive sets in order.
    listeners: Mutex<Vec<Box<Listener>>>,
}

type Listener = dyn FnMut(&Arc<KeySet>) + Send;

impl LiveKeys {
    /// Creates a handle with an initial set.
    pub fn new(set: KeySet) -> Self {
        Self {
            live: Arc::new(Live {
                set: ArcSwap::from_pointee(set),
                listeners: Mutex::default(),
            }),
            publisher: None,
        }
    }

    /// Returns a handle that keeps a value alive, which is dropped with the last clone.
    ///
    /// For stores that follow a file or a database: pass the handle of the thread or task that
    /// publishes, so that it ends when no reader is left. That thread or task must publish through
    /// a handle without the value, or it would keep itself alive.
    pub fn keep_alive(self, publisher: impl Any + Send + Sync) -> Self {
        let publisher: Arc<dyn Any + Send + Sync> = match self.publisher {
            Some(other) => Arc::new((publisher, other)),
            None => Arc::new(publisher),
        };
        Self {
            live: self.live,
            publisher: Some(publisher),
        }
    }

    /// Replaces the set, for all requests that begin after this call.
    pub fn publish(&self, set: KeySet) {
        let mut listeners = self.listeners();
        set.carry_over(&self.load());
        self.store(set);
        let set = self.current();
        for listener in &mut *listeners {
            // The publisher, such as the thread that follows a file, must go on.
            if panic::catch_unwind(AssertUnwindSafe(|| listener(&set))).is_err() {
                error!("a listener for key changes panicked");
            }
        }
    }

    pub(crate) fn store(&self, set: KeySet) {
        self.live.set.store(Arc::new(set));
    }

    /// Returns the current set.
    pub fn current(&self) -> Arc<KeySet> {
        self.live.set.load_full()
    }

    /// Calls a listener with the current set, and with each later one in order;
    /// [`KeySet::events_since`] compares them. The publisher calls it with the locks of the store
    /// held: it must not block, and not access a store.
    pub fn on_publish(&self, mut listener: impl FnMut(&Arc<KeySet>) + Send + 'static) {
        let mut listeners = self.listeners();
        listener(&self.current());
        listeners.push(Box::new(listener));
    }

    pub(crate) fn load(&self) -> Guard<Arc<KeySet>> {
        self.live.set.load()
    }

    /// Caches the digest of a verified key in the current set; `None` if that set has no such hash.
    pub(crate) fn cache_verified(
        &self,
        digest: KeyDigest,
        matched: &SlowEntry,
    ) -> Option<Arc<Entry>> {
        loop {
            let set = self.current();
            let entry = set.cache_verified(digest, matched);
            // A set that was replaced meanwhile may have carried over its cache before this entry.
            if Arc::ptr_eq(&set, &self.load()) {
                return entry;
            }
        }
    }

    fn listeners(&self) -> MutexGuard<'_, Vec<Box<Listener>>> {
        // Panics of listeners are caught, so the list is consistent.
        let listeners = self.live.listeners.lock();
        listeners.unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for LiveKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LiveKeys").field(&*self.load()).finish()
    }
}

/// The error of a store operation. Shows neither keys nor hashes.
#[derive(Debug)]
pub struct KeyStoreError {
    kind: KeyStoreErrorKind,
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The kinds of [`KeyStoreError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyStoreErrorKind {
    /// A key with this id or hash exists.
    Duplicate,
    /// No key has this id.
    NotFound,
    /// The key does not allow the change: it was revoked, has expired, or has no secret to replace.
    Inactive,
    /// The key differs from the expected record.
    Conflict,
    /// The record is invalid: a text or a time is out of bounds, or the hash is that of a
    /// well-known secret.
    Invalid,
    /// The stored data is invalid.
    Corrupt,
    /// The store cannot be reached, read or written.
    Unavailable,
}

impl KeyStoreError {
    /// Creates an error; the message describes the failure and the fix.
    pub fn new(kind: KeyStoreErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// Sets the source of the error.
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Creates the error of a record with the hash of a [well-known
    /// secret](crate::KeyHash::is_of_known_secret).
    pub fn known_secret(id: &KeyId) -> Self {
        Self::new(
            KeyStoreErrorKind::Invalid,
            format!("the key {id}: {KNOWN_SECRET}"),
        )
    }

    /// Creates the error of an unknown id.
    pub fn not_found(id: &KeyId) -> Self {
        Self::new(
            KeyStoreErrorKind::NotFound,
            format!("no key with the id {id} exists"),
        )
    }

    /// Returns the kind of the error.
    pub fn kind(&self) -> KeyStoreErrorKind {
        self.kind
    }
}

/// The message for hashes of well-known secrets.
pub(crate) const KNOWN_SECRET: &str = "its hash is that of a well-known secret, which anyone can \
     guess; remove its entry, and generate a key with `stockade keys new`";

impl From<KeyChangeError> for KeyStoreErrorKind {
    fn from(error: KeyChangeError) -> Self {
        match error {
            KeyChangeError::Revoked | KeyChangeError::Expired | KeyChangeError::Certificate => {
                Self::Inactive
            }
            KeyChangeError::KnownSecret => Self::Invalid,
            KeyChangeError::Conflict => Self::Conflict,
        }
    }
}

impl From<DuplicateKeyError> for KeyStoreError {
    fn from(error: DuplicateKeyError) -> Self {
        Self::new(KeyStoreErrorKind::Duplicate, error.to_string())
    }
}

impl From<KeyChangeError> for KeyStoreError {
    fn from(error: KeyChangeError) -> Self {
        Self::new(error.into(), error.to_string())
    }
}

impl fmt::Display for KeyStoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for KeyStoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
