//! A record as it is read back.

use std::str::FromStr;

use serde::Deserialize;

/// A record of a log, for those who show or count them. What a record does not have is
/// `None`; fields that are not known are passed over.
///
/// ```
/// use stockade_audit::LogLine;
///
/// let text = r#"{"timestamp":"2026-01-31T12:00:00.000000Z","level":"warn",
///     "message":"request refused","status":401,"reason":"revoked","seq":7}"#;
/// let line: LogLine = text.parse()?;
/// assert_eq!((line.status, line.reason.as_deref()), (Some(401), Some("revoked")));
/// assert!("not a record".parse::<LogLine>().is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct LogLine {
    /// When it was written: RFC 3339, always UTC and as long, so that texts sort by time.
    pub timestamp: String,
    /// `info`, `warn` or `error`.
    pub level: String,
    /// What happened, in words.
    pub message: String,
    /// The record's number.
    pub seq: u64,
    /// What happened besides requests: [`EventKind::as_str`](crate::EventKind::as_str), or
    /// a word of the log's own, such as `log_opened`, `records_lost` or `repeated`.
    pub event: Option<String>,
    /// The request's id.
    pub request_id: Option<String>,
    /// The request's method.
    pub method: Option<String>,
    /// The route's pattern, or the path without its query where no route is known.
    pub path: Option<String>,
    /// The route's pattern.
    pub route: Option<String>,
    /// The client's address.
    pub ip: Option<String>,
    /// The principal's id.
    pub user: Option<String>,
    /// The response's status.
    pub status: Option<u16>,
    /// The response's gRPC status.
    pub grpc_status: Option<u64>,
    /// Milliseconds from the request's head to the response's end.
    pub latency_ms: Option<f64>,
    /// Milliseconds to the first byte of the response's body.
    pub ttfb_ms: Option<f64>,
    /// `completed`, `failed` or `client_left`.
    pub outcome: Option<String>,
    /// Bytes of the request's body that were read.
    pub bytes_in: Option<u64>,
    /// Bytes of the response's body that were handed to the server.
    pub bytes_out: Option<u64>,
    /// The guard that refused the request.
    pub guard: Option<String>,
    /// The refusal's code.
    pub code: Option<String>,
    /// The refusal's cause.
    pub reason: Option<String>,
    /// The model's name.
    pub model: Option<String>,
    /// The keyed digest of the prompt.
    pub prompt_digest: Option<String>,
    /// Tokens that went in.
    pub prompt_tokens: Option<u64>,
    /// Tokens that came out.
    pub completion_tokens: Option<u64>,
    /// `estimated` if the tokens are what a budget charged because the handler reported
    /// none; absent if it reported them.
    pub usage: Option<String>,
    /// The client's `User-Agent`.
    pub user_agent: Option<String>,
    /// To what a security event was done.
    pub subject: Option<String>,
    /// What else there is to say of an event.
    pub detail: Option<String>,
    /// How many more refusals of this kind there were.
    pub repeated: Option<u64>,
    /// How many records were lost.
    pub lost: Option<u64>,
    /// The id of the key that seals the batch which ends here.
    pub key: Option<String>,
}

impl FromStr for LogLine {
    type Err = serde_json::Error;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        serde_json::from_str(line)
    }
}
