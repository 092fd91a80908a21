//! Refusals of requests without a valid key.

use std::time::Duration;

use stockade_core::refusal::{BearerChallenge, Refusal, RefusalKind, RefusalReason};

/// The challenge of a realm.
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

    /// Refuses a certificate that no record has, in the same way as a missing key: the client has
    /// guessed nothing, and may not know that it needs a record.
    pub(crate) fn unknown_certificate(&self) -> Refusal {
        let message = "the client certificate belongs to no key; send an API key as \
                       `Authorization: Bearer KEY`";
        self.0.missing(message, "unknown_certificate")
    }

    /// Refuses a certificate whose record is not valid; the reason is logged only.
    pub(crate) fn invalid_certificate(&self, reason: &'static str) -> Refusal {
        self.0
            .invalid("the client certificate is not accepted", reason)
    }

    /// Refuses an invalid key, with one message for all reasons; the reason is logged only.
    pub(crate) fn invalid(&self, reason: &'static str) -> Refusal {
        self.0.invalid("the API key is not valid", reason)
    }

    /// Refuses a value that cannot be a key.
    pub(crate) fn malformed(&self, reason: &'static str) -> Refusal {
        self.invalid(reason)
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

/// Refuses a request while all permits for slow hashes are taken; each takes a second at most.
pub(crate) fn busy() -> Refusal {
    Refusal::new(
        RefusalKind::Unavailable,
        "too many keys are being verified; try again",
    )
    .with_code("VERIFICATION_BUSY")
    .retry_after(Duration::from_secs(1))
}
