//! A file that is backed up.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::{
    digest::Digesting,
    manifest::{self, Entry, Kind},
};
use crate::CliError;

/// An open file. It is read twice, for its digest and for the archive, and keeps its contents when
/// its name refers to another file.
pub(super) struct Item {
    pub(super) path: PathBuf,
    pub(super) settings: Vec<String>,
    pub(super) kind: Kind,
    file: File,
    size: u64,
    mode: u32,
    /// The folder of a copy, where an open file cannot be removed.
    _folder: Option<TempDir>,
}

impl Item {
    /// Opens a file at an absolute path.
    pub(super) fn open(path: PathBuf, setting: &str, kind: Kind) -> io::Result<Self> {
        // Opening a FIFO would wait for a writer.
        if !fs::metadata(&path)?.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it is not a regular file",
            ));
        }
        let file = File::open(&path)?;
        let metadata = file.metadata()?;
        Ok(Self::of(path, setting, kind, file, &metadata))
    }

    /// A file of a log, up to its last complete line.
    pub(super) fn log(path: PathBuf, setting: &str, file: File, length: u64) -> io::Result<Self> {
        let size = complete_lines(&file, length)?;
        let metadata = file.metadata()?;
        Ok(Self {
            size,
            ..Self::of(path, setting, Kind::Log, file, &metadata)
        })
    }

    /// The copy of a database in this folder.
    pub(super) fn database(
        path: PathBuf,
        setting: &str,
        copy: &Path,
        folder: TempDir,
    ) -> io::Result<Self> {
        let original = fs::metadata(&path)?;
        let file = File::open(copy)?;
        let size = file.metadata()?.len();
        // The copy is not encrypted: without a name, it ends with this process in any case.
        let folder = match cfg!(unix) {
            true => {
                folder.close()?;
                None
            }
            false => Some(folder),
        };
        Ok(Self {
            size,
            _folder: folder,
            ..Self::of(path, setting, Kind::Sqlite, file, &original)
        })
    }

    fn of(path: PathBuf, setting: &str, kind: Kind, file: File, metadata: &Metadata) -> Self {
        Self {
            path,
            settings: vec![setting.to_owned()],
            kind,
            file,
            size: metadata.len(),
            mode: mode(metadata),
            _folder: None,
        }
    }

    /// Reads the file for its entry in the manifest.
    pub(super) fn entry(&self) -> Result<Entry, CliError> {
        let mut contents = self.contents();
        let read = io::copy(&mut contents, &mut io::sink());
        read.map_err(|error| self.unreadable(&error))?;
        let (size, sha256) = contents.finish();
        if size != self.size {
            return Err(self.changed());
        }
        Ok(Entry {
            path: manifest::relative(&self.path)?,
            kind: self.kind,
            settings: self.settings.clone(),
            size,
            sha256,
            mode: format!("{:04o}", self.mode),
        })
    }

    /// A reader of the file from its start.
    pub(super) fn contents(&self) -> Digesting<impl Read> {
        Digesting::new(
            FromStart {
                file: &self.file,
                at: 0,
            }
            .take(self.size),
        )
    }

    /// The error of a file that was read twice with different results.
    pub(super) fn changed(&self) -> CliError {
        let path = self.path.display();
        CliError::failed(format_args!("{path} was changed while it was read"))
            .with_help("run the command again")
    }

    fn unreadable(&self, error: &io::Error) -> CliError {
        CliError::failed(format_args!("cannot read {}: {error}", self.path.display()))
    }
}

/// Reads a file independently of its position.
struct FromStart<'f> {
    file: &'f File,
    at: u64,
}

impl Read for FromStart<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.seek(SeekFrom::Start(self.at))?;
        let read = self.file.read(buffer)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// The length of all complete lines within the first `length` bytes.
fn complete_lines(mut file: &File, length: u64) -> io::Result<u64> {
    const STEP: u64 = 64 << 10;

    let mut end = length;
    let mut block = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(STEP);
        file.seek(SeekFrom::Start(start))?;
        block.clear();
        file.take(end - start).read_to_end(&mut block)?;
        if let Some(at) = block.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

#[cfg(unix)]
fn mode(metadata: &Metadata) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o777
}

#[cfg(not(unix))]
fn mode(_metadata: &Metadata) -> u32 {
    0o600
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn counts_complete_lines_only() {
        let long = "x".repeat(200_000);
        for (text, complete) in [
            (String::new(), 0),
            ("a\nb\n".to_owned(), 4),
            ("a\nb".to_owned(), 2),
            ("a".to_owned(), 0),
            (format!("a\n{long}"), 2),
            (format!("{long}\n{long}"), 200_001),
        ] {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            let length = text.len() as u64;
            assert_eq!(complete_lines(&file, length).unwrap(), complete);
            file.seek(SeekFrom::End(0)).unwrap();
            file.write_all(b"\nmore\n").unwrap();
            assert_eq!(complete_lines(&file, length).unwrap(), complete);
        }
    }

    #[test]
    fn keeps_its_contents_when_the_name_is_reused_and_notices_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.yaml");
        fs::write(&path, "old").unwrap();
        let item = Item::open(path.clone(), "auth.keys_file", Kind::File).unwrap();
        fs::rename(&path, folder.path().join("other")).unwrap();
        fs::write(&path, "new contents").unwrap();
        let entry = item.entry().unwrap();
        assert_eq!(entry.size, 3);
        let mut text = String::new();
        item.contents().read_to_string(&mut text).unwrap();
        assert_eq!(text, "old");

        fs::write(folder.path().join("other"), "o").unwrap();
        let error = item.entry().unwrap_err();
        assert!(error.to_string().contains("was changed"), "{error}");
    }
}
