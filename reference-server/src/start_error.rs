//! Why the server does not start.

use std::{error::Error, fmt};

/// Why the server does not start: one line that says what, where, and how to mend it.
#[derive(Debug)]
pub struct StartError(String);

impl StartError {
    pub(crate) fn new(line: impl Into<String>) -> Self {
        Self(line.into())
    }

    /// What failed, and why: the error and its causes on one line.
    pub(crate) fn context(what: &str, error: &dyn Error) -> Self {
        let mut line = format!("{what}: {error}");
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // Some errors already say what caused them.
            if !line.contains(&text) {
                line.push_str(": ");
                line.push_str(&text);
            }
            cause = error.source();
        }
        Self(line.replace(['\n', '\r'], " "))
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for StartError {}
