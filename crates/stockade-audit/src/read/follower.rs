//! Follows a log that is being written.

use std::{
    fs::{self, File},
    io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    files::{FileIdentity, LogFile, open_log},
    line_reader::LineReader,
};

/// Reads new lines of a log, across rotation, renaming and truncation of its file.
///
/// ```
/// use std::{fs, io::Write};
///
/// use stockade_audit::LogFollower;
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("app.log");
/// let mut log = fs::File::create(&path)?;
/// let mut follower = LogFollower::at_end(&path)?;
/// assert_eq!(follower.next_line()?, None);
/// writeln!(log, "a record")?;
/// assert_eq!(follower.next_line()?.as_deref(), Some(&b"a record"[..]));
/// // Later, also after a rotation:
/// let resumed = LogFollower::resume(&path, &follower.position()?)?;
/// assert!(resumed.is_some());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct LogFollower {
    log: PathBuf,
    /// Where `lines` starts in its file.
    start: u64,
    lines: LineReader<BufReader<File>>,
    /// The file after this one, once this one is known to be rotated.
    next: Option<File>,
}

/// A position in a log: a file, whatever its name is now, and the end of a line in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPosition {
    file: FileIdentity,
    offset: u64,
}

/// A change of the file since it was opened.
enum FileState {
    Unchanged,
    /// The file was truncated, as by `copytruncate`; reading restarts at its beginning.
    Truncated(File),
    /// The file was renamed or removed; the log continues in this one.
    Rotated(File),
}

impl LogFollower {
    /// Starts at an offset of a file of the log, in bytes.
    ///
    /// # Errors
    /// Fails if the file cannot be read.
    pub fn new(log: impl Into<PathBuf>, file: LogFile, offset: u64) -> io::Result<Self> {
        Ok(Self {
            log: log.into(),
            start: offset,
            lines: lines_from(file.file, offset)?,
            next: None,
        })
    }

    /// Starts at the present end of the log.
    ///
    /// # Errors
    /// Fails if the log does not exist or cannot be read.
    pub fn at_end(log: impl AsRef<Path>) -> io::Result<Self> {
        let log = log.as_ref();
        let last = open_log(log)?.pop().ok_or_else(|| missing(log))?;
        let end = last.length;
        Self::new(log, last, end)
    }

    /// Starts with the oldest record that is left.
    ///
    /// # Errors
    /// Fails if the log does not exist or cannot be read.
    pub fn at_start(log: impl AsRef<Path>) -> io::Result<Self> {
        let log = log.as_ref();
        let oldest = open_log(log)?.into_iter().next();
        Self::new(log, oldest.ok_or_else(|| missing(log))?, 0)
    }

    /// Continues at a [`position`](Self::position); `None` if the log no longer has it, because
    /// its file was removed or truncated.
    ///
    /// # Errors
    /// Fails if the log cannot be read.
    pub fn resume(log: impl AsRef<Path>, position: &LogPosition) -> io::Result<Option<Self>> {
        let log = log.as_ref();
        for file in open_log(log)? {
            if FileIdentity::of(&file.file.metadata()?) == position.file {
                // The number of a removed file may be that of a new one.
                return match is_line_start(&file, position.offset)? {
                    true => Self::new(log, file, position.offset).map(Some),
                    false => Ok(None),
                };
            }
        }
        Ok(None)
    }

    /// The position after the last line that was returned.
    ///
    /// # Errors
    /// Fails if the open file cannot be examined.
    pub fn position(&self) -> io::Result<LogPosition> {
        Ok(LogPosition {
            file: FileIdentity::of(&self.file().metadata()?),
            offset: self.start + self.lines.returned(),
        })
    }

    /// The next complete line without its line feed, or the incomplete last line of a file that
    /// was rotated; `None` until another line is written. A line that is longer than
    /// [`MAX_LINE_LEN`](crate::MAX_LINE_LEN) is returned as an empty line, which is invalid as
    /// well.
    ///
    /// # Errors
    /// Fails if the log cannot be read.
    pub fn next_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(line) = self.lines.next_line()? {
                return Ok(Some(line.to_vec()));
            }
            if let Some(next) = self.next.take() {
                let partial = self.lines.partial().map(<[u8]>::to_vec);
                self.start_file(next)?;
                match partial {
                    Some(partial) => return Ok(Some(partial)),
                    None => continue,
                }
            }
            match self.file_state()? {
                FileState::Unchanged => return Ok(None),
                // Lines may have been written between the last read and the rotation.
                FileState::Rotated(file) => self.next = Some(file),
                FileState::Truncated(file) => self.start_file(file)?,
            }
        }
    }

    fn file(&self) -> &File {
        self.lines.get_ref().get_ref()
    }

    fn start_file(&mut self, file: File) -> io::Result<()> {
        self.start = 0;
        self.lines = lines_from(file, 0)?;
        Ok(())
    }

    fn file_state(&self) -> io::Result<FileState> {
        let mut file = self.file();
        let own = file.metadata()?;
        match fs::metadata(&self.log) {
            Ok(at_path) if FileIdentity::of(&at_path) == FileIdentity::of(&own) => {
                let read = file.stream_position()?;
                match own.len() < read {
                    true => Ok(FileState::Truncated(file.try_clone()?)),
                    false => Ok(FileState::Unchanged),
                }
            }
            Ok(_) => self.next_file(&own),
            // The file was rotated, and its successor does not exist yet.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(FileState::Unchanged),
            Err(error) => Err(error),
        }
    }

    /// The file after this one. More than one rotation may have happened.
    fn next_file(&self, own: &fs::Metadata) -> io::Result<FileState> {
        let mut files = open_log(&self.log)?.into_iter();
        let mut last = None;
        while let Some(file) = files.next() {
            if FileIdentity::of(&file.file.metadata()?) == FileIdentity::of(own) {
                return Ok(files
                    .next()
                    .map_or(FileState::Unchanged, |next| FileState::Rotated(next.file)));
            }
            last = Some(file);
        }
        Ok(last.map_or(FileState::Unchanged, |last| FileState::Rotated(last.file)))
    }
}

fn lines_from(mut file: File, at: u64) -> io::Result<LineReader<BufReader<File>>> {
    file.seek(SeekFrom::Start(at))?;
    Ok(LineReader::new(BufReader::new(file)))
}

fn missing(log: &Path) -> io::Error {
    let text = format!("{} does not exist", log.display());
    io::Error::new(ErrorKind::NotFound, text)
}

fn is_line_start(file: &LogFile, offset: u64) -> io::Result<bool> {
    let Some(before) = offset.checked_sub(1) else {
        return Ok(true);
    };
    let mut byte = [0];
    let mut from = &file.file;
    from.seek(SeekFrom::Start(before))?;
    Ok(from.read(&mut byte)? == 1 && byte == *b"\n")
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn append(log: &Path, text: &str) {
        let mut file = File::options().append(true).create(true).open(log).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn rest(follower: &mut LogFollower) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(line) = follower.next_line().unwrap() {
            lines.push(String::from_utf8(line).unwrap());
        }
        lines
    }

    #[test]
    fn resumes_after_the_last_line_across_rotations() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("app.log");
        append(&log, "a\n");
        let mut follower = LogFollower::at_end(&log).unwrap();
        append(&log, "b\nc\nd");
        assert_eq!(follower.next_line().unwrap(), Some(b"b".to_vec()));
        let position = follower.position().unwrap();
        for (number, text) in ["\ne\n", "f\n"].into_iter().enumerate() {
            append(&log, text);
            let rotated = format!("app.log.20260131T120000Z-00{number}");
            fs::rename(&log, folder.path().join(rotated)).unwrap();
        }
        append(&log, "g\n");
        assert_eq!(rest(&mut follower), ["c", "d", "e", "f", "g"]);
        let mut resumed = LogFollower::resume(&log, &position).unwrap().unwrap();
        assert_eq!(rest(&mut resumed), ["c", "d", "e", "f", "g"]);
        assert_eq!(resumed.position().unwrap(), follower.position().unwrap());
    }

    #[test]
    fn does_not_resume_in_a_file_that_was_removed_or_truncated() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("app.log");
        append(&log, "abc\ndef\n");
        let mut follower = LogFollower::at_start(&log).unwrap();
        assert_eq!(rest(&mut follower), ["abc", "def"]);
        let position = follower.position().unwrap();
        File::create(&log).unwrap();
        append(&log, "0123456789\n");
        assert!(LogFollower::resume(&log, &position).unwrap().is_none());
        fs::remove_file(&log).unwrap();
        assert!(LogFollower::resume(&log, &position).unwrap().is_none());
        assert!(LogFollower::at_end(&log).is_err());
    }
}
