//! The error that prevents the server from starting.

use std::{error::Error, fmt};

use crate::error_chain::append_sources;

/// An error that prevents the server from starting: one line with the cause, its origin and the
/// remedy.
#[derive(Debug)]
pub struct StartError(String);

impl StartError {
    pub(crate) fn new(line: impl Into<String>) -> Self {
        Self(line.into())
    }

    /// Prepends what failed to an error, and appends the error's sources, on one line.
    pub(crate) fn context(what: &str, error: &dyn Error) -> Self {
        let mut line = format!("{what}: {error}");
        append_sources(&mut line, error);
        Self(line.replace(['\n', '\r'], " "))
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for StartError {}
