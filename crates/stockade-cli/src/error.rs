//! Why a command did not do what it was asked to.

use std::{error::Error, fmt, io, process::ExitCode};

use stockade_key_auth::{GenerateKeyError, KeyFileError, KeyStoreError};

use crate::{escape::escape, output};

/// Why a command did not do what it was asked to: one sentence that says what, where, and
/// how to mend it. Shows neither keys nor hashes.
#[derive(Debug)]
pub struct CliError {
    kind: CliErrorKind,
    message: String,
    help: Option<String>,
}

/// The kinds of [`CliError`], each with an exit code of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CliErrorKind {
    /// It was asked properly, and cannot or must not be done: exit code 1.
    Failed,
    /// It was asked the wrong way: exit code 2, as clap has it.
    Usage,
    /// Where exit code 1 is an answer, none could be found: exit code 2.
    Inconclusive,
    /// Whoever was to read the output has gone, as in `stockade keys list | head`: there is
    /// nobody to tell, and nothing went wrong.
    BrokenPipe,
}

impl CliError {
    pub(crate) fn failed(message: impl fmt::Display) -> Self {
        Self::new(CliErrorKind::Failed, message)
    }

    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::new(CliErrorKind::Usage, message)
    }

    /// The same, of a command whose exit code 1 is an answer.
    pub(crate) fn inconclusive(self) -> Self {
        match self.kind {
            CliErrorKind::Failed => Self {
                kind: CliErrorKind::Inconclusive,
                ..self
            },
            _ => self,
        }
    }

    fn new(kind: CliErrorKind, message: impl fmt::Display) -> Self {
        Self {
            kind,
            message: message.to_string(),
            help: None,
        }
    }

    /// Says how it can be mended.
    pub(crate) fn help(mut self, how: impl fmt::Display) -> Self {
        self.help = Some(how.to_string());
        self
    }

    /// Its kind.
    pub fn kind(&self) -> CliErrorKind {
        self.kind
    }

    /// Writes it to standard error, unless there is nobody to read it.
    pub fn report(&self) {
        if self.kind != CliErrorKind::BrokenPipe {
            output::error(self);
        }
    }
}

impl fmt::Display for CliError {
    /// On one line, and safe on a terminal, whatever a file or a database had in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape(&self.message))?;
        match &self.help {
            Some(how) => write!(f, "; {}", escape(how)),
            None => Ok(()),
        }
    }
}

impl Error for CliError {}

impl From<CliErrorKind> for ExitCode {
    fn from(kind: CliErrorKind) -> Self {
        match kind {
            CliErrorKind::Failed => Self::from(1),
            CliErrorKind::Usage | CliErrorKind::Inconclusive => Self::from(2),
            CliErrorKind::BrokenPipe => Self::SUCCESS,
        }
    }
}

/// Of standard output; other I/O errors are given words where they arise.
impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::new(CliErrorKind::BrokenPipe, error),
            _ => Self::failed(format_args!("the output cannot be written: {error}")),
        }
    }
}

impl From<KeyStoreError> for CliError {
    fn from(error: KeyStoreError) -> Self {
        Self::failed(error)
    }
}

impl From<KeyFileError> for CliError {
    fn from(error: KeyFileError) -> Self {
        Self::failed(error)
    }
}

impl From<GenerateKeyError> for CliError {
    fn from(error: GenerateKeyError) -> Self {
        match error {
            GenerateKeyError::Prefix(_) => Self::usage(error),
            _ => Self::failed(error),
        }
    }
}
