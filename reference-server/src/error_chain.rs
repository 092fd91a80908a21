//! Errors with their sources, on one line.

use std::error::Error;

/// An error and its sources.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    append_sources(&mut line, error);
    line
}

/// Appends the sources of an error to a line that has the error.
pub(crate) fn append_sources(line: &mut String, error: &dyn Error) {
    let mut source = error.source();
    while let Some(error) = source {
        let text = error.to_string();
        // Some errors already include their source.
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        source = error.source();
    }
}
