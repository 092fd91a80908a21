//! What a client without a valid token is told.

use std::time::Duration;

use stockade_core::refusal::{BearerChallenge, Refusal, RefusalKind, RefusalReason};

use crate::token_error::TokenError;

/// What is said in the name of one realm.
#[derive(Clone, Debug, Default)]
pub(crate) struct Challenge(BearerChallenge);

impl Challenge {
    pub(crate) fn new(realm: &str) -> Self {
        Self(BearerChallenge::new(realm))
    }

    pub(crate) fn missing(&self) -> Refusal {
        let message = "an access token is needed; send it as `Authorization: Bearer TOKEN`";
        self.0.missing(message, "missing")
    }

    /// One message for whatever is wrong with a token; only the log knows the cause.
    pub(crate) fn invalid(&self, cause: TokenError) -> Refusal {
        self.0
            .invalid("the access token is not valid", cause.as_str())
            .with_reason(cause.reason())
    }
}

pub(crate) fn conflict() -> Refusal {
    Refusal::new(
        RefusalKind::Invalid,
        "the request has two different access tokens; send one",
    )
    .with_code("CONFLICTING_CREDENTIALS")
    .with_reason(RefusalReason::MalformedCredential)
}

/// The keys were never to be had, so no token can be judged.
pub(crate) fn no_keys(retry_after: Duration) -> Refusal {
    Refusal::new(
        RefusalKind::Unavailable,
        "access tokens cannot be verified now; try again",
    )
    .with_code("KEYS_UNAVAILABLE")
    .with_internal_reason("keys_unavailable")
    .retry_after(retry_after.max(Duration::from_secs(1)))
}

/// Nobody knows whether the token was revoked, so it is not let in.
pub(crate) fn no_revocations() -> Refusal {
    Refusal::new(
        RefusalKind::Unavailable,
        "access tokens cannot be verified now; try again",
    )
    .with_code("REVOCATIONS_UNAVAILABLE")
    .with_internal_reason("revocations_unavailable")
    .retry_after(Duration::from_secs(1))
}
