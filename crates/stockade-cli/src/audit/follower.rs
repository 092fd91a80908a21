//! Follows a log that is being written.

use std::{
    fs::{self, File},
    io::{self, BufReader, ErrorKind, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use super::{
    lines::LineReader,
    log::{LogFile, identity, open_all, unreadable},
};
use crate::CliError;

/// Reads new lines of a log, across rotation, renaming and truncation of its file.
pub(super) struct Follower {
    log: PathBuf,
    lines: LineReader<BufReader<File>>,
}

/// A change of the file since it was opened.
enum FileState {
    Unchanged,
    /// The file was truncated, as by `copytruncate`; reading restarts at its beginning.
    Truncated(File),
    /// The file was renamed or removed; the log continues in this one.
    Rotated(File),
}

/// Handles a line.
type OnLine<'g> = dyn FnMut(&[u8]) -> Result<(), CliError> + 'g;

impl Follower {
    /// Starts at an offset of the log's current file.
    pub(super) fn new(log: &Path, file: LogFile, at: u64) -> Result<Self, CliError> {
        let lines = lines_from(file.file, at).map_err(|error| unreadable(log, &error))?;
        Ok(Self {
            log: log.to_owned(),
            lines,
        })
    }

    /// Handles all complete lines, and the incomplete last line of a file that was rotated.
    pub(super) fn poll(&mut self, on_line: &mut OnLine<'_>) -> Result<(), CliError> {
        loop {
            self.drain(on_line)?;
            match self
                .file_state()
                .map_err(|error| unreadable(&self.log, &error))?
            {
                FileState::Unchanged => return Ok(()),
                FileState::Rotated(file) => {
                    // Lines may have been written between the last read and the rotation.
                    self.drain(on_line)?;
                    if let Some(partial) = self.lines.partial() {
                        on_line(partial)?;
                    }
                    self.start_file(file)?;
                }
                FileState::Truncated(file) => self.start_file(file)?,
            }
        }
    }

    fn start_file(&mut self, file: File) -> Result<(), CliError> {
        self.lines = lines_from(file, 0).map_err(|error| unreadable(&self.log, &error))?;
        Ok(())
    }

    fn drain(&mut self, on_line: &mut OnLine<'_>) -> Result<(), CliError> {
        let failed = |error| unreadable(&self.log, &error);
        while let Some(line) = self.lines.next().map_err(failed)? {
            on_line(line)?;
        }
        Ok(())
    }

    fn file_state(&self) -> io::Result<FileState> {
        let mut file = self.lines.get_ref().get_ref();
        let own = file.metadata()?;
        match fs::metadata(&self.log) {
            Ok(at_path) if identity(&at_path) == identity(&own) => {
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
        let mut files = open_all(&self.log)?.into_iter();
        let mut last = None;
        while let Some(file) = files.next() {
            if identity(&file.file.metadata()?) == identity(own) {
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
