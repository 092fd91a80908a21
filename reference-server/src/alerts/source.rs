//! Where records come from: the file of security events, or memory.

use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};
use stockade_audit::{Batch, Journal, LogFollower, LogLine, LogPosition, Overflow, Sink};

use super::records::parse;

/// The maximum number of lines that are read at once; others follow a second later.
const MAX_LINES: usize = 100_000;
/// The maximum number of records in memory; the oldest is dropped at it.
const MAX_BUFFERED: usize = 10_000;

/// The source of records.
pub(super) enum Source {
    File(Box<FileSource>),
    Memory(Arc<Buffer>),
}

/// A position that survives a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    log: LogPosition,
    /// The time of the last record, for when the file of the position is gone.
    record: String,
}

impl Source {
    /// Reads a log from a position, or from its end.
    pub(super) fn file(log: &Path, position: Option<Position>) -> Self {
        Self::File(Box::new(FileSource {
            log: log.to_owned(),
            follower: None,
            last_record: position
                .as_ref()
                .map_or_else(String::new, |position| position.record.clone()),
            position,
            read_until: None,
        }))
    }

    /// Reads what the journal receives.
    pub(super) fn memory() -> io::Result<(Self, Journal)> {
        let buffer = Arc::new(Buffer::default());
        let sink = BufferSink(Arc::clone(&buffer));
        let journal = Journal::builder(sink, Overflow::DropAndCount).start()?;
        Ok((Self::Memory(buffer), journal))
    }

    /// Finds the position, unless that is done.
    pub(super) fn open(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) if file.follower.is_none() => file.open(),
            _ => Ok(()),
        }
    }

    /// Passes new records, except those of requests that succeeded.
    pub(super) fn read(&mut self, mut on_record: impl FnMut(&LogLine)) -> io::Result<()> {
        self.open()?;
        match self {
            Self::File(file) => file.read(&mut on_record),
            Self::Memory(buffer) => {
                let records = std::mem::take(&mut *buffer.lock());
                records.iter().for_each(on_record);
                Ok(())
            }
        }
    }

    /// The position after the records that were passed; `None` in memory.
    pub(super) fn position(&self) -> Option<Position> {
        match self {
            Self::File(file) => file.position(),
            Self::Memory(_) => None,
        }
    }
}

/// A log in files.
pub(super) struct FileSource {
    log: PathBuf,
    follower: Option<LogFollower>,
    /// The position of the last run.
    position: Option<Position>,
    /// Records until this time were read by the last run.
    read_until: Option<String>,
    last_record: String,
}

impl FileSource {
    fn open(&mut self) -> io::Result<()> {
        let resumed = match &self.position {
            None => Some(LogFollower::at_end(&self.log)?),
            Some(position) => LogFollower::resume(&self.log, &position.log)?,
        };
        self.follower = Some(match resumed {
            Some(follower) => follower,
            None => {
                // Its file was removed after a rotation, so what is left was not read; or the log
                // was copied, so that times decide.
                self.read_until = Some(self.last_record.clone());
                LogFollower::at_start(&self.log)?
            }
        });
        Ok(())
    }

    fn read(&mut self, on_record: &mut impl FnMut(&LogLine)) -> io::Result<()> {
        let Some(follower) = &mut self.follower else {
            return Ok(());
        };
        for _ in 0..MAX_LINES {
            let Some(line) = follower.next_line()? else {
                break;
            };
            let Some(record) = parse(&line) else {
                continue;
            };
            // Texts of times sort as the times do.
            let is_known = |until: &String| record.timestamp <= *until;
            if self.read_until.as_ref().is_some_and(is_known) {
                continue;
            }
            on_record(&record);
            self.last_record = record.timestamp;
        }
        Ok(())
    }

    fn position(&self) -> Option<Position> {
        let Some(follower) = &self.follower else {
            return self.position.clone();
        };
        Some(Position {
            log: follower.position().ok()?,
            record: self.last_record.clone(),
        })
    }
}

/// Records that were not read yet.
#[derive(Default)]
pub(super) struct Buffer(Mutex<VecDeque<LogLine>>);

impl Buffer {
    fn lock(&self) -> MutexGuard<'_, VecDeque<LogLine>> {
        // No code panics while the lock is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct BufferSink(Arc<Buffer>);

impl Sink for BufferSink {
    fn write(&mut self, batch: &Batch<'_>) -> io::Result<()> {
        let records = batch.lines().filter_map(|line| parse(line.as_bytes()));
        let records: Vec<_> = records.collect();
        let mut buffer = self.0.lock();
        buffer.extend(records);
        let excess = buffer.len().saturating_sub(MAX_BUFFERED);
        buffer.drain(..excess);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, File},
        io::Write,
    };

    use super::*;

    fn append(log: &Path, subjects: impl IntoIterator<Item = u32>) {
        let mut file = File::options().append(true).create(true).open(log).unwrap();
        for second in subjects {
            writeln!(
                file,
                r#"{{"timestamp":"2026-01-31T12:00:{second:02}.000000Z","level":"warn","message":"client banned","event":"banned","subject":"{second}","seq":1}}"#
            )
            .unwrap();
        }
    }

    fn subjects(source: &mut Source) -> Vec<u32> {
        let mut subjects = Vec::new();
        source
            .read(|record| subjects.push(record.subject.as_ref().unwrap().parse().unwrap()))
            .unwrap();
        subjects
    }

    fn rotate(log: &Path, number: u32) -> PathBuf {
        let rotated = PathBuf::from(format!("{}.20260131T120000Z-00{number}", log.display()));
        fs::rename(log, &rotated).unwrap();
        rotated
    }

    #[test]
    fn starts_at_the_end_and_continues_after_a_restart_and_rotations() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("audit.log");
        append(&log, 0..3);
        let mut source = Source::file(&log, None);
        assert_eq!(subjects(&mut source), [0; 0], "the past is not reported");
        append(&log, 3..5);
        assert_eq!(subjects(&mut source), [3, 4]);
        let position = source.position();
        append(&log, 5..6);
        rotate(&log, 0);
        append(&log, 6..7);
        rotate(&log, 1);
        append(&log, 7..8);
        assert_eq!(subjects(&mut source), [5, 6, 7]);
        let mut restarted = Source::file(&log, position.clone());
        assert_eq!(restarted.position(), position, "before it is opened");
        assert_eq!(subjects(&mut restarted), [5, 6, 7]);
        assert_eq!(restarted.position(), source.position());
        assert_eq!(subjects(&mut restarted), [0; 0]);
    }

    #[test]
    fn reads_what_is_left_when_the_file_of_the_position_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("audit.log");
        append(&log, 0..1);
        let mut source = Source::file(&log, None);
        source.open().unwrap();
        append(&log, 1..3);
        assert_eq!(subjects(&mut source), [1, 2]);
        let position = source.position();
        append(&log, 3..4);
        let oldest = rotate(&log, 0);
        append(&log, 4..6);
        // As after the restoration of a copy.
        let text = fs::read(&oldest).unwrap();
        fs::remove_file(&oldest).unwrap();
        fs::write(&oldest, text).unwrap();
        let mut copied = Source::file(&log, position.clone());
        assert_eq!(subjects(&mut copied), [3, 4, 5]);
        fs::remove_file(&oldest).unwrap();
        let mut removed = Source::file(&log, position);
        assert_eq!(subjects(&mut removed), [4, 5]);
    }

    #[test]
    fn a_log_that_is_missing_is_read_later() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("audit.log");
        let mut source = Source::file(&log, None);
        assert!(source.read(|_| {}).is_err());
        append(&log, 0..1);
        assert_eq!(subjects(&mut source), [0; 0]);
        append(&log, 1..2);
        assert_eq!(subjects(&mut source), [1]);
    }

    #[test]
    fn keeps_a_bounded_number_of_records_in_memory() {
        use stockade_audit::{AuditLog, EventKind, SecurityEvent};

        let (mut source, journal) = Source::memory().unwrap();
        let log = AuditLog::new(journal);
        let extra = 5;
        for number in 0..MAX_BUFFERED + extra {
            log.event(SecurityEvent::new(EventKind::Banned).subject(number.to_string()));
        }
        log.flush(std::time::Duration::from_secs(20)).unwrap();
        let mut records = Vec::new();
        source.read(|record| records.push(record.clone())).unwrap();
        assert_eq!(records.len(), MAX_BUFFERED);
        let last = (MAX_BUFFERED + extra - 1).to_string();
        assert_eq!(records.last().unwrap().subject, Some(last));
    }
}
