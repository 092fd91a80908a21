//! Where keys come from.

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

use crate::{DuplicateKeyError, KeyChange, KeyChangeError, KeyId, KeyRecord, KeySet};

/// A place where keys are kept: it publishes the set in force, and a new one on every
/// change.
///
/// Requests never ask a store; they read the published set. So a store that is slow or
/// down changes nothing for the keys that are known, and a change is in force for the
/// first request that begins after it was published, which is before the change's future
/// resolves.
pub trait KeyStore: Send + Sync + 'static {
    /// The keys that this store publishes.
    fn keys(&self) -> LiveKeys;

    /// All records, revoked and expired ones too, by id.
    fn list(&self) -> StoreFuture<'_, Vec<KeyRecord>>;

    /// Adds a key. An id or a hash that is there already is a
    /// [`Duplicate`](KeyStoreErrorKind::Duplicate), a hash of a well-known secret is
    /// [`Invalid`](KeyStoreErrorKind::Invalid).
    fn create(&self, record: KeyRecord) -> StoreFuture<'_, ()>;

    /// Changes one key, atomically, and returns its new record.
    fn change(&self, id: KeyId, change: KeyChange) -> StoreFuture<'_, KeyRecord>;

    /// Notes that these keys were used. Keys that are gone are passed over.
    fn record_use(&self, ids: Vec<KeyId>, at: Timestamp) -> StoreFuture<'_, ()>;

    /// Notes all keys that were used since this was last called; call it every minute.
    ///
    /// What cannot be noted is lost, and noted on the next use.
    fn flush_usage(&self, now: Timestamp) -> StoreFuture<'_, ()> {
        let used = self.keys().current().take_used();
        match used.is_empty() {
            true => Box::pin(std::future::ready(Ok(()))),
            false => self.record_use(used, now),
        }
    }
}

/// What a store promises to have done; boxed, since it takes a file or a database.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, KeyStoreError>> + Send + 'a>>;

/// The set of keys in force, shared by a store and its readers. Cheap to clone.
///
/// Where a store follows its file or its database, it does so as long as any clone of its keys
/// lives: each guard, layer and service that takes them has one.
#[derive(Clone, Default)]
pub struct LiveKeys {
    live: Arc<Live>,
    /// What publishes the sets. Never part of [`Live`], which the publisher refers to.
    publisher: Option<Arc<dyn Any + Send + Sync>>,
}

#[derive(Default)]
struct Live {
    set: ArcSwap<KeySet>,
    /// Held while a set is put in force, so that listeners hear of sets in their order.
    listeners: Mutex<Vec<Box<Listener>>>,
}

type Listener = dyn FnMut(&Arc<KeySet>) + Send;

impl LiveKeys {
    /// Keys that start as this set.
    pub fn new(set: KeySet) -> Self {
        Self {
            live: Arc::new(Live {
                set: ArcSwap::from_pointee(set),
                listeners: Mutex::default(),
            }),
            publisher: None,
        }
    }

    /// The same keys, which keep this alive: it is dropped with the last clone.
    ///
    /// For stores: hand out keys that keep alive what follows the file or the database, such
    /// as the handle of a thread or a task that ends when the handle is dropped. That thread
    /// or task publishes to the keys without it, since it would otherwise keep itself alive.
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

    /// Puts another set in force, for all requests that begin from now on.
    pub fn publish(&self, set: KeySet) {
        let mut listeners = self.listeners();
        set.carry_over(&self.load());
        self.store(set);
        let set = self.current();
        for listener in &mut *listeners {
            // Whoever publishes, such as the thread that follows a file, has to go on.
            if panic::catch_unwind(AssertUnwindSafe(|| listener(&set))).is_err() {
                error!("a listener of changed keys has panicked");
            }
        }
    }

    pub(crate) fn store(&self, set: KeySet) {
        self.live.set.store(Arc::new(set));
    }

    /// The set in force.
    pub fn current(&self) -> Arc<KeySet> {
        self.live.set.load_full()
    }

    /// Tells this listener of the set in force now, and of each that follows, in their
    /// order; [`KeySet::events_since`] says how they differ. It is called by whoever
    /// publishes, with a store's locks held: it must not block, and not ask or change a store.
    pub fn on_publish(&self, mut listener: impl FnMut(&Arc<KeySet>) + Send + 'static) {
        let mut listeners = self.listeners();
        listener(&self.current());
        listeners.push(Box::new(listener));
    }

    pub(crate) fn load(&self) -> Guard<Arc<KeySet>> {
        self.live.set.load()
    }

    fn listeners(&self) -> MutexGuard<'_, Vec<Box<Listener>>> {
        // A listener that panicked has told what it had to tell.
        let listeners = self.live.listeners.lock();
        listeners.unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for LiveKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LiveKeys").field(&*self.load()).finish()
    }
}

/// Why a store could not do what it was asked to. Shows neither keys nor hashes.
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
    /// There is a key with this id, or with this hash.
    Duplicate,
    /// There is no key with this id.
    NotFound,
    /// The key was revoked or has expired, and cannot be changed so.
    Inactive,
    /// The store does not take such a key: a text or a time in it is out of bounds, or its hash
    /// is that of a well-known secret.
    Invalid,
    /// What the store keeps is not what it should be.
    Corrupt,
    /// The store cannot be reached, read or written.
    Unavailable,
}

impl KeyStoreError {
    /// An error of this kind; the message says what happened and who can mend it.
    pub fn new(kind: KeyStoreErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// Names the error that this one comes from.
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The record has the hash of a [well-known
    /// secret](crate::KeyHash::is_of_known_secret).
    pub fn known_secret(id: &KeyId) -> Self {
        Self::new(
            KeyStoreErrorKind::Invalid,
            format!("the key {id}: {KNOWN_SECRET}"),
        )
    }

    /// There is no key with this id.
    pub fn not_found(id: &KeyId) -> Self {
        Self::new(
            KeyStoreErrorKind::NotFound,
            format!("there is no key with the id {id}"),
        )
    }

    /// Its kind.
    pub fn kind(&self) -> KeyStoreErrorKind {
        self.kind
    }
}

/// Why a hash of a well-known secret is refused, and what to do.
pub(crate) const KNOWN_SECRET: &str = "its hash is that of a well-known secret, which anyone can \
     guess; remove its entry, and generate a key with `stockade keys new`";

impl From<KeyChangeError> for KeyStoreErrorKind {
    fn from(error: KeyChangeError) -> Self {
        match error {
            KeyChangeError::Revoked | KeyChangeError::Expired => Self::Inactive,
            KeyChangeError::KnownSecret => Self::Invalid,
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
