//! Signals: the kinds of offences.

use http::StatusCode;
use stockade_core::refusal::{Denial, RefusalReason};

/// The kind of an offence, derived from a refusal or a response status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Signal {
    /// No credential where one is required. Repetitions count once per window.
    MissingCredential,
    /// An invalid credential. The same credential counts once per window.
    BadCredential,
    /// A malformed credential, or two different ones. Repetitions count once per window.
    MalformedCredential,
    /// A valid credential without the required permission.
    Forbidden,
    /// An image that is broken or cannot be decoded.
    InvalidImage,
    /// Another invalid body.
    InvalidBody,
    /// A body with an unsupported option, image format or remote image.
    UnsupportedContent,
    /// A body that is too large.
    Oversize,
    /// A body with an unsupported media type.
    UnsupportedType,
    /// An exceeded rate limit.
    RateLimited,
    /// A path without a resource.
    NotFound,
    /// A path that only scanners request; see [`ScannerPaths`](crate::ScannerPaths).
    ScannerPath,
}

impl Signal {
    /// All signals.
    pub const ALL: [Self; 12] = [
        Self::MissingCredential,
        Self::BadCredential,
        Self::MalformedCredential,
        Self::Forbidden,
        Self::InvalidImage,
        Self::InvalidBody,
        Self::UnsupportedContent,
        Self::Oversize,
        Self::UnsupportedType,
        Self::RateLimited,
        Self::NotFound,
        Self::ScannerPath,
    ];

    /// Returns the name in configuration files, such as `bad_credential`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MissingCredential => "missing_credential",
            Self::BadCredential => "bad_credential",
            Self::MalformedCredential => "malformed_credential",
            Self::Forbidden => "forbidden",
            Self::InvalidImage => "invalid_image",
            Self::InvalidBody => "invalid_body",
            Self::UnsupportedContent => "unsupported_content",
            Self::Oversize => "oversize",
            Self::UnsupportedType => "unsupported_type",
            Self::RateLimited => "rate_limited",
            Self::NotFound => "not_found",
            Self::ScannerPath => "scanner_path",
        }
    }

    /// Returns the signal of a response; `None` if it is not an offence.
    ///
    /// If a guard or handler refused the request, its reason decides, otherwise the status.
    /// Server errors (5xx and the equivalents of gRPC) are never offences, regardless of the
    /// denial.
    pub(crate) fn of(outcome: ResponseStatus, denial: Option<&Denial>) -> Option<Self> {
        let status = outcome.status();
        if !status.is_client_error() {
            return None;
        }
        match denial {
            Some(denial) => Self::of_reason(denial.reason?),
            None => Self::of_status(status),
        }
    }

    fn of_reason(reason: RefusalReason) -> Option<Self> {
        use RefusalReason as R;
        Some(match reason {
            R::MissingCredential => Self::MissingCredential,
            R::InvalidCredential => Self::BadCredential,
            R::MalformedCredential => Self::MalformedCredential,
            R::Forbidden => Self::Forbidden,
            R::NotFound => Self::NotFound,
            R::InvalidImage => Self::InvalidImage,
            R::InvalidBody => Self::InvalidBody,
            R::UnsupportedContent => Self::UnsupportedContent,
            R::TooLarge => Self::Oversize,
            R::UnsupportedType => Self::UnsupportedType,
            R::RateLimited => Self::RateLimited,
            // Further requests of a banned client are not counted.
            R::Banned => return None,
            // Unknown reasons are not offences.
            _ => return None,
        })
    }

    /// For responses without a denial.
    fn of_status(status: StatusCode) -> Option<Self> {
        Some(match status {
            StatusCode::UNAUTHORIZED => Self::BadCredential,
            StatusCode::FORBIDDEN => Self::Forbidden,
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Self::NotFound,
            StatusCode::PAYLOAD_TOO_LARGE => Self::Oversize,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::UnsupportedType,
            StatusCode::TOO_MANY_REQUESTS => Self::RateLimited,
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => Self::InvalidBody,
            // Timeouts, conflicts and the like are not offences.
            _ => return None,
        })
    }
}

/// The status of a response in HTTP or gRPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResponseStatus {
    Http(StatusCode),
    /// A `grpc-status`.
    Grpc(u16),
}

impl ResponseStatus {
    /// Returns the equivalent HTTP status.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Http(status) => status,
            Self::Grpc(code) => match code {
                0 => StatusCode::OK,
                3 => StatusCode::BAD_REQUEST,
                5 => StatusCode::NOT_FOUND,
                7 => StatusCode::FORBIDDEN,
                8 => StatusCode::TOO_MANY_REQUESTS,
                12 => StatusCode::METHOD_NOT_ALLOWED,
                16 => StatusCode::UNAUTHORIZED,
                // Cancelled, deadline exceeded, internal, unavailable …: not an offence.
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use stockade_core::refusal::{Refusal, RefusalKind};

    use super::*;

    fn refused(refusal: &Refusal) -> Option<Signal> {
        let denial = Denial {
            guard: "test",
            kind: refusal.kind(),
            code: refusal.code(),
            internal_reason: refusal.internal_reason(),
            reason: refusal.reason(),
            fingerprint: None,
        };
        Signal::of(ResponseStatus::Http(refusal.kind().status()), Some(&denial))
    }

    // FC03: only the typed reason matters, neither the code nor the internal reason.
    #[test]
    fn reads_the_reason_of_a_refusal() {
        use RefusalKind as K;
        use RefusalReason as R;
        let plain = |kind| Refusal::new(kind, "no");
        for (refusal, signal) in [
            (plain(K::Unauthenticated), Some(Signal::BadCredential)),
            (
                plain(K::Unauthenticated)
                    .with_internal_reason("anonymous")
                    .with_reason(R::MissingCredential),
                Some(Signal::MissingCredential),
            ),
            (
                plain(K::Invalid)
                    .with_code("CONFLICTING_CREDENTIALS")
                    .with_reason(R::MalformedCredential),
                Some(Signal::MalformedCredential),
            ),
            (
                plain(K::Invalid).with_reason(R::InvalidImage),
                Some(Signal::InvalidImage),
            ),
            (
                plain(K::Invalid)
                    .with_code("INVALID_IMAGE")
                    .with_reason(R::UnsupportedContent),
                Some(Signal::UnsupportedContent),
            ),
            (
                plain(K::TooLarge).with_code("IMAGE_TOO_LARGE"),
                Some(Signal::Oversize),
            ),
            (plain(K::Invalid), Some(Signal::InvalidBody)),
            (plain(K::Forbidden), Some(Signal::Forbidden)),
            (
                plain(K::Forbidden).with_reason(R::NotFound),
                Some(Signal::NotFound),
            ),
            (plain(K::Forbidden).with_reason(R::Banned), None),
            (plain(K::Unavailable).with_reason(R::InvalidImage), None),
            (plain(K::Internal), None),
            (plain(K::Timeout), None),
        ] {
            assert_eq!(refused(&refusal), signal, "{refusal:?}");
        }
    }

    #[test]
    fn server_errors_are_not_offences() {
        for status in 500..=599 {
            let outcome = ResponseStatus::Http(StatusCode::from_u16(status).unwrap());
            assert_eq!(Signal::of(outcome, None), None, "{status}");
        }
        for code in [0, 1, 2, 4, 6, 9, 10, 11, 13, 14, 15, 17, 99] {
            assert_eq!(Signal::of(ResponseStatus::Grpc(code), None), None, "{code}");
        }
        assert_eq!(
            Signal::of(ResponseStatus::Grpc(16), None),
            Some(Signal::BadCredential)
        );
        assert_eq!(Signal::of(ResponseStatus::Http(StatusCode::OK), None), None);
    }
}
