//! The error of invalid settings.

use std::{error::Error, fmt};

/// An invalid setting of an upstream: one line with the cause and the remedy. Never contains a
/// credential.
#[derive(Debug)]
pub struct UpstreamSettingsError(String);

impl UpstreamSettingsError {
    pub(in crate::upstream) fn new(line: impl Into<String>) -> Self {
        Self(line.into())
    }
}

impl fmt::Display for UpstreamSettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for UpstreamSettingsError {}
