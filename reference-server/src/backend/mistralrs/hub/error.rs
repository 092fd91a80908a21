//! Errors of downloads.

use std::io;

/// Why a download failed: one line with the problem.
#[derive(Debug)]
pub(super) enum HubError {
    /// The Hub cannot be reached, or refuses the request.
    Unavailable(String),
    /// What was received is not what the Hub announced.
    Corrupt(String),
    /// A file cannot be written.
    Disk(String),
}

impl HubError {
    pub(super) fn disk(path: &std::path::Path, error: &io::Error) -> Self {
        Self::Disk(format!("cannot write {}: {error}", path.display()))
    }

    pub(super) fn text(&self) -> &str {
        match self {
            Self::Unavailable(text) | Self::Corrupt(text) | Self::Disk(text) => text,
        }
    }
}
