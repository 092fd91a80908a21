//! Refresh by rotation: what a family of refresh tokens is, and when it dies.

use std::fmt;

use stockade_core::{clock::Timestamp, identity::ScopeSet};

use crate::TokenDigest;

/// A login: one refresh token after the other, of which only the newest is good.
///
/// Plain data, so that any store can keep it. It holds digests only.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshFamily {
    /// Who logged in.
    pub subject: Box<str>,
    /// What the login may do.
    pub scopes: ScopeSet,
    /// The digest of the token that is good.
    pub current: TokenDigest,
    /// When the login ends if nobody uses it.
    pub idle_expires: Timestamp,
    /// When the login ends however often it is used.
    pub expires: Timestamp,
}

/// A request to put one token in another's place.
#[derive(Clone, Copy, Debug)]
pub struct RotationRequest {
    /// The digest of the token that was presented.
    pub presented: TokenDigest,
    /// The digest of the token that takes its place.
    pub next: TokenDigest,
    /// When the login ends from now on if nobody uses it.
    pub idle_expires: Timestamp,
    /// Now.
    pub now: Timestamp,
}

/// What came of a [`RotationRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// The next token is good now, and the presented one is not.
    Rotated {
        /// Who logged in.
        subject: Box<str>,
        /// What the login may do.
        scopes: ScopeSet,
    },
    /// The presented token was good once: somebody else has it too. The family is dead.
    Reused,
    /// There is no such login, or it has ended.
    Unknown,
}

impl RefreshFamily {
    /// Decides about a request. The family is to be removed unless it was rotated.
    ///
    /// A family is found by a secret that only its tokens hold, so whoever presents
    /// another text than the current one has an old token: a thief, or the owner after a
    /// thief was there. Nobody can tell which, so nobody stays logged in (RFC 9700,
    /// section 4.14.2).
    pub fn rotate(&mut self, request: &RotationRequest) -> Rotation {
        if request.now >= self.idle_expires.min(self.expires) {
            return Rotation::Unknown;
        }
        if self.current != request.presented {
            return Rotation::Reused;
        }
        self.current = request.next;
        self.idle_expires = request.idle_expires;
        Rotation::Rotated {
            subject: self.subject.clone(),
            scopes: self.scopes.clone(),
        }
    }
}

impl fmt::Debug for RefreshFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshFamily")
            .field("subject", &self.subject)
            .field("scopes", &self.scopes)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn digest(n: u8) -> TokenDigest {
        TokenDigest::from_bytes([n; 32])
    }

    fn family(expires: u64) -> RefreshFamily {
        RefreshFamily {
            subject: "alice".into(),
            scopes: ScopeSet::default(),
            current: digest(0),
            idle_expires: Timestamp::from_secs(100),
            expires: Timestamp::from_secs(expires),
        }
    }

    fn request(presented: u8, now: u64) -> RotationRequest {
        RotationRequest {
            presented: digest(presented),
            next: digest(presented.wrapping_add(1)),
            idle_expires: Timestamp::from_secs(now + 100),
            now: Timestamp::from_secs(now),
        }
    }

    #[test]
    fn ends_when_idle_and_ends_anyway() {
        let mut family = family(250);
        assert_eq!(family.clone().rotate(&request(0, 100)), Rotation::Unknown);
        assert!(matches!(
            family.rotate(&request(0, 99)),
            Rotation::Rotated { .. }
        ));
        assert!(matches!(
            family.rotate(&request(1, 198)),
            Rotation::Rotated { .. }
        ));
        assert_eq!(family.rotate(&request(2, 250)), Rotation::Unknown);
    }

    proptest! {
        #[test]
        fn only_the_newest_token_is_good(presented in proptest::collection::vec(0u8..6, 1..20)) {
            let mut family = family(1_000);
            let mut newest = 0;
            for token in presented {
                let rotation = family.rotate(&request(token, 1));
                if token == newest {
                    let rotated = matches!(rotation, Rotation::Rotated { .. });
                    prop_assert!(rotated);
                    newest += 1;
                } else {
                    prop_assert_eq!(rotation, Rotation::Reused);
                    break;
                }
            }
        }
    }
}
