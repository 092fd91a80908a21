//! The origin of a value.

use std::{fmt, sync::Arc};

/// The origin of a configuration value: a line of a file or an environment variable.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SettingOrigin {
    /// A file or an unnamed string.
    File {
        /// The name of the file; `None` for a string.
        file: Option<Arc<str>>,
        /// The line number, starting at 1; `None` for the whole file.
        line: Option<usize>,
    },
    /// The name of an environment variable.
    Variable(Arc<str>),
}

impl SettingOrigin {
    pub(super) fn variable(name: &str) -> Self {
        Self::Variable(name.into())
    }

    /// A line of the same file.
    pub(super) fn at_line(&self, line: usize) -> Self {
        match self {
            Self::File { file, .. } => Self::File {
                file: file.clone(),
                line: Some(line),
            },
            variable @ Self::Variable(_) => variable.clone(),
        }
    }

    /// The name of the variable; `None` for a file.
    pub fn as_variable(&self) -> Option<&str> {
        match self {
            Self::Variable(name) => Some(name),
            Self::File { .. } => None,
        }
    }
}

impl fmt::Display for SettingOrigin {
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
