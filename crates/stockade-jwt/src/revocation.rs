//! Tokens that are dead before they expire.

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

/// Knows which tokens were revoked, by their `jti`.
///
/// A store states the decision, so that one on another machine can take it there. It is
/// asked for each request, also for tokens that are known: what was revoked is refused on
/// the next request.
pub trait RevocationStore: Send + Sync + 'static {
    /// Whether the token of this id was revoked.
    fn status(&self, token_id: &str) -> RevocationStatus;

    /// Revokes a token until it would have expired anyway.
    ///
    /// # Errors
    /// When the store cannot keep it; the token is good still, and whoever wanted it
    /// revoked has to know.
    fn revoke<'s>(
        &'s self,
        token_id: &'s str,
        until: Timestamp,
        now: Timestamp,
    ) -> Pin<Box<dyn Future<Output = Result<(), RevocationError>> + Send + 's>>;
}

/// What a [`RevocationStore`] says of a token.
pub enum RevocationStatus {
    /// It was not revoked.
    NotRevoked,
    /// It was.
    Revoked,
    /// The store has to ask somebody: whether it was. An error refuses the request.
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

/// Why a store could not do its work.
#[derive(Debug)]
pub struct RevocationError {
    kind: RevocationErrorKind,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The kinds of [`RevocationError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RevocationErrorKind {
    /// The list is full of tokens that are not expired; a larger list, or shorter-lived
    /// tokens, mend that.
    Full,
    /// The store does not answer.
    Unavailable,
}

impl RevocationError {
    /// An error of a store on another machine.
    pub fn unavailable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            kind: RevocationErrorKind::Unavailable,
            source: Some(source.into()),
        }
    }

    /// Its kind.
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
            RevocationErrorKind::Unavailable => "the store of revoked tokens does not answer",
        })
    }
}

impl Error for RevocationError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Revoked tokens in memory, at most so many.
///
/// An id is dropped once its token has expired. A full list takes no more, and says so: to
/// forget an older one instead would bring a revoked token back to life.
pub struct RevocationList {
    revoked: RwLock<HashMap<Box<str>, Timestamp>>,
    /// So that the usual case, nothing revoked, takes no lock.
    count: AtomicUsize,
    capacity: usize,
}

impl RevocationList {
    /// A list of at most so many tokens.
    pub fn new(capacity: usize) -> Self {
        Self {
            revoked: RwLock::default(),
            count: AtomicUsize::new(0),
            capacity,
        }
    }

    /// How many tokens are in the list.
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Whether no token is in the list.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn insert(
        &self,
        token_id: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(), RevocationError> {
        // No panic is possible while the lock is held, so the map is whole.
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
    /// A hundred thousand tokens: about ten megabytes when it is full.
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

    /// `until` has to be the token's `exp` or later, leeway included; what is unsure of it
    /// takes a later time.
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
    fn a_full_list_forgets_only_what_has_expired() {
        let list = RevocationList::new(2);
        assert!(!revoked(&list, "a"));
        list.insert("a", secs(100), secs(0)).unwrap();
        list.insert("b", secs(200), secs(0)).unwrap();

        let error = list.insert("c", secs(300), secs(99)).unwrap_err();
        assert_eq!(error.kind(), RevocationErrorKind::Full);
        assert!(revoked(&list, "a") && revoked(&list, "b") && !revoked(&list, "c"));
        // One that is in already always finds room, and never lives shorter.
        list.insert("b", secs(150), secs(99)).unwrap();

        list.insert("c", secs(300), secs(150)).unwrap();
        assert!(revoked(&list, "b") && revoked(&list, "c"));
        assert_eq!(list.len(), 2);
    }
}
