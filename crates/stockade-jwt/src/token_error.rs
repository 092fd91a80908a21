//! Reasons to reject a token, for logs and metrics.

use stockade_core::refusal::RefusalReason;

/// The reason to reject a token. Clients receive the same message for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenError {
    TooLong,
    Malformed,
    Header,
    Type,
    Algorithm,
    UnknownKey,
    AmbiguousKey,
    Signature,
    Claims,
    Expired,
    NotYetValid,
    Issuer,
    Audience,
    Subject,
    Scopes,
    MissingId,
    /// The token is bound to a key or a connection, which is not verified.
    BindingNotVerified,
    Revoked,
}

impl TokenError {
    /// Returns the internal reason of the refusal.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Malformed => "malformed",
            Self::Header => "header",
            Self::Type => "type",
            Self::Algorithm => "algorithm",
            Self::UnknownKey => "unknown_key",
            Self::AmbiguousKey => "ambiguous_key",
            Self::Signature => "signature",
            Self::Claims => "claims",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Subject => "subject",
            Self::Scopes => "scopes",
            Self::MissingId => "no_id",
            Self::BindingNotVerified => "binding_not_verified",
            Self::Revoked => "revoked",
        }
    }

    /// Returns the reason category of the refusal.
    pub(crate) const fn reason(self) -> RefusalReason {
        match self {
            // Comes from an issuer of large tokens, and is not a guess.
            Self::TooLong => RefusalReason::TooLarge,
            Self::Malformed | Self::Header | Self::Type | Self::Claims => {
                RefusalReason::MalformedCredential
            }
            _ => RefusalReason::InvalidCredential,
        }
    }
}
