//! The error of a deny-list.

use std::{
    error::Error,
    fmt, io,
    path::{Path, PathBuf},
};

/// The error of opening or checking a deny-list.
#[derive(Debug)]
pub struct DenyListError {
    doing: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl DenyListError {
    pub(super) fn new(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self {
            doing,
            path: path.to_owned(),
            source,
        }
    }
}

impl fmt::Display for DenyListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            doing,
            path,
            source,
        } = self;
        write!(
            f,
            "cannot {doing} the deny-list {}: {source}",
            path.display()
        )
    }
}

impl Error for DenyListError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}
