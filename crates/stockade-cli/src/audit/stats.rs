//! `stockade audit stats`.

use std::{
    collections::BTreeMap,
    fmt::Display,
    io::{self, BufRead},
    path::{Path, PathBuf},
};

use clap::Args;
use stockade_audit::LineReader;
use tabled::builder::Builder;

use super::{
    log::{self, parse_record},
    progress::Progress,
    since::{SinceArgs, Start},
    totals::{Latencies, Totals, TotalsBuilder},
};
use crate::{CliError, Outcome, escape::escape, output};

/// The records to count.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Refusals that were collapsed into one record count as individual requests.

Examples:
  stockade audit stats app.log                      All files of the log
  stockade audit stats app.log --since 24h
  stockade audit stats app.log --json | jq .latency_ms.p99

Some of the records, selected by jq (a rotated log is read oldest file first):
  cat app.log.2* app.log | jq -cR 'fromjson? | select(.user == \"team-core\")' \\
      | stockade audit stats -

The users with the most requests:
  jq -rR 'fromjson? | .user // empty' app.log | sort | uniq -c | sort -rn | head")]
pub(super) struct StatsArgs {
    /// The log, or `-` to read records from standard input
    #[arg(value_name = "FILE")]
    log: PathBuf,
    #[command(flatten)]
    since: SinceArgs,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

impl StatsArgs {
    pub(super) fn run(self) -> Result<Outcome, CliError> {
        let start = self.since.start();
        let mut tally = TotalsBuilder::new();
        if self.log == Path::new("-") {
            let name = Path::new("standard input");
            count(name, io::stdin().lock(), true, &start, &mut tally)?;
        } else {
            let files = log::open(&self.log)?;
            let progress = Progress::over(&files);
            for (at, file) in files.iter().enumerate() {
                let is_last = at + 1 == files.len();
                count(&file.path, progress.read(file), is_last, &start, &mut tally)?;
            }
        }
        let totals = tally.totals();
        if self.json {
            output::print_json(&totals)?;
        } else {
            output::print_table(summary(&totals))?;
            if !totals.refusals.is_empty() {
                output::print("")?;
                output::print_table(refusals(&totals.refusals))?;
            }
        }
        totals.invalid_lines.warn();
        Ok(Outcome::Success)
    }
}

/// Adds the records of one file.
fn count(
    name: &Path,
    from: impl BufRead,
    is_last: bool,
    start: &Start,
    tally: &mut TotalsBuilder,
) -> Result<(), CliError> {
    let mut lines = LineReader::new(from);
    let mut add = |line: &[u8], bad: bool, number: u64| match parse_record(line) {
        Some(record) if start.is_after(&record) => {}
        Some(record) => tally.add(&record),
        None if bad => tally.invalid.add(name, number),
        None => {}
    };
    let mut number = 1;
    let failed = |error| log::unreadable(name, &error);
    while let Some(line) = lines.next_line().map_err(failed)? {
        add(line, true, number);
        number += 1;
    }
    if let Some(partial) = lines.partial() {
        // The last line of a log in use may be incomplete.
        add(partial, !is_last, number);
    }
    Ok(())
}

fn summary(totals: &Totals) -> Builder {
    let mut table = Builder::default();
    let mut add = |name: &str, value: String| table.push_record([name.to_owned(), value]);
    let time = |at: &Option<String>| at.as_deref().map_or("-".to_owned(), escape);
    add("FROM", time(&totals.first));
    add("TO", time(&totals.last));
    add("RECORDS", totals.records.to_string());
    add("REQUESTS", totals.requests.to_string());
    if totals.collapsed > 0 {
        add("COLLAPSED", totals.collapsed.to_string());
    }
    if totals.lost > 0 {
        add("LOST", totals.lost.to_string());
    }
    add("STATUSES", list(&totals.statuses));
    add("OUTCOMES", list(&totals.outcomes));
    add(
        "LATENCY",
        totals.latency_ms.as_ref().map_or("-".to_owned(), latency),
    );
    add(
        "TOKENS",
        format!(
            "{} in, {} out",
            totals.prompt_tokens, totals.completion_tokens
        ),
    );
    add(
        "BYTES",
        format!("{} in, {} out", totals.bytes_in, totals.bytes_out),
    );
    table
}

/// `200: 4, 401: 1`, or `-` for none.
fn list<N>(counts: &BTreeMap<N, u64>) -> String
where
    N: Display,
{
    if counts.is_empty() {
        return "-".to_owned();
    }
    let counts = counts.iter();
    let counts: Vec<_> = counts
        .map(|(name, count)| format!("{}: {count}", escape(&name.to_string())))
        .collect();
    counts.join(", ")
}

fn latency(latency: &Latencies) -> String {
    let Latencies { p50, p90, p99, max } = latency;
    format!("p50 {p50:.1} ms, p90 {p90:.1} ms, p99 {p99:.1} ms, max {max:.1} ms")
}

/// Refusals, the most frequent first.
fn refusals(counts: &BTreeMap<String, u64>) -> Builder {
    let mut sorted: Vec<_> = counts.iter().collect();
    sorted.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let mut table = Builder::with_capacity(sorted.len() + 1, 2);
    table.push_record(["REFUSALS", "COUNT"]);
    for (name, count) in sorted {
        table.push_record([escape(name), count.to_string()]);
    }
    table
}
