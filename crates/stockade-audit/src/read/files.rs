//! The files of a log.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::log_files;

/// An open file of a log.
#[derive(Debug)]
#[non_exhaustive]
pub struct LogFile {
    /// The path at which it was opened; a rotation renames the file.
    pub path: PathBuf,
    /// The file.
    pub file: File,
    /// The length when the file was opened. A log in use grows.
    pub length: u64,
}

/// Opens all files of the log at this path, oldest first; none if the log does not exist.
///
/// All files are opened before the first one is read: after a rotation, a name refers to
/// another file.
///
/// # Errors
/// Fails if the directory or a file cannot be read.
pub fn open_log(path: impl AsRef<Path>) -> io::Result<Vec<LogFile>> {
    let path = path.as_ref();
    loop {
        let names = log_files(path)?;
        let files: io::Result<Vec<_>> = names.iter().map(|path| LogFile::open(path)).collect();
        // Again if a rotation happened meanwhile.
        if names == log_files(path)? {
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

/// Identifies a file independently of its name: device and inode, or the time of its creation
/// where there is nothing better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileIdentity(u64, u64);

impl FileIdentity {
    #[cfg(unix)]
    pub(super) fn of(metadata: &fs::Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self(metadata.dev(), metadata.ino())
    }

    #[cfg(not(unix))]
    pub(super) fn of(metadata: &fs::Metadata) -> Self {
        let created = metadata.created().ok();
        let since = created.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        since.map_or(Self(0, 0), |since| {
            Self(since.as_secs(), since.subsec_nanos().into())
        })
    }
}
