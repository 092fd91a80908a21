//! Why a file of revoked tokens was not taken, or not written.

use std::{
    error::Error,
    fmt, io,
    path::{Path, PathBuf},
};

use super::contents::Fault;

/// Why a file of revoked tokens was not taken as it is, or not written.
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
    /// The file is missing, is no plain file, is too large, or cannot be read.
    Unreadable,
    /// A line cannot be read; the others are in force.
    Invalid,
    /// The file cannot be written.
    Unwritable,
    /// There are too many tokens that are not over.
    Full,
    /// The id is none that a line can hold.
    Id,
}

impl RevocationFileError {
    pub(super) fn unreadable(path: &Path, source: io::Error) -> Self {
        let problem = match source.kind() {
            io::ErrorKind::NotFound => {
                "there is no such file; an empty one says that nothing is revoked".to_owned()
            }
            _ => format!("it cannot be read: {source}"),
        };
        Self::new(RevocationFileErrorKind::Unreadable, path, problem).with_source(source)
    }

    pub(super) fn unwritable(path: &Path, source: io::Error) -> Self {
        let problem = format!("it cannot be written: {source}");
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
            more => format!("; {} more lines cannot be read", more - 1),
        };
        let problem = format!("line {line}: {problem}{more}; all other lines are in force");
        Self::new(RevocationFileErrorKind::Invalid, path, problem)
    }

    pub(super) fn full(path: &Path) -> Self {
        let problem = "it has 100,000 tokens that are not over; remove lines without a time, or \
                       change the key that the tokens are signed with";
        Self::new(RevocationFileErrorKind::Full, path, problem.to_owned())
    }

    pub(super) fn id(path: &Path) -> Self {
        let problem = "the id of a token has 1 to 256 bytes, no spaces, and no `#` in front";
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

    /// Its kind.
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
