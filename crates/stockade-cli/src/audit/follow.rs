//! The lines that come, whatever becomes of the file that they come to.

use std::{
    fs::{self, File},
    io::{self, BufReader, ErrorKind, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use super::{
    lines::Lines,
    log::{LogFile, identity, open_all, unreadable},
};
use crate::Failure;

/// Follows a log over rotations, renames and cuts.
pub(super) struct Follow {
    log: PathBuf,
    lines: Lines<BufReader<File>>,
}

/// What became of the file.
enum Fate {
    Stays,
    /// It was cut, as `copytruncate` does, and begins anew.
    Cut(File),
    /// It was put aside or removed; the log goes on here.
    Next(File),
}

/// Takes a line.
type Give<'g> = dyn FnMut(&[u8]) -> Result<(), Failure> + 'g;

impl Follow {
    /// Begins at this place of the log's file.
    pub(super) fn new(log: &Path, file: LogFile, at: u64) -> Result<Self, Failure> {
        let lines = lines_from(file.file, at).map_err(|error| unreadable(log, &error))?;
        Ok(Self {
            log: log.to_owned(),
            lines,
        })
    }

    /// Gives all lines that are whole by now, and when a file ends in the middle of a line,
    /// what there is of that.
    pub(super) fn poll(&mut self, give: &mut Give<'_>) -> Result<(), Failure> {
        loop {
            self.drain(give)?;
            match self.fate().map_err(|error| unreadable(&self.log, &error))? {
                Fate::Stays => return Ok(()),
                Fate::Next(file) => {
                    // The last one may have been written to until it was left.
                    self.drain(give)?;
                    if let Some(torn) = self.lines.torn() {
                        give(torn)?;
                    }
                    self.begin(file)?;
                }
                Fate::Cut(file) => self.begin(file)?,
            }
        }
    }

    fn begin(&mut self, file: File) -> Result<(), Failure> {
        self.lines = lines_from(file, 0).map_err(|error| unreadable(&self.log, &error))?;
        Ok(())
    }

    fn drain(&mut self, give: &mut Give<'_>) -> Result<(), Failure> {
        let failed = |error| unreadable(&self.log, &error);
        while let Some(line) = self.lines.next().map_err(failed)? {
            give(line)?;
        }
        Ok(())
    }

    fn fate(&self) -> io::Result<Fate> {
        let mut file = self.lines.source().get_ref();
        let own = file.metadata()?;
        match fs::metadata(&self.log) {
            Ok(at_path) if identity(&at_path) == identity(&own) => {
                let read = file.stream_position()?;
                match own.len() < read {
                    true => Ok(Fate::Cut(file.try_clone()?)),
                    false => Ok(Fate::Stays),
                }
            }
            Ok(_) => self.next_file(&own),
            // It was put aside, and the next one is not there yet.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Fate::Stays),
            Err(error) => Err(error),
        }
    }

    /// The file after this one. More than one may have been put aside meanwhile.
    fn next_file(&self, own: &fs::Metadata) -> io::Result<Fate> {
        let mut files = open_all(&self.log)?.into_iter();
        let mut last = None;
        while let Some(file) = files.next() {
            if identity(&file.file.metadata()?) == identity(own) {
                return Ok(files
                    .next()
                    .map_or(Fate::Stays, |next| Fate::Next(next.file)));
            }
            last = Some(file);
        }
        Ok(last.map_or(Fate::Stays, |last| Fate::Next(last.file)))
    }
}

fn lines_from(mut file: File, at: u64) -> io::Result<Lines<BufReader<File>>> {
    file.seek(SeekFrom::Start(at))?;
    Ok(Lines::new(BufReader::new(file)))
}
