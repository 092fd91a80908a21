//! Why a key file was not taken.

use std::{
    error::Error,
    fmt, io,
    path::{Path, PathBuf},
};

use crate::{KeyStoreError, KeyStoreErrorKind};

/// Why a key file was not taken. Shows neither hashes nor other values of the file.
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
    /// The file is missing, too large, or may not be read; whoever runs the server can
    /// mend that.
    Unreadable,
    /// The file is not what it should be; whoever wrote it can mend that.
    Invalid,
    /// The file cannot be written: the disk is full, or its folder is read-only.
    Unwritable,
    /// The file cannot be followed: no thread can be started.
    Unwatchable,
    /// The file's layout leaves no place for a change; make the change by hand, or write the
    /// file anew.
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

    /// Its kind.
    pub fn kind(&self) -> KeyFileErrorKind {
        self.kind
    }

    /// The line where the fault begins, counted from 1.
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
            KeyFileErrorKind::Unwatchable => " cannot be followed",
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
