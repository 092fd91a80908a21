//! Parses records.

use std::{error::Error, fmt, str::FromStr};

use serde::Deserialize;

use crate::{event, line::shortened, record};

/// A parsed record, for tools that display or count records. Absent fields are `None`;
/// unknown fields are ignored.
///
/// ```
/// use stockade_audit::LogLine;
///
/// let text = r#"{"timestamp":"2026-01-31T12:00:00.000000Z","level":"warn",
///     "message":"request refused","status":401,"reason":"revoked","seq":7}"#;
/// let line: LogLine = text.parse()?;
/// assert_eq!((line.status, line.reason.as_deref()), (Some(401), Some("revoked")));
/// assert!("not a record".parse::<LogLine>().is_err());
/// # Ok::<(), stockade_audit::LogLineError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct LogLine {
    /// The time of the record (RFC 3339, UTC, fixed width, so that texts sort by time).
    pub timestamp: String,
    /// `info`, `warn` or `error`.
    pub level: String,
    /// A short description.
    pub message: String,
    /// The sequence number of the record.
    pub seq: u64,
    /// The kind of an event: [`EventKind::as_str`](crate::EventKind::as_str), or an event of
    /// the log itself, such as `log_opened`, `records_lost` or `repeated`.
    pub event: Option<String>,
    /// The request id.
    pub request_id: Option<String>,
    /// The request method.
    pub method: Option<String>,
    /// The route pattern, or the path without its query if no route matched.
    pub path: Option<String>,
    /// The route pattern.
    pub route: Option<String>,
    /// The client address.
    pub ip: Option<String>,
    /// The id of the principal.
    pub user: Option<String>,
    /// The response status.
    pub status: Option<u16>,
    /// The gRPC status of the response.
    pub grpc_status: Option<u64>,
    /// Milliseconds from the request head to the end of the response.
    pub latency_ms: Option<f64>,
    /// Milliseconds to the first byte of the response body.
    pub ttfb_ms: Option<f64>,
    /// `completed`, `failed` or `client_left`.
    pub outcome: Option<String>,
    /// Bytes read of the request body.
    pub bytes_in: Option<u64>,
    /// Bytes of the response body.
    pub bytes_out: Option<u64>,
    /// The guard that refused the request.
    pub guard: Option<String>,
    /// The code of the refusal.
    pub code: Option<String>,
    /// The internal reason of the refusal.
    pub reason: Option<String>,
    /// The name of the model.
    pub model: Option<String>,
    /// The keyed digest of the prompt.
    pub prompt_digest: Option<String>,
    /// Prompt tokens.
    pub prompt_tokens: Option<u64>,
    /// Completion tokens.
    pub completion_tokens: Option<u64>,
    /// `estimated` if the tokens are what a budget charged because the handler reported
    /// none; absent if it reported them.
    pub usage: Option<String>,
    /// The client's `User-Agent`.
    pub user_agent: Option<String>,
    /// The object of a security event.
    pub subject: Option<String>,
    /// Details of an event.
    pub detail: Option<String>,
    /// The number of coalesced refusals.
    pub repeated: Option<u64>,
    /// The number of lost records.
    pub lost: Option<u64>,
    /// The id of the key that sealed the batch that ends with this record.
    pub key: Option<String>,
}

impl LogLine {
    /// Whether the record names this principal: its request or action, or an event whose subject
    /// it is, such as the ban of `key:<id>`.
    ///
    /// ```
    /// use stockade_audit::LogLine;
    ///
    /// let text = r#"{"timestamp":"2026-01-31T12:00:00.000000Z","level":"warn",
    ///     "message":"client banned","event":"banned","subject":"key:team-core","seq":7}"#;
    /// let line: LogLine = text.parse()?;
    /// assert!(line.names("team-core"));
    /// assert!(!line.names("team"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn names(&self, principal: &str) -> bool {
        let limits = [record::NAME, event::TEXT];
        let is = |text: &str, name: &str| {
            limits.iter().any(|limit| match shortened(name, *limit) {
                None => text == name,
                Some((start, digest)) => text.strip_prefix(start) == Some(&digest),
            })
        };
        let user = self.user.as_deref();
        let subject = self.subject.as_deref();
        user.is_some_and(|user| is(user, principal))
            || subject.is_some_and(|subject| {
                is(subject, principal) || is(subject, &format!("key:{principal}"))
            })
    }
}

impl FromStr for LogLine {
    type Err = LogLineError;

    fn from_str(line: &str) -> Result<Self, LogLineError> {
        serde_json::from_str(line).map_err(LogLineError)
    }
}

/// The error of a line that is not a record.
#[derive(Debug)]
pub struct LogLineError(serde_json::Error);

impl fmt::Display for LogLineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a record: {}", self.0)
    }
}

impl Error for LogLineError {}
