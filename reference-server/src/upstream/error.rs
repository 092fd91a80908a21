//! The error of an exchange with an upstream.

use std::{error::Error, fmt, time::Duration};

type BoxError = Box<dyn Error + Send + Sync>;

/// The error of an exchange with an upstream.
#[derive(Debug)]
pub struct UpstreamError {
    kind: UpstreamErrorKind,
    source: Option<BoxError>,
}

/// The kinds of [`UpstreamError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpstreamErrorKind {
    /// No connection could be made.
    Connect,
    /// The TLS handshake failed, such as for an unknown certificate.
    Tls,
    /// The head of the response did not arrive in time.
    FirstByteTimeout,
    /// The body of the response paused for too long.
    IdleTimeout,
    /// The deadline of the request has passed.
    Deadline,
    /// All queues that could serve the request are full.
    QueueFull {
        /// When to try again.
        retry_after: Duration,
    },
    /// The request waited for too long.
    QueueTimeout {
        /// When to try again.
        retry_after: Duration,
    },
    /// No upstream is available: they are unhealthy, or have failed too often.
    Unavailable {
        /// When to try again.
        retry_after: Duration,
    },
    /// The upstream closed or reset the exchange before its end.
    Reset,
    /// The head or the body of the response is too large.
    TooLarge,
    /// The response is not valid, is encoded, or is a redirect.
    Protocol,
}

impl UpstreamError {
    pub(super) fn new(kind: UpstreamErrorKind) -> Self {
        Self { kind, source: None }
    }

    pub(super) fn with_source(kind: UpstreamErrorKind, source: impl Into<BoxError>) -> Self {
        Self {
            kind,
            source: Some(source.into()),
        }
    }

    /// Returns the kind of the error.
    pub fn kind(&self) -> UpstreamErrorKind {
        self.kind
    }
}

impl UpstreamErrorKind {
    /// The value of the `outcome` label in metrics.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::FirstByteTimeout => "first_byte_timeout",
            Self::IdleTimeout => "idle_timeout",
            Self::Deadline => "deadline",
            Self::QueueFull { .. } => "queue_full",
            Self::QueueTimeout { .. } => "queue_timeout",
            Self::Unavailable { .. } => "unavailable",
            Self::Reset => "reset",
            Self::TooLarge => "too_large",
            Self::Protocol => "protocol",
        }
    }
}

impl fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            UpstreamErrorKind::Connect => "cannot connect to the upstream",
            UpstreamErrorKind::Tls => "the TLS handshake with the upstream failed",
            UpstreamErrorKind::FirstByteTimeout => "the upstream did not respond in time",
            UpstreamErrorKind::IdleTimeout => "the upstream stopped in the middle of its response",
            UpstreamErrorKind::Deadline => "the deadline of the request has passed",
            UpstreamErrorKind::QueueFull { .. } => "the queue of the upstream is full",
            UpstreamErrorKind::QueueTimeout { .. } => "the upstream had no free slot in time",
            UpstreamErrorKind::Unavailable { .. } => "no upstream is available",
            UpstreamErrorKind::Reset => "the upstream closed the exchange before its end",
            UpstreamErrorKind::TooLarge => "the response of the upstream is too large",
            UpstreamErrorKind::Protocol => "the response of the upstream is invalid",
        })
    }
}

impl Error for UpstreamError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
