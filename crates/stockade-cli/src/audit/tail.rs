//! `stockade audit tail`.

use std::{path::PathBuf, thread, time::Duration};

use clap::Args;

use super::{
    bad_lines::BadLines,
    follow::Follow,
    lines::record,
    log::{self, LogFile},
    newest::{Backwards, Placed},
    row::row,
    since::{SinceArgs, Start},
};
use crate::{Failure, Outcome, output, visible::visible_json};

/// How often the file is looked at.
const POLL: Duration = Duration::from_millis(200);

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
    pub(super) fn run(self) -> Result<Outcome, Failure> {
        let mut files = log::open(&self.log)?;
        let shown = Shown {
            start: self.since.start(),
            json: self.json,
        };
        let mut newest = Newest::default();
        newest.read(&files, self.count as usize, self.follow, &shown.start)?;
        for line in newest.lines.iter().rev() {
            shown.show(line)?;
        }
        newest.bad.warn();
        match files.pop().filter(|_| self.follow) {
            Some(last) => shown.follow(Follow::new(&self.log, last, newest.end)?),
            None => Ok(Outcome::Done),
        }
    }
}

/// The newest lines of a log.
#[derive(Default)]
struct Newest {
    /// The newest first.
    lines: Vec<Vec<u8>>,
    bad: BadLines,
    /// Where the last whole line of the last file ends.
    end: u64,
}

impl Newest {
    fn read(
        &mut self,
        files: &[LogFile],
        count: usize,
        follow: bool,
        start: &Start,
    ) -> Result<(), Failure> {
        let mut is_last = true;
        for file in files.iter().rev() {
            let failed = |error| log::unreadable(&file.path, &error);
            let mut lines = Backwards::new(&file.file, file.length);
            while let Some(Placed { line, at, is_torn }) = lines.next().map_err(failed)? {
                let is_end = is_torn && is_last;
                if is_end {
                    self.end = at;
                }
                if self.lines.len() == count {
                    return Ok(());
                }
                match record(&line) {
                    // There is more of it to come.
                    _ if is_end && follow => {}
                    // The journal writes in the order of time, so all the others are older.
                    Some(record) if start.is_after(&record) => return Ok(()),
                    Some(_) => self.lines.push(line),
                    None if is_end || (is_torn && line.is_empty()) => {}
                    None => self.bad.note(&file.path, format_args!("byte {at}")),
                }
            }
            is_last = false;
        }
        Ok(())
    }
}

/// Which records are shown, and how.
struct Shown {
    start: Start,
    json: bool,
}

impl Shown {
    /// Shows those that come, until nobody is there to see them.
    fn follow(&self, mut follow: Follow) -> Result<Outcome, Failure> {
        loop {
            follow.poll(&mut |line| {
                if !self.show(line)? {
                    output::warn("a line came that is no record, and was left out");
                }
                Ok(())
            })?;
            thread::sleep(POLL);
        }
    }

    /// Shows the record of a line; `false` where it has none.
    fn show(&self, line: &[u8]) -> Result<bool, Failure> {
        let Some(record) = record(line) else {
            return Ok(false);
        };
        if !self.start.is_after(&record) {
            match self.json {
                true => output::answer(json(line))?,
                false => output::answer(row(&record))?,
            }
        }
        Ok(true)
    }
}

/// The line as it was written, but for what acts upon terminals.
fn json(line: &[u8]) -> String {
    // Within texts JSON has neither, so these only stand between its words.
    let text = String::from_utf8_lossy(line).replace(['\t', '\r'], " ");
    visible_json(&text)
}
