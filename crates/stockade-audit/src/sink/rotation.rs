//! When a file is put aside for a new one, and under which name.

use std::{
    ffi::{OsStr, OsString},
    fs, io,
    path::{Path, PathBuf},
};

use stockade_core::clock::Timestamp;

use crate::timestamp::compact;

/// When a log's file is put aside, and how many of those are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    pub(super) max_bytes: u64,
    pub(super) daily: bool,
    pub(super) keep: usize,
}

impl Rotation {
    /// Before a file would grow over so many bytes.
    pub fn by_size(max_bytes: u64) -> Self {
        Self {
            max_bytes,
            daily: false,
            keep: 16,
        }
    }

    /// With the first record of a day (UTC), however large the file is.
    pub fn by_day() -> Self {
        Self::by_size(u64::MAX).daily()
    }

    /// Also with the first record of a day (UTC).
    pub fn daily(mut self) -> Self {
        self.daily = true;
        self
    }

    /// How many files that were put aside are kept, besides the one that is written;
    /// 16 where this is not called.
    pub fn keep(mut self, files: usize) -> Self {
        self.keep = files;
        self
    }
}

impl Default for Rotation {
    /// 128 MiB a file, and 16 files besides the one that is written.
    fn default() -> Self {
        Self::by_size(128 * 1_024 * 1_024)
    }
}

/// The files of the log at this path, oldest first: those that its sink has put aside,
/// and the one that is written, if there is one.
///
/// # Errors
/// When the folder cannot be read.
pub fn log_files(path: impl AsRef<Path>) -> io::Result<Vec<PathBuf>> {
    let path = path.as_ref();
    let mut files = rotated_files(path)?;
    if path.is_file() {
        files.push(path.to_owned());
    }
    Ok(files)
}

/// Puts a file aside, and removes those that are too many.
pub(super) fn rotate(path: &Path, now: Timestamp, keep: usize) -> io::Result<()> {
    fs::rename(path, free_name(path, now)?)?;
    let rotated = rotated_files(path)?;
    let excess = rotated.len().saturating_sub(keep);
    for old in &rotated[..excess] {
        fs::remove_file(old)?;
    }
    Ok(())
}

/// `audit.log.20260131T120000Z-000`: such names sort by time.
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
        "a thousand files were put aside in one second",
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
    fn knows_its_own_files_only_and_sorts_them() {
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
    fn keeps_the_newest() {
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
