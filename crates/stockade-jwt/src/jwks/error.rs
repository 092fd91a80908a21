//! Why keys were not fetched.

use std::{error::Error, fmt};

/// Why the keys behind a URL were not taken.
#[derive(Debug)]
pub struct JwksError {
    kind: JwksErrorKind,
    source: Box<dyn Error + Send + Sync>,
}

/// The kinds of [`JwksError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JwksErrorKind {
    /// The URL is none that is fetched; whoever configured it can mend that.
    Url,
    /// The server cannot be reached, or is not who it should be.
    Transport,
    /// The server answered with something other than 200; redirects are not followed.
    Status,
    /// The answer is too large.
    TooLarge,
    /// The answer took too long.
    TimedOut,
    /// The answer is no key set, or has no usable key.
    Keys,
}

impl JwksError {
    /// An error of this kind, for those who implement [`JwksFetch`](crate::JwksFetch).
    pub fn new(kind: JwksErrorKind, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            kind,
            source: source.into(),
        }
    }

    /// Its kind.
    pub fn kind(&self) -> JwksErrorKind {
        self.kind
    }
}

impl fmt::Display for JwksError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            JwksErrorKind::Url => "the JWKS URL is none that is fetched; use https",
            JwksErrorKind::Transport => "the JWKS server cannot be reached",
            JwksErrorKind::Status => "the JWKS server did not answer with 200",
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
