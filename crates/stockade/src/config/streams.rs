//! `[streams]`: responses that are on their way when the access of their client ends.

use serde::Deserialize;

/// `[streams]`: streaming responses, of server-sent events and of gRPC.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct StreamsConfig {
    /// Whether a stream ends when a new request of its client would be refused: its key is revoked
    /// or has expired, its token is, it was banned, or it has used more tokens than its budget has
    /// left. It ends at most half a second later, with an error. Applies to streams that begin
    /// while it is set.
    pub cut: bool,
}

impl Default for StreamsConfig {
    fn default() -> Self {
        Self { cut: true }
    }
}
