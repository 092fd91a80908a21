//! Where a value came from.

use std::{fmt, sync::Arc};

/// Where a value of a configuration came from: a line of a file, or an environment variable.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// A file, or a text without a name.
    File {
        /// The name of the file; `None` for a text.
        file: Option<Arc<str>>,
        /// The line, from 1; `None` for the file as a whole.
        line: Option<usize>,
    },
    /// An environment variable, by its name.
    Variable(Arc<str>),
}

impl Origin {
    pub(super) fn variable(name: &str) -> Self {
        Self::Variable(name.into())
    }

    /// The same file as a whole.
    pub(super) fn at_line(&self, line: usize) -> Self {
        match self {
            Self::File { file, .. } => Self::File {
                file: file.clone(),
                line: Some(line),
            },
            variable @ Self::Variable(_) => variable.clone(),
        }
    }

    /// The name of the variable, where it is one.
    pub fn as_variable(&self) -> Option<&str> {
        match self {
            Self::Variable(name) => Some(name),
            Self::File { .. } => None,
        }
    }
}

impl fmt::Display for Origin {
    /// `stockade.toml:7`, `line 7`, or the name of the variable.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => f.write_str(name),
            Self::File {
                file: Some(file),
                line: Some(line),
            } => write!(f, "{file}:{line}"),
            Self::File {
                file: Some(file), ..
            } => f.write_str(file),
            Self::File {
                line: Some(line), ..
            } => write!(f, "line {line}"),
            Self::File { .. } => f.write_str("the configuration"),
        }
    }
}
