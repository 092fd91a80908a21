//! Revocation of tokens before they expire.

use std::{
    collections::HashMap,
    error::Error,
    fmt,
    future::{Future, ready},
    pin::Pin,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use stockade_core::clock::Timestamp;

/// A store of revoked tokens, by `jti`.
///
/// Every request asks the store, also for cached tokens, so revocation takes effect on the next
/// request.
pub trait RevocationStore: Send + Sync + 'static {
    /// Returns the status of the token with this id.
    fn status(&self, token_id: &str) -> RevocationStatus;

    /// Revokes a token until its expiry.
    ///
    /// # Errors
    /// Returns an error when the store cannot record it; the token remains valid then.
    fn revoke<'s>(
        &'s self,
        token_id: &'s str,
        until: Timestamp,
        now: Timestamp,
    ) -> Pin<Box<dyn Future<Output = Result<(), RevocationError>> + Send + 's>>;
}

/// The revocation status of a token.
#[non_exhaustive]
pub enum RevocationStatus {
    /// The token was not revoked.
    NotRevoked,
    /// The token was revoked.
    Revoked,
    /// The store responds later, with whether the token was revoked. An error refuses the request.
    Pending(Pin<Box<dyn Future<Output = Result<bool, RevocationError>> + Send>>),
}

impl fmt::Debug for RevocationStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotRevoked => "NotRevoked",
            Self::Revoked => "Revoked",
            Self::Pending(_) => "Pending(…)",
        })
    }
}

/// The error of a [`RevocationStore`].
#[derive(Debug)]
pub struct RevocationError {
    kind: RevocationErrorKind,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The kinds of [`RevocationError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RevocationErrorKind {
    /// The list is full of unexpired tokens; use a larger list or shorter lifetimes.
    Full,
    /// The store does not respond.
    Unavailable,
}

impl RevocationError {
    /// Creates the error of a store that has no room.
    pub fn full() -> Self {
        Self {
            kind: RevocationErrorKind::Full,
            source: None,
        }
    }

    /// Creates the error of a store that does not respond.
    pub fn unavailable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            kind: RevocationErrorKind::Unavailable,
            source: Some(source.into()),
        }
    }

    /// Returns the kind of the error.
    pub fn kind(&self) -> RevocationErrorKind {
        self.kind
    }
}

impl fmt::Display for RevocationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            RevocationErrorKind::Full => {
                "the list of revoked tokens is full; configure a larger one"
            }
            RevocationErrorKind::Unavailable => "the store of revoked tokens does not respond",
        })
    }
}

impl Error for RevocationError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// A bounded list of revoked tokens in memory.
///
/// Ids of expired tokens are dropped. A full list rejects further ids: dropping an older one would
/// make a revoked token valid again.
///
/// ```
/// use std::time::Duration;
///
/// use stockade_core::clock::{Clock, SystemClock};
/// use stockade_jwt::{RevocationList, RevocationStatus, RevocationStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let list = RevocationList::new(10_000);
/// // Until `exp` plus the leeway of the verifier.
/// let now = SystemClock::new().now();
/// list.revoke("u3kF", now + Duration::from_secs(960), now).await?;
/// assert!(matches!(list.status("u3kF"), RevocationStatus::Revoked));
/// # Ok(())
/// # }
/// ```
pub struct RevocationList {
    revoked: RwLock<HashMap<Box<str>, Timestamp>>,
    /// The length, so that an empty list takes no lock.
    count: AtomicUsize,
    capacity: usize,
}

impl RevocationList {
    /// Creates a list for at most `capacity` tokens.
    pub fn new(capacity: usize) -> Self {
        Self {
            revoked: RwLock::default(),
            count: AtomicUsize::new(0),
            capacity,
        }
    }

    /// Returns the number of tokens in the list.
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Returns whether the list is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn insert(
        &self,
        token_id: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(), RevocationError> {
        // No code panics while the lock is held, so the map is consistent.
        let mut revoked = self.revoked.write().unwrap_or_else(PoisonError::into_inner);
        if revoked.len() >= self.capacity {
            revoked.retain(|_, until| *until > now);
        }
        let full = revoked.len() >= self.capacity;
        let result = match revoked.get_mut(token_id) {
            Some(known) => {
                *known = until.max(*known);
                Ok(())
            }
            None if full => Err(RevocationError {
                kind: RevocationErrorKind::Full,
                source: None,
            }),
            None => {
                revoked.insert(token_id.into(), until);
                Ok(())
            }
        };
        self.count.store(revoked.len(), Ordering::Release);
        result
    }
}

impl Default for RevocationList {
    /// Creates a list for 100,000 tokens, about ten megabytes when full.
    fn default() -> Self {
        Self::new(100_000)
    }
}

impl RevocationStore for RevocationList {
    fn status(&self, token_id: &str) -> RevocationStatus {
        if self.is_empty() {
            return RevocationStatus::NotRevoked;
        }
        let revoked = self.revoked.read().unwrap_or_else(PoisonError::into_inner);
        if revoked.contains_key(token_id) {
            RevocationStatus::Revoked
        } else {
            RevocationStatus::NotRevoked
        }
    }

    /// `until` must be the `exp` of the token plus the leeway, or later.
    fn revoke<'s>(
        &'s self,
        token_id: &'s str,
        until: Timestamp,
        now: Timestamp,
    ) -> Pin<Box<dyn Future<Output = Result<(), RevocationError>> + Send + 's>> {
        Box::pin(ready(self.insert(token_id, until, now)))
    }
}

impl fmt::Debug for RevocationList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevocationList")
            .field("len", &self.len())
            .field("capacity", &self.capacity)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(secs: u64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn revoked(list: &RevocationList, id: &str) -> bool {
        matches!(list.status(id), RevocationStatus::Revoked)
    }

    #[test]
    fn full_list_drops_expired_tokens_only() {
        let list = RevocationList::new(2);
        assert!(!revoked(&list, "a"));
        list.insert("a", secs(100), secs(0)).unwrap();
        list.insert("b", secs(200), secs(0)).unwrap();

        let error = list.insert("c", secs(300), secs(99)).unwrap_err();
        assert_eq!(error.kind(), RevocationErrorKind::Full);
        assert!(revoked(&list, "a") && revoked(&list, "b") && !revoked(&list, "c"));
        // A listed token can always be updated, and its time never shortens.
        list.insert("b", secs(150), secs(99)).unwrap();

        list.insert("c", secs(300), secs(150)).unwrap();
        assert!(revoked(&list, "b") && revoked(&list, "c"));
        assert_eq!(list.len(), 2);
    }
}
