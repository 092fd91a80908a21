//! The lines that come, whatever becomes of the file that they come to.

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

/// Follows a log over rotations, renames and cuts.
pub(super) struct Follower {
    log: PathBuf,
    lines: LineReader<BufReader<File>>,
}

/// What became of the file.
enum FileState {
    Unchanged,
    /// It was cut, as `copytruncate` does, and begins anew.
    Truncated(File),
    /// It was put aside or removed; the log goes on here.
    Rotated(File),
}

/// Takes a line.
type OnLine<'g> = dyn FnMut(&[u8]) -> Result<(), CliError> + 'g;

impl Follower {
    /// Begins at this place of the log's file.
    pub(super) fn new(log: &Path, file: LogFile, at: u64) -> Result<Self, CliError> {
        let lines = lines_from(file.file, at).map_err(|error| unreadable(log, &error))?;
        Ok(Self {
            log: log.to_owned(),
            lines,
        })
    }

    /// Gives all lines that are whole by now, and when a file ends in the middle of a line,
    /// what there is of that.
    pub(super) fn poll(&mut self, on_line: &mut OnLine<'_>) -> Result<(), CliError> {
        loop {
            self.drain(on_line)?;
            match self
                .file_state()
                .map_err(|error| unreadable(&self.log, &error))?
            {
                FileState::Unchanged => return Ok(()),
                FileState::Rotated(file) => {
                    // The last one may have been written to until it was left.
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
            // It was put aside, and the next one is not there yet.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(FileState::Unchanged),
            Err(error) => Err(error),
        }
    }

    /// The file after this one. More than one may have been put aside meanwhile.
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
