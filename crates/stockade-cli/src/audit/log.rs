//! The files of a log.

use std::{io, path::Path};

use stockade_audit::{LogFile, LogLine, open_log};

use crate::CliError;

/// Opens all files of a log, oldest first.
pub(super) fn open(log: &Path) -> Result<Vec<LogFile>, CliError> {
    let files = open_log(log).map_err(|error| unreadable(log, &error))?;
    if files.is_empty() {
        return Err(
            CliError::failed(format_args!("{} does not exist", log.display())).with_help(
                "name the file that the setting audit.file or audit.security_file names",
            ),
        );
    }
    Ok(files)
}

/// The error for a file that cannot be read.
pub(super) fn unreadable(path: &Path, error: &io::Error) -> CliError {
    CliError::failed(format_args!("cannot read {}: {error}", path.display()))
}

/// Parses a record; `None` if the line is invalid.
pub(super) fn parse_record(line: &[u8]) -> Option<LogLine> {
    std::str::from_utf8(line).ok()?.parse().ok()
}
