//! The files of a log.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use stockade_audit::log_files;

use crate::CliError;

/// An open file of a log.
pub(super) struct LogFile {
    pub(super) path: PathBuf,
    pub(super) file: File,
    /// The length when the file was opened. A log in use grows.
    pub(super) length: u64,
}

/// Opens all files of a log, oldest first.
///
/// All files are opened before the first one is read: after a rotation, a name refers to
/// another file.
pub(super) fn open(log: &Path) -> Result<Vec<LogFile>, CliError> {
    let files = open_all(log).map_err(|error| unreadable(log, &error))?;
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

/// Opens the files, again if a rotation happens meanwhile.
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
            // `log_files` returns `./app.log` for `app.log`.
            path: path.strip_prefix(".").unwrap_or(path).to_owned(),
            length: file.metadata().map_err(named)?.len(),
            file,
        })
    }
}

/// Identifies a file independently of its name.
#[cfg(unix)]
pub(super) fn identity(metadata: &fs::Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    Some((metadata.dev(), metadata.ino()))
}

/// Identifies a file by its creation time; there is nothing better.
#[cfg(not(unix))]
pub(super) fn identity(metadata: &fs::Metadata) -> Option<std::time::SystemTime> {
    metadata.created().ok()
}
