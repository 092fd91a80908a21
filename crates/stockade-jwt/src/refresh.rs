//! Families of refresh tokens and their rotation.

use std::fmt;

use stockade_core::{clock::Timestamp, identity::ScopeSet};

use crate::TokenDigest;

/// A login: a sequence of refresh tokens, of which only the newest is valid.
///
/// Plain data for any store; contains digests only.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshFamily {
    /// The subject of the login.
    pub subject: Box<str>,
    /// The granted scopes.
    pub scopes: ScopeSet,
    /// The digest of the valid token.
    pub current: TokenDigest,
    /// When the login ends unless it is used.
    pub idle_expires: Timestamp,
    /// When the login ends in any case.
    pub expires: Timestamp,
}

/// A request to replace a token.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RotationRequest {
    /// The digest of the presented token.
    pub presented: TokenDigest,
    /// The digest of its replacement.
    pub next: TokenDigest,
    /// The new idle expiry.
    pub idle_expires: Timestamp,
    /// The current time.
    pub now: Timestamp,
}

/// The result of a [`RotationRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rotation {
    /// The next token is now valid, and the presented one is not.
    Rotated {
        /// The subject of the login.
        subject: Box<str>,
        /// The granted scopes.
        scopes: ScopeSet,
    },
    /// The presented token was used before, so it may be stolen. The family ends.
    Reused,
    /// The login does not exist or has ended.
    Unknown,
}

impl RefreshFamily {
    /// Applies a request. Remove the family unless the result is [`Rotation::Rotated`].
    ///
    /// The name of a family is a secret in its tokens. A presented token with the right name that
    /// is not the current one is an old token, from a thief or from the owner after a theft. They
    /// cannot be distinguished, so the login ends (RFC 9700, section 4.14.2).
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
    fn ends_when_idle_and_at_expiry() {
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
        fn only_the_newest_token_is_valid(presented in proptest::collection::vec(0u8..6, 1..20)) {
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
