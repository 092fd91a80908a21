//! Errors of commands, and their exit codes.

use std::{error::Error, fmt, io, process::ExitCode};

use stockade_key_auth::{GenerateKeyError, KeyFileError, KeyStoreError};

use crate::{escape::escape, output};

/// The error of a command: what failed and why, with an optional remedy. Contains neither keys
/// nor hashes.
#[derive(Debug)]
pub struct CliError {
    kind: CliErrorKind,
    message: String,
    help: Option<String>,
}

/// The kind of a [`CliError`]; it determines the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CliErrorKind {
    /// The command failed: exit code 1.
    Failed,
    /// Usage error: exit code 2, as for errors that clap reports.
    Usage,
    /// A command whose exit code 1 is a result could not determine its result: exit code 2.
    Inconclusive,
    /// The reader of standard output has closed it, as in `stockade keys list | head`: not
    /// reported, exit code 0.
    BrokenPipe,
}

impl CliError {
    pub(crate) fn failed(message: impl fmt::Display) -> Self {
        Self::new(CliErrorKind::Failed, message)
    }

    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::new(CliErrorKind::Usage, message)
    }

    /// Converts a failure of a command whose exit code 1 is a result.
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

    /// Adds a remedy.
    pub(crate) fn with_help(mut self, help: impl fmt::Display) -> Self {
        self.help = Some(help.to_string());
        self
    }

    /// The kind of the error.
    pub fn kind(&self) -> CliErrorKind {
        self.kind
    }

    /// The remedy, if one is known.
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// Writes the error and its remedy to standard error; does nothing for a
    /// [`BrokenPipe`](CliErrorKind::BrokenPipe).
    pub fn report(&self) {
        if self.kind == CliErrorKind::BrokenPipe {
            return;
        }
        output::error(self);
        if let Some(help) = &self.help {
            output::help(help);
        }
    }
}

impl fmt::Display for CliError {
    /// Writes the message on one line, escaped for a terminal: it may quote a file or a
    /// database.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape(&self.message))
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

/// Converts errors of standard output only; other I/O errors get their context where they occur.
impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::new(CliErrorKind::BrokenPipe, error),
            _ => Self::failed(format_args!("cannot write to standard output: {error}")),
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
