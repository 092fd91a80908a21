//! Stores for families of refresh tokens.

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

/// The boxed future of a [`RefreshStore`] operation.
pub type RefreshStoreFuture<'s, T> =
    Pin<Box<dyn Future<Output = Result<T, RefreshStoreError>> + Send + 's>>;

/// A store for families of refresh tokens, keyed by the digest of their secret names.
pub trait RefreshStore: Send + Sync + 'static {
    /// Inserts a family. Fails when the store is full.
    fn insert(
        &self,
        name: TokenDigest,
        family: RefreshFamily,
        now: Timestamp,
    ) -> RefreshStoreFuture<'_, ()>;

    /// Applies [`RefreshFamily::rotate`] atomically: of two concurrent requests with the same
    /// token, one is a reuse. A family that was not rotated is removed.
    fn rotate(
        &self,
        name: TokenDigest,
        request: RotationRequest,
    ) -> RefreshStoreFuture<'_, Rotation>;

    /// Removes a family. Returns whether it existed.
    fn remove(&self, name: TokenDigest) -> RefreshStoreFuture<'_, bool>;
}

/// The error of a [`RefreshStore`].
#[derive(Debug)]
pub struct RefreshStoreError {
    full: bool,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl RefreshStoreError {
    /// Creates the error of a full store.
    pub fn full() -> Self {
        Self {
            full: true,
            source: None,
        }
    }

    /// Creates the error of a store that does not respond.
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
            true => "the store of refresh tokens is full; configure a larger one",
            false => "the store of refresh tokens does not respond",
        })
    }
}

impl Error for RefreshStoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// A bounded store in memory, without persistence.
///
/// A full store drops logins that have ended, and then rejects new ones; it never ends an active
/// login.
///
/// ```
/// use std::sync::Arc;
///
/// use stockade_jwt::{MemoryRefreshStore, RefreshTokens};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = Arc::new(MemoryRefreshStore::new(1));
/// let tokens = RefreshTokens::new(store.clone());
/// tokens.issue("alice", "chat:write".parse()?).await?;
/// // The store is full, and the login of alice is active.
/// assert!(tokens.issue("bob", "chat:write".parse()?).await.is_err());
/// assert_eq!(store.len(), 1);
/// # Ok(())
/// # }
/// ```
pub struct MemoryRefreshStore {
    families: Mutex<HashMap<[u8; 32], RefreshFamily>>,
    capacity: usize,
}

impl MemoryRefreshStore {
    /// Creates a store for at most `capacity` logins.
    pub fn new(capacity: usize) -> Self {
        Self {
            families: Mutex::default(),
            capacity,
        }
    }

    /// Returns the number of stored logins, including ended ones that are not removed yet.
    pub fn len(&self) -> usize {
        self.families().len()
    }

    /// Returns whether the store is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn families(&self) -> MutexGuard<'_, HashMap<[u8; 32], RefreshFamily>> {
        // Every change is a single call on the map, so a panic cannot leave it inconsistent.
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
    /// Creates a store for 100,000 logins.
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
