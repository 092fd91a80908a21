//! Refusals of requests without a valid token.

use std::time::Duration;

use stockade_core::refusal::{BearerChallenge, Refusal, RefusalKind, RefusalReason};

use crate::token_error::TokenError;

/// The challenge of a realm.
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

    /// Refuses an invalid token, with one message for all reasons; the reason is logged only.
    pub(crate) fn invalid(&self, error: TokenError) -> Refusal {
        self.0
            .invalid("the access token is not valid", error.as_str())
            .with_reason(error.reason())
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

/// Refuses a request while no keys are available.
pub(crate) fn no_keys(retry_after: Duration) -> Refusal {
    Refusal::new(
        RefusalKind::Unavailable,
        "access tokens cannot be verified now; try again",
    )
    .with_code("KEYS_UNAVAILABLE")
    .with_internal_reason("keys_unavailable")
    .retry_after(retry_after.max(Duration::from_secs(1)))
}

/// Refuses a request while the revocation store does not respond.
pub(crate) fn no_revocations() -> Refusal {
    Refusal::new(
        RefusalKind::Unavailable,
        "access tokens cannot be verified now; try again",
    )
    .with_code("REVOCATIONS_UNAVAILABLE")
    .with_internal_reason("revocations_unavailable")
    .retry_after(Duration::from_secs(1))
}
