//! What a client without a valid key is told.

use std::time::Duration;

use stockade_core::refusal::{BearerChallenge, Refusal, RefusalKind, RefusalReason};

/// What is said in the name of one realm.
#[derive(Clone, Debug, Default)]
pub(crate) struct Challenge(BearerChallenge);

impl Challenge {
    pub(crate) fn new(realm: &str) -> Self {
        Self(BearerChallenge::new(realm))
    }

    pub(crate) fn missing(&self) -> Refusal {
        let message = "an API key is needed; send it as `Authorization: Bearer KEY`";
        self.0.missing(message, "missing")
    }

    /// One message for whatever is wrong with a key; only the log knows the cause.
    pub(crate) fn invalid(&self, cause: &'static str) -> Refusal {
        self.0.invalid("the API key is not valid", cause)
    }

    /// The same for what cannot be a key.
    pub(crate) fn malformed(&self, cause: &'static str) -> Refusal {
        self.invalid(cause)
            .with_reason(RefusalReason::MalformedCredential)
    }
}

pub(crate) fn conflict() -> Refusal {
    Refusal::new(
        RefusalKind::Invalid,
        "the request has two different API keys; send one",
    )
    .with_code("CONFLICTING_CREDENTIALS")
    .with_reason(RefusalReason::MalformedCredential)
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
