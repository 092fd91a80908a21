//! File rotation.

use std::{
    ffi::{OsStr, OsString},
    fs, io,
    path::{Path, PathBuf},
};

use stockade_core::clock::Timestamp;

use crate::timestamp::compact;

/// When a log file is rotated, and how many rotated files are kept.
///
/// ```
/// use stockade_audit::Rotation;
///
/// // A new file every day, or after 128 MiB; thirty old files are kept.
/// let rotation = Rotation::by_size(128 << 20).daily().keep(30);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    pub(super) max_bytes: u64,
    pub(super) daily: bool,
    pub(super) keep: usize,
}

impl Rotation {
    /// Rotates before a file exceeds this size.
    pub fn by_size(max_bytes: u64) -> Self {
        Self {
            max_bytes,
            daily: false,
            keep: 16,
        }
    }

    /// Rotates with the first record of a day (UTC), regardless of size.
    pub fn by_day() -> Self {
        Self::by_size(u64::MAX).daily()
    }

    /// Also rotates with the first record of a day (UTC).
    pub fn daily(mut self) -> Self {
        self.daily = true;
        self
    }

    /// Sets how many rotated files are kept in addition to the current one; 16 by default.
    pub fn keep(mut self, files: usize) -> Self {
        self.keep = files;
        self
    }
}

impl Default for Rotation {
    /// 128 MiB per file, and 16 rotated files.
    fn default() -> Self {
        Self::by_size(128 * 1_024 * 1_024)
    }
}

/// Returns the files of the log at this path, oldest first: the rotated files and the
/// current one, if it exists.
///
/// # Errors
/// Fails if the directory cannot be read.
pub fn log_files(path: impl AsRef<Path>) -> io::Result<Vec<PathBuf>> {
    let path = path.as_ref();
    let mut files = rotated_files(path)?;
    if path.is_file() {
        files.push(path.to_owned());
    }
    Ok(files)
}

/// Renames the file, and removes the oldest rotated files.
pub(super) fn rotate(path: &Path, now: Timestamp, keep: usize) -> io::Result<()> {
    fs::rename(path, free_name(path, now)?)?;
    let rotated = rotated_files(path)?;
    let excess = rotated.len().saturating_sub(keep);
    for old in &rotated[..excess] {
        fs::remove_file(old)?;
    }
    Ok(())
}

/// Returns an unused name such as `audit.log.20260131T120000Z-000`; the names sort by time.
fn free_name(path: &Path, now: Timestamp) -> io::Result<PathBuf> {
    for count in 0..1_000 {
        let mut name = OsString::from(path);
        name.push(format!(".{}-{count:03}", compact(now)));
        let name = PathBuf::from(name);
        if !name.try_exists()? {
            return Ok(name);
        }
    }
    Err(io::Error::other(
        "no free name: 1,000 files were rotated in one second",
    ))
}

fn rotated_files(path: &Path) -> io::Result<Vec<PathBuf>> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if path
            .file_name()
            .is_some_and(|log| is_rotated(log, &entry.file_name()))
        {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

fn is_rotated(log: &OsStr, name: &OsStr) -> bool {
    let suffix = name.as_encoded_bytes().strip_prefix(log.as_encoded_bytes());
    let Some([b'.', date @ .., b'-', a, b, c]) = suffix else {
        return false;
    };
    date.len() == "20260131T120000Z".len()
        && date
            .iter()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b'T' | b'Z'))
        && [a, b, c].iter().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_only_files_of_the_log_sorted_by_time() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("audit.log");
        assert!(log_files(&log).unwrap().is_empty());
        for name in [
            "audit.log",
            "audit.log.20260201T000000Z-000",
            "audit.log.20260131T120000Z-001",
            "audit.log.20260131T120000Z-000",
            "audit.log.head",
            "audit.log.1",
            "audit.log.20260131T120000Z-0000",
            "app.log.20260131T120000Z-000",
        ] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let files = log_files(&log).unwrap();
        let names: Vec<_> = files.iter().map(|file| file.file_name().unwrap()).collect();
        assert_eq!(
            names,
            [
                "audit.log.20260131T120000Z-000",
                "audit.log.20260131T120000Z-001",
                "audit.log.20260201T000000Z-000",
                "audit.log",
            ]
        );
    }

    #[test]
    fn keeps_the_newest_files() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("audit.log");
        for secs in 0..5 {
            fs::write(&log, secs.to_string()).unwrap();
            rotate(&log, Timestamp::from_secs(secs), 2).unwrap();
        }
        let kept = log_files(&log).unwrap();
        let texts: Vec<_> = kept
            .iter()
            .map(|file| fs::read_to_string(file).unwrap())
            .collect();
        assert_eq!(texts, ["3", "4"]);
    }
}
