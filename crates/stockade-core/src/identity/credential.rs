//! The credential that a request was authenticated with.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::clock::Timestamp;

/// Identifies the credential of a request to the authenticator that accepted it, which can check
/// it again while the response is on its way: a key may be revoked, and a token may expire.
///
/// An authenticator sets it with
/// [`RequestContext::set_credential`](crate::context::RequestContext::set_credential), and reads
/// it in [`Authenticator::recheck`](super::Authenticator::recheck). It contains neither the key
/// nor the token, and `Debug` hides it.
#[derive(Clone)]
pub struct Credential {
    authenticator: AuthenticatorId,
    facts: Facts,
}

#[derive(Clone)]
enum Facts {
    Key([u8; 32]),
    Token {
        expires: Timestamp,
        id: Option<Arc<str>>,
    },
}

impl Credential {
    /// A key, by the digest with which the authenticator finds it.
    pub fn key(authenticator: AuthenticatorId, digest: [u8; 32]) -> Self {
        Self {
            authenticator,
            facts: Facts::Key(digest),
        }
    }

    /// A token, by the end of its validity and its id.
    pub fn token(authenticator: AuthenticatorId, expires: Timestamp, id: Option<Arc<str>>) -> Self {
        Self {
            authenticator,
            facts: Facts::Token { expires, id },
        }
    }

    /// The authenticator that accepted it.
    pub fn authenticator(&self) -> AuthenticatorId {
        self.authenticator
    }

    /// The digest of a key; `None` for a token.
    pub fn digest(&self) -> Option<&[u8; 32]> {
        match &self.facts {
            Facts::Key(digest) => Some(digest),
            Facts::Token { .. } => None,
        }
    }

    /// The end of the validity of a token; `None` for a key, whose expiry its store knows.
    pub fn expires(&self) -> Option<Timestamp> {
        match self.facts {
            Facts::Key(_) => None,
            Facts::Token { expires, .. } => Some(expires),
        }
    }

    /// The id of a token; `None` for a key, and for a token without an id.
    pub fn id(&self) -> Option<&str> {
        match &self.facts {
            Facts::Key(_) => None,
            Facts::Token { id, .. } => id.as_deref(),
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(…)")
    }
}

/// Distinguishes the authenticators of a process, so that each checks its own credentials again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AuthenticatorId(u64);

impl AuthenticatorId {
    /// A new id. Clones of an authenticator share one.
    pub fn unique() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}
