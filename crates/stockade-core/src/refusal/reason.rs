//! What a refusal says about its client.

use crate::refusal::RefusalKind;

/// What a refusal says about its client, for layers that count offences.
///
/// The guard that refuses knows why it does, and sets the reason with
/// [`Refusal::with_reason`](crate::refusal::Refusal::with_reason); without that, it follows from the
/// [`RefusalKind`]. Nothing here is sent to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusalReason {
    /// The request has no credential. Clients discover that one is needed in this way.
    MissingCredential,
    /// The request has a credential that is not valid.
    InvalidCredential,
    /// The credential cannot be one, or there are two that differ.
    MalformedCredential,
    /// The principal lacks the permission.
    Forbidden,
    /// There is no such route, method or resource.
    NotFound,
    /// An image that is broken or cannot be decoded.
    InvalidImage,
    /// A body that breaks a rule.
    InvalidBody,
    /// A body that asks for something that this server does not support, or declares it
    /// differently from what it is: an option, a format, a remote image.
    UnsupportedContent,
    /// A body, or a part of it, that is too large.
    TooLarge,
    /// A media type or encoding that is not accepted.
    UnsupportedType,
    /// A limit is reached.
    RateLimited,
    /// The client is banned.
    Banned,
}

impl RefusalKind {
    /// The reason of a refusal of this kind that does not name one; `None` for failures of
    /// the server and for requests that took too long.
    pub const fn reason(self) -> Option<RefusalReason> {
        Some(match self {
            Self::Invalid => RefusalReason::InvalidBody,
            Self::Unauthenticated => RefusalReason::InvalidCredential,
            Self::Forbidden => RefusalReason::Forbidden,
            Self::NotFound | Self::MethodNotAllowed => RefusalReason::NotFound,
            Self::TooLarge => RefusalReason::TooLarge,
            Self::UnsupportedType => RefusalReason::UnsupportedType,
            Self::RateLimited => RefusalReason::RateLimited,
            Self::Timeout
            | Self::Internal
            | Self::BadGateway
            | Self::Unavailable
            | Self::GatewayTimeout => return None,
        })
    }
}
