//! Where families of refresh tokens are kept.

use std::{
    collections::HashMap,
    error::Error,
    fmt,
    future::{Future, ready},
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
};

use stockade_core::clock::Timestamp;

use crate::{RefreshFamily, Rotation, RotationRequest, TokenDigest};

/// What a [`RefreshStore`] answers, sooner or later.
pub type RefreshStoreFuture<'s, T> =
    Pin<Box<dyn Future<Output = Result<T, RefreshStoreError>> + Send + 's>>;

/// Keeps families of refresh tokens, each under the digest of its secret name.
pub trait RefreshStore: Send + Sync + 'static {
    /// Keeps a new family. Fails when there is no room.
    fn insert(
        &self,
        name: TokenDigest,
        family: RefreshFamily,
        now: Timestamp,
    ) -> RefreshStoreFuture<'_, ()>;

    /// Decides about a rotation in one step, as [`RefreshFamily::rotate`] does: of two
    /// requests with the same token at the same time, one finds it reused. A family that
    /// was not rotated is removed.
    fn rotate(
        &self,
        name: TokenDigest,
        request: RotationRequest,
    ) -> RefreshStoreFuture<'_, Rotation>;

    /// Removes a family. Whether there was one.
    fn remove(&self, name: TokenDigest) -> RefreshStoreFuture<'_, bool>;
}

/// Why a store could not do its work.
#[derive(Debug)]
pub struct RefreshStoreError {
    full: bool,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl RefreshStoreError {
    /// There is no room for another login.
    pub fn full() -> Self {
        Self {
            full: true,
            source: None,
        }
    }

    /// The store does not answer.
    pub fn unavailable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            full: false,
            source: Some(source.into()),
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.full
    }
}

impl fmt::Display for RefreshStoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.full {
            true => "there is no room for another login; configure a larger store",
            false => "the store of refresh tokens does not answer",
        })
    }
}

impl Error for RefreshStoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Keeps families in memory, at most so many; they are gone with the process.
///
/// A full store drops the logins that have ended, and then refuses new ones: it never
/// logs anybody out for somebody else.
pub struct MemoryRefreshStore {
    families: Mutex<HashMap<[u8; 32], RefreshFamily>>,
    capacity: usize,
}

impl MemoryRefreshStore {
    /// A store of at most so many logins.
    pub fn new(capacity: usize) -> Self {
        Self {
            families: Mutex::default(),
            capacity,
        }
    }

    /// How many logins are kept, some of which may have ended.
    pub fn len(&self) -> usize {
        self.families().len()
    }

    /// Whether no login is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn families(&self) -> MutexGuard<'_, HashMap<[u8; 32], RefreshFamily>> {
        // Each change to the map is one call; a panic leaves none half done.
        self.families.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn insert_bounded(
        &self,
        name: TokenDigest,
        family: RefreshFamily,
        now: Timestamp,
    ) -> Result<(), RefreshStoreError> {
        let mut families = self.families();
        if families.len() >= self.capacity {
            families.retain(|_, family| now < family.idle_expires.min(family.expires));
        }
        if families.len() >= self.capacity {
            return Err(RefreshStoreError::full());
        }
        families.insert(*name.as_bytes(), family);
        Ok(())
    }

    fn decide(&self, name: TokenDigest, request: &RotationRequest) -> Rotation {
        let mut families = self.families();
        let Some(family) = families.get_mut(name.as_bytes()) else {
            return Rotation::Unknown;
        };
        let rotation = family.rotate(request);
        if !matches!(rotation, Rotation::Rotated { .. }) {
            families.remove(name.as_bytes());
        }
        rotation
    }
}

impl Default for MemoryRefreshStore {
    /// A hundred thousand logins.
    fn default() -> Self {
        Self::new(100_000)
    }
}

impl RefreshStore for MemoryRefreshStore {
    fn insert(
        &self,
        name: TokenDigest,
        family: RefreshFamily,
        now: Timestamp,
    ) -> RefreshStoreFuture<'_, ()> {
        Box::pin(ready(self.insert_bounded(name, family, now)))
    }

    fn rotate(
        &self,
        name: TokenDigest,
        request: RotationRequest,
    ) -> RefreshStoreFuture<'_, Rotation> {
        Box::pin(ready(Ok(self.decide(name, &request))))
    }

    fn remove(&self, name: TokenDigest) -> RefreshStoreFuture<'_, bool> {
        let removed = self.families().remove(name.as_bytes()).is_some();
        Box::pin(ready(Ok(removed)))
    }
}

impl fmt::Debug for MemoryRefreshStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryRefreshStore")
            .field("len", &self.len())
            .field("capacity", &self.capacity)
            .finish()
    }
}
