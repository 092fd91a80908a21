//! What counts as an offence.

use http::StatusCode;
use stockade_core::Verdict;

/// What a refused request says of its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Signal {
    /// No credential where one is needed. However often, it is one offence a window.
    MissingCredential,
    /// A credential that is not valid. The same one again and again is one offence.
    BadCredential,
    /// A credential that never was one, or two that differ.
    MalformedCredential,
    /// A valid credential that may not do this.
    Forbidden,
    /// An image that is none, or not what it says.
    InvalidImage,
    /// Another body that breaks the rules.
    InvalidBody,
    /// A body that is too large.
    Oversize,
    /// A body of a type that is not taken.
    UnsupportedType,
    /// A limit was reached.
    RateLimited,
    /// A path where nothing is.
    NotFound,
    /// A path that only scanners ask for, see [`ScannerPaths`](crate::ScannerPaths).
    ScannerPath,
}

impl Signal {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::MissingCredential,
        Self::BadCredential,
        Self::MalformedCredential,
        Self::Forbidden,
        Self::InvalidImage,
        Self::InvalidBody,
        Self::Oversize,
        Self::UnsupportedType,
        Self::RateLimited,
        Self::NotFound,
        Self::ScannerPath,
    ];

    /// As it is written in configuration files: `bad_credential`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MissingCredential => "missing_credential",
            Self::BadCredential => "bad_credential",
            Self::MalformedCredential => "malformed_credential",
            Self::Forbidden => "forbidden",
            Self::InvalidImage => "invalid_image",
            Self::InvalidBody => "invalid_body",
            Self::Oversize => "oversize",
            Self::UnsupportedType => "unsupported_type",
            Self::RateLimited => "rate_limited",
            Self::NotFound => "not_found",
            Self::ScannerPath => "scanner_path",
        }
    }

    /// The signal in an outcome; `None` where the client did nothing wrong.
    ///
    /// What the server failed at (5xx, and gRPC's equivalents) is never held against a
    /// client, whatever the verdict says.
    pub(crate) fn of(outcome: Outcome, verdict: Option<&Verdict>) -> Option<Self> {
        let status = outcome.status();
        let code = verdict.map_or("", |verdict| verdict.code);
        if code.contains("IMAGE") && status.is_client_error() {
            return Some(Self::InvalidImage);
        }
        Some(match status {
            StatusCode::UNAUTHORIZED => match verdict.map_or("", |verdict| verdict.cause) {
                "missing" => Self::MissingCredential,
                "malformed" | "checksum" => Self::MalformedCredential,
                _ => Self::BadCredential,
            },
            _ if code == "CONFLICTING_CREDENTIALS" => Self::MalformedCredential,
            StatusCode::FORBIDDEN => Self::Forbidden,
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Self::NotFound,
            StatusCode::PAYLOAD_TOO_LARGE => Self::Oversize,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::UnsupportedType,
            StatusCode::TOO_MANY_REQUESTS => Self::RateLimited,
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => Self::InvalidBody,
            _ => return None,
        })
    }
}

/// How a request ended, in HTTP's or gRPC's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Http(StatusCode),
    /// A `grpc-status`.
    Grpc(u16),
}

impl Outcome {
    /// The HTTP status that says the same; gRPC's OK is 200.
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
                // Cancelled, deadlines, internal, unavailable …: nobody's offence.
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use stockade_core::RefusalKind;

    use super::*;

    fn verdict(code: &'static str, cause: &'static str) -> Verdict {
        Verdict {
            guard: "test",
            kind: RefusalKind::Internal,
            code,
            cause,
            evidence: None,
        }
    }

    #[test]
    fn reads_refusals() {
        for (status, code, cause, signal) in [
            (
                401,
                "AUTHENTICATION_FAILED",
                "missing",
                Some(Signal::MissingCredential),
            ),
            (
                401,
                "AUTHENTICATION_FAILED",
                "unknown",
                Some(Signal::BadCredential),
            ),
            (
                401,
                "AUTHENTICATION_FAILED",
                "checksum",
                Some(Signal::MalformedCredential),
            ),
            (
                400,
                "CONFLICTING_CREDENTIALS",
                "",
                Some(Signal::MalformedCredential),
            ),
            (400, "INVALID_IMAGE", "", Some(Signal::InvalidImage)),
            (413, "IMAGE_TOO_LARGE", "", Some(Signal::InvalidImage)),
            (400, "VALIDATION_ERROR", "", Some(Signal::InvalidBody)),
            (403, "INSUFFICIENT_SCOPE", "", Some(Signal::Forbidden)),
            (503, "INVALID_IMAGE", "", None),
            (500, "INTERNAL_ERROR", "", None),
            (408, "REQUEST_TIMEOUT", "", None),
        ] {
            let outcome = Outcome::Http(StatusCode::from_u16(status).unwrap());
            let found = Signal::of(outcome, Some(&verdict(code, cause)));
            assert_eq!(found, signal, "{status} {code} {cause}");
        }
    }

    #[test]
    fn no_failure_of_the_server_is_an_offence() {
        for status in 500..=599 {
            let outcome = Outcome::Http(StatusCode::from_u16(status).unwrap());
            assert_eq!(Signal::of(outcome, None), None, "{status}");
        }
        for code in [0, 1, 2, 4, 6, 9, 10, 11, 13, 14, 15, 17, 99] {
            assert_eq!(Signal::of(Outcome::Grpc(code), None), None, "{code}");
        }
        assert_eq!(
            Signal::of(Outcome::Grpc(16), None),
            Some(Signal::BadCredential)
        );
        assert_eq!(Signal::of(Outcome::Http(StatusCode::OK), None), None);
    }
}
