//! What a client without a valid key is told.

use std::time::Duration;

use http::{HeaderValue, header::WWW_AUTHENTICATE};
use stockade_core::{Refusal, RefusalKind};

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

    /// No key at all: a challenge without an error code.
    pub(crate) fn missing(&self) -> Refusal {
        Refusal::new(
            RefusalKind::Unauthenticated,
            "an API key is needed; send it as `Authorization: Bearer <key>`",
        )
        .because("missing")
        .with_header(WWW_AUTHENTICATE, self.missing.clone())
    }

    /// One message for whatever is wrong with a key; only the log knows the cause.
    pub(crate) fn invalid(&self, cause: &'static str) -> Refusal {
        Refusal::new(RefusalKind::Unauthenticated, "the API key is not valid")
            .because(cause)
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
        "the request has two different API keys; send one",
    )
    .with_code("CONFLICTING_CREDENTIALS")
}

/// The places for slow hashes are taken; the longest of them is done in a second.
pub(crate) fn busy() -> Refusal {
    Refusal::new(
        RefusalKind::Unavailable,
        "too many keys are being verified; try again",
    )
    .with_code("VERIFICATION_BUSY")
    .retry_after(Duration::from_secs(1))
}
