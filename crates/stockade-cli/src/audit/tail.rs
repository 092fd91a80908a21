//! `stockade audit tail`.

use std::{
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use clap::Args;
use stockade_audit::{LogFile, LogFollower};

use super::{
    invalid_lines::InvalidLines,
    log::{self, parse_record},
    reverse_lines::{ReverseLine, ReverseLines},
    row::row,
    since::{SinceArgs, Start},
};
use crate::{CliError, Outcome, escape::escape_json, output};

/// The interval between checks for new lines.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// The records to show.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
A line shows the time (UTC), level, status, latency, client address and principal, followed by
the request and the reason of a refusal.

Examples:
  stockade audit tail app.log                       The last ten records
  stockade audit tail app.log -f                    New records as they are written
  stockade audit tail app.log -n 1000 --since 1h

Some of the records, selected by jq:
  stockade audit tail app.log -f --json | jq -c 'select(.status >= 400)'
  stockade audit tail app.log -n 100000 --json | jq -c 'select(.user == \"team-core\")'
  stockade audit tail audit.log -n 1000 --json | jq -r 'select(.event == \"banned\") | .subject'")]
pub(super) struct TailArgs {
    /// The log
    #[arg(value_name = "FILE")]
    log: PathBuf,
    /// The maximum number of existing records to show
    #[arg(
        short = 'n',
        long = "lines",
        value_name = "COUNT",
        default_value_t = 10,
        value_parser = clap::value_parser!(u32).range(..=100_000)
    )]
    count: u32,
    /// Show new records as they are written, across rotations, until interrupted
    #[arg(short, long)]
    follow: bool,
    #[command(flatten)]
    since: SinceArgs,
    /// Write one JSON object per line
    #[arg(long)]
    json: bool,
}

impl TailArgs {
    pub(super) fn run(self) -> Result<Outcome, CliError> {
        let mut files = log::open(&self.log)?;
        let printer = Printer {
            start: self.since.start(),
            json: self.json,
        };
        let mut newest = LastRecords::default();
        newest.read(&files, self.count as usize, self.follow, &printer.start)?;
        for line in newest.lines.iter().rev() {
            printer.show(line)?;
        }
        newest.invalid.warn();
        match files.pop().filter(|_| self.follow) {
            Some(last) => printer.follow(&self.log, last, newest.end),
            None => Ok(Outcome::Success),
        }
    }
}

/// The last records of a log.
#[derive(Default)]
struct LastRecords {
    /// The lines of the records, newest first.
    lines: Vec<Vec<u8>>,
    invalid: InvalidLines,
    /// The end of the last complete line in the current file.
    end: u64,
}

impl LastRecords {
    fn read(
        &mut self,
        files: &[LogFile],
        count: usize,
        follow: bool,
        start: &Start,
    ) -> Result<(), CliError> {
        let mut is_last = true;
        for file in files.iter().rev() {
            let failed = |error| log::unreadable(&file.path, &error);
            let mut lines = ReverseLines::new(&file.file, file.length);
            while let Some(ReverseLine {
                line,
                offset,
                is_unterminated,
            }) = lines.next().map_err(failed)?
            {
                let is_end = is_unterminated && is_last;
                if is_end {
                    self.end = offset;
                }
                if self.lines.len() == count {
                    return Ok(());
                }
                match parse_record(&line) {
                    // The follower reads the rest of the line.
                    _ if is_end && follow => {}
                    // Records are in chronological order, so all others are older.
                    Some(record) if start.is_after(&record) => return Ok(()),
                    Some(_) => self.lines.push(line),
                    None if is_end || (is_unterminated && line.is_empty()) => {}
                    None => self.invalid.add(&file.path, format_args!("byte {offset}")),
                }
            }
            is_last = false;
        }
        Ok(())
    }
}

/// Prints records.
struct Printer {
    start: Start,
    json: bool,
}

impl Printer {
    /// Prints the records after this offset of the current file, until standard output is closed.
    fn follow(&self, log: &Path, file: LogFile, offset: u64) -> Result<Outcome, CliError> {
        let failed = |error| log::unreadable(log, &error);
        let mut follower = LogFollower::new(log, file, offset).map_err(failed)?;
        loop {
            while let Some(line) = follower.next_line().map_err(failed)? {
                if !self.show(&line)? {
                    output::warn("skipped an invalid line");
                }
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// Prints the record of a line; returns `false` if the line is invalid.
    fn show(&self, line: &[u8]) -> Result<bool, CliError> {
        let Some(record) = parse_record(line) else {
            return Ok(false);
        };
        if !self.start.is_after(&record) {
            match self.json {
                true => output::print(json(line))?,
                false => output::print(row(&record))?,
            }
        }
        Ok(true)
    }
}

/// The line as it was written, but escaped for a terminal.
fn json(line: &[u8]) -> String {
    // Strings in JSON contain neither, so these are whitespace between tokens.
    let text = String::from_utf8_lossy(line).replace(['\t', '\r'], " ");
    escape_json(&text)
}
