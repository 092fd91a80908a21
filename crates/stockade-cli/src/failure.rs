//! Why a command did not do what it was asked to.

use std::{error::Error, fmt, io, process::ExitCode};

use stockade_key_auth::{GenerateKeyError, KeyFileError, KeyStoreError};

use crate::{output, visible::visible};

/// Why a command did not do what it was asked to: one sentence that says what, where, and
/// how to mend it. Shows neither keys nor hashes.
#[derive(Debug)]
pub struct Failure {
    kind: FailureKind,
    message: String,
    mend: Option<String>,
}

/// The kinds of [`Failure`], each with an exit code of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// It was asked properly, and cannot or must not be done: exit code 1.
    Refused,
    /// It was asked the wrong way: exit code 2, as clap has it.
    Usage,
    /// Where exit code 1 is an answer, none could be found: exit code 2.
    NoAnswer,
    /// Whoever was to read the output has gone, as in `stockade keys list | head`: there is
    /// nobody to tell, and nothing went wrong.
    Unheard,
}

impl Failure {
    pub(crate) fn refused(message: impl fmt::Display) -> Self {
        Self::new(FailureKind::Refused, message)
    }

    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::new(FailureKind::Usage, message)
    }

    /// The same, of a command whose exit code 1 is an answer.
    pub(crate) fn no_answer(self) -> Self {
        match self.kind {
            FailureKind::Refused => Self {
                kind: FailureKind::NoAnswer,
                ..self
            },
            _ => self,
        }
    }

    fn new(kind: FailureKind, message: impl fmt::Display) -> Self {
        Self {
            kind,
            message: message.to_string(),
            mend: None,
        }
    }

    /// Says how it can be mended.
    pub(crate) fn mend(mut self, how: impl fmt::Display) -> Self {
        self.mend = Some(how.to_string());
        self
    }

    /// Its kind.
    pub fn kind(&self) -> FailureKind {
        self.kind
    }

    /// Writes it to standard error, unless there is nobody to read it.
    pub fn report(&self) {
        if self.kind != FailureKind::Unheard {
            output::error(self);
        }
    }
}

impl fmt::Display for Failure {
    /// On one line, and safe on a terminal, whatever a file or a database had in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&visible(&self.message))?;
        match &self.mend {
            Some(how) => write!(f, "; {}", visible(how)),
            None => Ok(()),
        }
    }
}

impl Error for Failure {}

impl From<FailureKind> for ExitCode {
    fn from(kind: FailureKind) -> Self {
        match kind {
            FailureKind::Refused => Self::from(1),
            FailureKind::Usage | FailureKind::NoAnswer => Self::from(2),
            FailureKind::Unheard => Self::SUCCESS,
        }
    }
}

/// Of standard output; other I/O errors are given words where they arise.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::new(FailureKind::Unheard, error),
            _ => Self::refused(format_args!("the output cannot be written: {error}")),
        }
    }
}

impl From<KeyStoreError> for Failure {
    fn from(error: KeyStoreError) -> Self {
        Self::refused(error)
    }
}

impl From<KeyFileError> for Failure {
    fn from(error: KeyFileError) -> Self {
        Self::refused(error)
    }
}

impl From<GenerateKeyError> for Failure {
    fn from(error: GenerateKeyError) -> Self {
        match error {
            GenerateKeyError::Prefix(_) => Self::usage(error),
            _ => Self::refused(error),
        }
    }
}
