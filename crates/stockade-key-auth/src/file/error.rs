//! Errors of key files.

use std::{
    error::Error,
    fmt, io,
    path::{Path, PathBuf},
};

use crate::{KeyStoreError, KeyStoreErrorKind};

/// The error of a key file. Shows neither hashes nor other values of the file.
#[derive(Debug)]
pub struct KeyFileError {
    path: PathBuf,
    kind: KeyFileErrorKind,
    line: Option<u64>,
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The kinds of [`KeyFileError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyFileErrorKind {
    /// The file is missing, too large, or not readable.
    Unreadable,
    /// The contents of the file are invalid.
    Invalid,
    /// The file cannot be written, for example because the disk is full or the folder read-only.
    Unwritable,
    /// The file cannot be watched, because no thread can be started.
    Unwatchable,
    /// The layout of the file does not allow a change; edit it by hand, or rewrite the file.
    Uneditable,
}

impl KeyFileError {
    fn new(
        path: &Path,
        kind: KeyFileErrorKind,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        let source = source.into();
        Self {
            path: path.to_owned(),
            kind,
            line: None,
            message: source.to_string(),
            source: Some(source),
        }
    }

    pub(super) fn unreadable(path: &Path, source: io::Error) -> Self {
        Self::new(path, KeyFileErrorKind::Unreadable, source)
    }

    pub(super) fn unwritable(path: &Path, source: io::Error) -> Self {
        Self::new(path, KeyFileErrorKind::Unwritable, source)
    }

    #[cfg(feature = "watch")]
    pub(super) fn unwatchable(path: &Path, source: io::Error) -> Self {
        Self::new(path, KeyFileErrorKind::Unwatchable, source)
    }

    pub(super) fn uneditable(path: &Path, problem: impl ToString) -> Self {
        Self {
            kind: KeyFileErrorKind::Uneditable,
            ..Self::invalid(path, None, problem)
        }
    }

    pub(super) fn invalid(path: &Path, line: Option<u64>, message: impl ToString) -> Self {
        Self {
            path: path.to_owned(),
            kind: KeyFileErrorKind::Invalid,
            line,
            message: message.to_string(),
            source: None,
        }
    }

    /// Returns the kind of the error.
    pub fn kind(&self) -> KeyFileErrorKind {
        self.kind
    }

    /// Returns the line of the problem, counted from 1.
    pub fn line(&self) -> Option<u64> {
        self.line
    }
}

impl fmt::Display for KeyFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key file {}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        f.write_str(match self.kind {
            KeyFileErrorKind::Unreadable => " cannot be read",
            KeyFileErrorKind::Unwritable => " cannot be written",
            KeyFileErrorKind::Unwatchable => " cannot be watched",
            KeyFileErrorKind::Invalid => " is not valid",
            KeyFileErrorKind::Uneditable => " cannot be edited",
        })?;
        write!(f, ": {}", self.message)
    }
}

impl Error for KeyFileError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<KeyFileError> for KeyStoreError {
    fn from(error: KeyFileError) -> Self {
        let kind = match error.kind {
            KeyFileErrorKind::Invalid => KeyStoreErrorKind::Corrupt,
            _ => KeyStoreErrorKind::Unavailable,
        };
        Self::new(kind, error.to_string()).with_source(error)
    }
}
