//! Refusals: why a request ends, as a value, and how it becomes a response.

mod challenge;
mod denial;
mod grpc_status;
mod reason;
mod responder;
mod standing;

use std::{borrow::Cow, fmt, time::Duration};

use http::{HeaderName, HeaderValue, StatusCode};

pub use challenge::BearerChallenge;
pub use denial::Denial;
pub use grpc_status::grpc_status;
pub use reason::RefusalReason;
pub use responder::{
    DenialContext, ErrorFormat, Responder, anthropic_error, grpc_trailers, is_anthropic_request,
    is_grpc_route, openai_error,
};
pub use standing::StandingRefusal;

/// The code of [`Refusal::not_configured`].
pub(crate) const NOT_CONFIGURED: &str = "NOT_CONFIGURED";

/// Why a request ends here, and what the response says.
///
/// Protocol-neutral: the [`Responder`] turns it into a response.
///
/// ```
/// use std::time::Duration;
///
/// use http::StatusCode;
/// use stockade_core::refusal::{Refusal, RefusalKind};
///
/// let refusal = Refusal::new(RefusalKind::RateLimited, "too many uploads")
///     .with_code("UPLOAD_LIMIT")
///     .with_internal_reason("the quota of the tenant is used up")
///     .retry_after(Duration::from_millis(1_500));
/// assert_eq!(refusal.kind().status(), StatusCode::TOO_MANY_REQUESTS);
/// // Rounded up, so that a retry after it succeeds.
/// assert_eq!(refusal.retry_after_secs(), Some(2));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Refusal(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    kind: RefusalKind,
    code: &'static str,
    message: Cow<'static, str>,
    param: Option<Cow<'static, str>>,
    internal_reason: &'static str,
    reason: Option<RefusalReason>,
    fingerprint: Option<u64>,
    problem_type: Option<&'static str>,
    retry_after: Option<Duration>,
    headers: Vec<(HeaderName, HeaderValue)>,
    violations: Vec<Violation>,
}

/// What was violated: a quota or a field. The client sees both texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The quota's name, or the path of the field.
    pub subject: Cow<'static, str>,
    /// What is wrong with it.
    pub description: Cow<'static, str>,
}

/// The kinds of refusals, each with its HTTP status and gRPC code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusalKind {
    /// The request cannot be understood or breaks a rule: 400, `INVALID_ARGUMENT`.
    Invalid,
    /// No credential, or one that is not accepted: 401, `UNAUTHENTICATED`.
    Unauthenticated,
    /// The principal may not do this: 403, `PERMISSION_DENIED`.
    Forbidden,
    /// There is nothing here: 404, `NOT_FOUND`.
    NotFound,
    /// The route does not take this method: 405, `UNIMPLEMENTED`.
    MethodNotAllowed,
    /// The client was too slow: 408, `DEADLINE_EXCEEDED`.
    Timeout,
    /// The request is too large: 413, `RESOURCE_EXHAUSTED`.
    TooLarge,
    /// The body's type or encoding is not taken: 415, `INVALID_ARGUMENT`.
    UnsupportedType,
    /// A limit is reached: 429, `RESOURCE_EXHAUSTED`.
    RateLimited,
    /// The server is set up or works wrongly: 500, `INTERNAL`.
    Internal,
    /// An upstream failed or gave an invalid response: 502, `UNAVAILABLE`.
    BadGateway,
    /// The server cannot serve this now: 503, `UNAVAILABLE`.
    Unavailable,
    /// The server or an upstream was too slow: 504, `DEADLINE_EXCEEDED`.
    GatewayTimeout,
}

impl RefusalKind {
    /// The HTTP status of a refusal of this kind.
    pub const fn status(self) -> StatusCode {
        self.row().0
    }

    /// The gRPC status code of a refusal of this kind.
    pub const fn grpc_code(self) -> u8 {
        self.row().1
    }

    /// OpenAI's `error.type`.
    pub const fn openai_type(self) -> &'static str {
        self.row().2
    }

    /// Anthropic's `error.type`.
    pub const fn anthropic_type(self) -> &'static str {
        match self {
            Self::Invalid | Self::MethodNotAllowed | Self::UnsupportedType | Self::Timeout => {
                "invalid_request_error"
            }
            Self::Unauthenticated => "authentication_error",
            Self::Forbidden => "permission_error",
            Self::NotFound => "not_found_error",
            Self::TooLarge => "request_too_large",
            Self::RateLimited => "rate_limit_error",
            Self::Internal | Self::BadGateway => "api_error",
            Self::Unavailable => "overloaded_error",
            Self::GatewayTimeout => "timeout_error",
        }
    }

    /// The code of a refusal that names no finer one.
    pub const fn default_code(self) -> &'static str {
        self.row().3
    }

    /// The registered problem type, where there is one
    /// (draft-ietf-httpapi-ratelimit-headers, section 6).
    const fn problem_type(self) -> &'static str {
        match self {
            Self::RateLimited => "https://iana.org/assignments/http-problem-types#quota-exceeded",
            Self::Unavailable => {
                "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"
            }
            _ => "about:blank",
        }
    }

    const fn row(self) -> (StatusCode, u8, &'static str, &'static str) {
        use StatusCode as S;
        match self {
            Self::Invalid => (
                S::BAD_REQUEST,
                3,
                "invalid_request_error",
                "VALIDATION_ERROR",
            ),
            Self::Unauthenticated => (
                S::UNAUTHORIZED,
                16,
                "authentication_error",
                "AUTHENTICATION_FAILED",
            ),
            Self::Forbidden => (S::FORBIDDEN, 7, "permission_error", "PERMISSION_DENIED"),
            Self::NotFound => (S::NOT_FOUND, 5, "not_found_error", "NOT_FOUND"),
            Self::MethodNotAllowed => (
                S::METHOD_NOT_ALLOWED,
                12,
                "invalid_request_error",
                "METHOD_NOT_ALLOWED",
            ),
            Self::Timeout => (
                S::REQUEST_TIMEOUT,
                4,
                "invalid_request_error",
                "REQUEST_TIMEOUT",
            ),
            Self::TooLarge => (
                S::PAYLOAD_TOO_LARGE,
                8,
                "invalid_request_error",
                "REQUEST_TOO_LARGE",
            ),
            Self::UnsupportedType => (
                S::UNSUPPORTED_MEDIA_TYPE,
                3,
                "invalid_request_error",
                "UNSUPPORTED_MEDIA_TYPE",
            ),
            Self::RateLimited => (S::TOO_MANY_REQUESTS, 8, "rate_limit_error", "RATE_LIMITED"),
            Self::Internal => (
                S::INTERNAL_SERVER_ERROR,
                13,
                "server_error",
                "INTERNAL_ERROR",
            ),
            Self::BadGateway => (S::BAD_GATEWAY, 14, "server_error", "BAD_GATEWAY"),
            Self::Unavailable => (S::SERVICE_UNAVAILABLE, 14, "server_error", "UNAVAILABLE"),
            Self::GatewayTimeout => (S::GATEWAY_TIMEOUT, 4, "server_error", "GATEWAY_TIMEOUT"),
        }
    }
}

impl Refusal {
    /// A refusal with this message to the client.
    ///
    /// The message names the fault and its remedy, in a sentence without a
    /// capital or a full stop. Never put a secret, or anything that tells whether an
    /// account exists, into it.
    pub fn new(kind: RefusalKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            code: kind.default_code(),
            message: message.into(),
            param: None,
            internal_reason: "",
            reason: kind.reason(),
            fingerprint: None,
            problem_type: None,
            retry_after: None,
            headers: Vec::new(),
            violations: Vec::new(),
        }))
    }

    /// A request that the server is not set up to check: a 500 with the code
    /// `NOT_CONFIGURED`. The client learns nothing more; the remedy is for the operator of the
    /// server, and the driver logs it at error level, once for each remedy.
    ///
    /// ```
    /// use stockade_core::refusal::Refusal;
    ///
    /// let refusal = Refusal::not_configured("no tenant: put the tenant layer outside of this one");
    /// assert_eq!(refusal.kind().status(), 500);
    /// assert_eq!(refusal.code(), "NOT_CONFIGURED");
    /// ```
    pub fn not_configured(remedy: &'static str) -> Self {
        Self::new(RefusalKind::Internal, "the server is not set up correctly")
            .with_code(NOT_CONFIGURED)
            .with_internal_reason(remedy)
    }

    /// A finer code for clients to switch on: `[A-Z0-9_]+`, at most 63 characters, as
    /// `google.rpc.ErrorInfo` wants it.
    pub fn with_code(mut self, code: &'static str) -> Self {
        debug_assert!(is_code(code), "{code:?} is no code");
        self.0.code = code;
        self
    }

    /// The field of the request that is at fault, as a path: `messages[0].content`.
    pub fn with_param(mut self, param: impl Into<Cow<'static, str>>) -> Self {
        self.0.param = Some(param.into());
        self
    }

    /// The internal_reason, for the audit log only; the client never sees it.
    pub fn with_internal_reason(mut self, internal_reason: &'static str) -> Self {
        self.0.internal_reason = internal_reason;
        self
    }

    /// What the refusal says about the client, where that is more than its kind says; for
    /// layers that count offences. Never sent.
    pub fn with_reason(mut self, reason: RefusalReason) -> Self {
        self.0.reason = Some(reason);
        self
    }

    /// States that the client is not at fault, such as when its key is revoked while it receives
    /// a response: layers that count offences do not count this refusal.
    pub fn without_reason(mut self) -> Self {
        self.0.reason = None;
        self
    }

    /// What makes this refusal the same as another one: a keyed digest of the credential
    /// that was refused. Layers that count offences count a stale key that is sent
    /// repeatedly once. Never sent, never logged.
    pub fn with_fingerprint(mut self, fingerprint: u64) -> Self {
        self.0.fingerprint = Some(fingerprint);
        self
    }

    /// The RFC 9457 problem type, where there is a better one than that of the kind.
    pub fn with_problem_type(mut self, uri: &'static str) -> Self {
        self.0.problem_type = Some(uri);
        self
    }

    /// When to try again: sent as whole seconds, rounded up, at least 1.
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.0.retry_after = Some(delay);
        self
    }

    /// A header that the protocol asks for, such as `WWW-Authenticate`.
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// One more quota or field that was violated.
    pub fn with_violation(mut self, violation: Violation) -> Self {
        self.0.violations.push(violation);
        self
    }

    /// Its kind.
    pub fn kind(&self) -> RefusalKind {
        self.0.kind
    }

    /// The code that clients can switch on.
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// The message for the client.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The field that is at fault.
    pub fn param(&self) -> Option<&str> {
        self.0.param.as_deref()
    }

    /// The internal_reason, for the audit log; empty where the code says it all.
    pub fn internal_reason(&self) -> &'static str {
        self.0.internal_reason
    }

    /// What it says about the client; `None` where the client is not at fault.
    pub fn reason(&self) -> Option<RefusalReason> {
        self.0.reason
    }

    /// What makes it the same as another one.
    pub fn fingerprint(&self) -> Option<u64> {
        self.0.fingerprint
    }

    /// The URI of its RFC 9457 problem type.
    pub fn problem_type(&self) -> &'static str {
        self.0
            .problem_type
            .unwrap_or_else(|| self.0.kind.problem_type())
    }

    /// Whole seconds until a retry makes sense.
    pub fn retry_after_secs(&self) -> Option<u64> {
        let delay = self.0.retry_after?;
        let partial = u64::from(delay.subsec_nanos() > 0);
        Some(delay.as_secs().saturating_add(partial).max(1))
    }

    /// The headers that the protocol asks for, without `Retry-After`.
    pub fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.0.headers
    }

    /// The quotas or fields that were violated.
    pub fn violations(&self) -> &[Violation] {
        &self.0.violations
    }
}

fn is_code(code: &str) -> bool {
    (1..=63).contains(&code.len())
        && code
            .bytes()
            .all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_'))
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusal")
            .field("kind", &self.0.kind)
            .field("code", &self.0.code)
            .field("message", &self.0.message)
            .field("internal_reason", &self.0.internal_reason)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // R12
    #[test]
    fn retry_after_is_rounded_up_and_at_least_one() {
        for (delay, secs) in [
            (Duration::ZERO, 1),
            (Duration::from_millis(1), 1),
            (Duration::from_secs(1), 1),
            (Duration::from_millis(1_001), 2),
            (Duration::from_secs(60), 60),
            (Duration::MAX, u64::MAX),
        ] {
            let refusal = Refusal::new(RefusalKind::RateLimited, "slow down").retry_after(delay);
            assert_eq!(refusal.retry_after_secs(), Some(secs), "{delay:?}");
        }
    }

    #[test]
    fn every_default_code_is_a_code() {
        use RefusalKind as K;
        for kind in [
            K::Invalid,
            K::Unauthenticated,
            K::Forbidden,
            K::NotFound,
            K::MethodNotAllowed,
            K::Timeout,
            K::TooLarge,
            K::UnsupportedType,
            K::RateLimited,
            K::Internal,
            K::BadGateway,
            K::Unavailable,
            K::GatewayTimeout,
        ] {
            assert!(is_code(kind.default_code()), "{kind:?}");
            assert!(!kind.status().is_success(), "{kind:?}");
            assert_ne!(kind.grpc_code(), 0, "{kind:?}");
        }
    }
}
