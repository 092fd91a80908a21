//! Errors of revocation files.

use std::{
    error::Error,
    fmt, io,
    path::{Path, PathBuf},
};

use super::contents::Fault;

/// The error of a revocation file.
#[derive(Debug)]
pub struct RevocationFileError {
    kind: RevocationFileErrorKind,
    path: PathBuf,
    problem: String,
    source: Option<io::Error>,
}

/// The kinds of [`RevocationFileError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RevocationFileErrorKind {
    /// The file is missing, not a regular file, too large, or not readable.
    Unreadable,
    /// A line is invalid; the others are effective.
    Invalid,
    /// The file cannot be written.
    Unwritable,
    /// The file has too many unexpired tokens.
    Full,
    /// The token id is invalid.
    Id,
}

impl RevocationFileError {
    pub(super) fn unreadable(path: &Path, source: io::Error) -> Self {
        let problem = match source.kind() {
            io::ErrorKind::NotFound => {
                "the file does not exist; create an empty one if no token is revoked".to_owned()
            }
            _ => format!("the file cannot be read: {source}"),
        };
        Self::new(RevocationFileErrorKind::Unreadable, path, problem).with_source(source)
    }

    pub(super) fn unwritable(path: &Path, source: io::Error) -> Self {
        let problem = format!("the file cannot be written: {source}");
        Self::new(RevocationFileErrorKind::Unwritable, path, problem).with_source(source)
    }

    pub(super) fn invalid(path: &Path, fault: &Fault) -> Self {
        let Fault {
            line,
            problem,
            count,
        } = fault;
        let more = match count {
            0 | 1 => String::new(),
            2 => "; 1 more line is invalid".to_owned(),
            more => format!("; {} more lines are invalid", more - 1),
        };
        let problem = format!("line {line}: {problem}{more}; all other lines are effective");
        Self::new(RevocationFileErrorKind::Invalid, path, problem)
    }

    pub(super) fn full(path: &Path) -> Self {
        let problem = "the file has 100,000 unexpired tokens; remove lines without a time, or rotate the \
                       signing key";
        Self::new(RevocationFileErrorKind::Full, path, problem.to_owned())
    }

    pub(super) fn id(path: &Path) -> Self {
        let problem = "invalid token id; use 1 to 256 bytes without spaces or a leading `#`";
        Self::new(RevocationFileErrorKind::Id, path, problem.to_owned())
    }

    fn new(kind: RevocationFileErrorKind, path: &Path, problem: String) -> Self {
        Self {
            kind,
            path: path.to_owned(),
            problem,
            source: None,
        }
    }

    fn with_source(mut self, source: io::Error) -> Self {
        self.source = Some(source);
        self
    }

    /// Returns the kind of the error.
    pub fn kind(&self) -> RevocationFileErrorKind {
        self.kind
    }
}

impl fmt::Display for RevocationFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.problem)
    }
}

impl Error for RevocationFileError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}
