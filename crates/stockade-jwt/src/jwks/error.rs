//! Errors of JWKS fetches.

use std::{error::Error, fmt};

/// The error of a JWKS fetch.
#[derive(Debug)]
pub struct JwksError {
    kind: JwksErrorKind,
    source: Box<dyn Error + Send + Sync>,
}

/// The kinds of [`JwksError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JwksErrorKind {
    /// The URL is invalid or not supported.
    Url,
    /// The server cannot be reached or authenticated.
    Transport,
    /// The response status is not 200; redirects are not followed.
    Status,
    /// The response is too large.
    TooLarge,
    /// The response took too long.
    TimedOut,
    /// The response is not a key set, or has no usable key.
    Keys,
}

impl JwksError {
    /// Creates an error, for implementations of [`JwksFetch`](crate::JwksFetch).
    pub fn new(kind: JwksErrorKind, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            kind,
            source: source.into(),
        }
    }

    /// Returns the kind of the error.
    pub fn kind(&self) -> JwksErrorKind {
        self.kind
    }
}

impl fmt::Display for JwksError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            JwksErrorKind::Url => "the JWKS URL is not supported; use an https URL",
            JwksErrorKind::Transport => "the JWKS server cannot be reached",
            JwksErrorKind::Status => "the JWKS server did not respond with status 200",
            JwksErrorKind::TooLarge => "the JWKS is too large",
            JwksErrorKind::TimedOut => "the JWKS server took too long",
            JwksErrorKind::Keys => "the JWKS has no usable keys",
        })
    }
}

impl Error for JwksError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}
