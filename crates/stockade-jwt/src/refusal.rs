//! What a client without a valid token is told.

use std::time::Duration;

use http::{HeaderValue, header::WWW_AUTHENTICATE};
use stockade_core::{Refusal, RefusalKind};

use crate::cause::Cause;

/// The `WWW-Authenticate` challenges of one realm (RFC 6750, section 3).
#[derive(Clone, Debug)]
pub(crate) struct Challenge {
    missing: HeaderValue,
    invalid: HeaderValue,
}

impl Challenge {
    /// What a quoted string cannot hold is left out of the realm.
    pub(crate) fn new(realm: &str) -> Self {
        let plain = |byte: &char| matches!(byte, ' '..='~') && !matches!(byte, '"' | '\\');
        let realm: String = realm.chars().filter(plain).collect();
        let value = |text: String| {
            HeaderValue::try_from(text).expect("visible ASCII and spaces are a header value")
        };
        Self {
            missing: value(format!("Bearer realm=\"{realm}\"")),
            invalid: value(format!("Bearer realm=\"{realm}\", error=\"invalid_token\"")),
        }
    }

    /// No token at all: a challenge without an error code.
    pub(crate) fn missing(&self) -> Refusal {
        Refusal::new(
            RefusalKind::Unauthenticated,
            "an access token is needed; send it as `Authorization: Bearer <token>`",
        )
        .because("missing")
        .with_header(WWW_AUTHENTICATE, self.missing.clone())
    }

    /// One message for whatever is wrong with a token; only the log knows the cause.
    pub(crate) fn invalid(&self, cause: Cause) -> Refusal {
        Refusal::new(
            RefusalKind::Unauthenticated,
            "the access token is not valid",
        )
        .because(cause.as_str())
        .with_header(WWW_AUTHENTICATE, self.invalid.clone())
    }
}

impl Default for Challenge {
    fn default() -> Self {
        Self::new("api")
    }
}

pub(crate) fn conflict() -> Refusal {
    Refusal::new(
        RefusalKind::Invalid,
        "the request has two different access tokens; send one",
    )
    .with_code("CONFLICTING_CREDENTIALS")
}

/// The keys were never to be had, so no token can be judged.
pub(crate) fn no_keys(retry_after: Duration) -> Refusal {
    Refusal::new(
        RefusalKind::Unavailable,
        "access tokens cannot be verified now; try again",
    )
    .with_code("KEYS_UNAVAILABLE")
    .because("keys_unavailable")
    .retry_after(retry_after.max(Duration::from_secs(1)))
}

/// Nobody knows whether the token was revoked, so it is not let in.
pub(crate) fn no_revocations() -> Refusal {
    Refusal::new(
        RefusalKind::Unavailable,
        "access tokens cannot be verified now; try again",
    )
    .with_code("REVOCATIONS_UNAVAILABLE")
    .because("revocations_unavailable")
    .retry_after(Duration::from_secs(1))
}
