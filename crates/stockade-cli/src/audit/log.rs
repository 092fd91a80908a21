//! The files of a log.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use stockade_audit::log_files;

use crate::CliError;

/// One of a log's files, open.
pub(super) struct LogFile {
    pub(super) path: PathBuf,
    pub(super) file: File,
    /// How long it was when it was opened. A log that is written grows.
    pub(super) length: u64,
}

/// Opens all files of a log, the oldest first.
///
/// They are opened before any is read: the file that is written may be put aside at any
/// moment, and whoever looks for it by its name then finds the next one.
pub(super) fn open(log: &Path) -> Result<Vec<LogFile>, CliError> {
    let files = open_all(log).map_err(|error| unreadable(log, &error))?;
    if files.is_empty() {
        return Err(
            CliError::failed(format_args!("there is no log at {}", log.display())).help(
                "name the file that `audit.file` or `audit.security_file` of the configuration \
                 names",
            ),
        );
    }
    Ok(files)
}

/// Says which file cannot be read.
pub(super) fn unreadable(path: &Path, error: &io::Error) -> CliError {
    CliError::failed(format_args!("{} cannot be read: {error}", path.display()))
}

/// Opens the files anew for as long as somebody puts some of them aside meanwhile.
pub(super) fn open_all(log: &Path) -> io::Result<Vec<LogFile>> {
    loop {
        let names = log_files(log)?;
        let files: io::Result<Vec<_>> = names.iter().map(|path| LogFile::open(path)).collect();
        if names == log_files(log)? {
            return files;
        }
    }
}

impl LogFile {
    fn open(path: &Path) -> io::Result<Self> {
        let named =
            |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let file = File::open(path).map_err(named)?;
        Ok(Self {
            // As people write it.
            path: path.strip_prefix(".").unwrap_or(path).to_owned(),
            length: file.metadata().map_err(named)?.len(),
            file,
        })
    }
}

/// What makes a file the same one under another name.
#[cfg(unix)]
pub(super) fn identity(metadata: &fs::Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    Some((metadata.dev(), metadata.ino()))
}

/// When it was made, where there is nothing better.
#[cfg(not(unix))]
pub(super) fn identity(metadata: &fs::Metadata) -> Option<std::time::SystemTime> {
    metadata.created().ok()
}
