//! Why a token was refused, for those who run the server.

use stockade_core::refusal::RefusalReason;

/// Why a token was refused. Clients are told one and the same thing for all of them.
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
    /// The token is bound to a key or a connection, which nothing here verifies.
    BindingNotVerified,
    Revoked,
}

impl TokenError {
    /// As the verdict has it.
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

    /// What it says about the client.
    pub(crate) const fn reason(self) -> RefusalReason {
        match self {
            // Of an issuer that writes much, and not of a guess.
            Self::TooLong => RefusalReason::TooLarge,
            Self::Malformed | Self::Header | Self::Type | Self::Claims => {
                RefusalReason::MalformedCredential
            }
            _ => RefusalReason::InvalidCredential,
        }
    }
}
