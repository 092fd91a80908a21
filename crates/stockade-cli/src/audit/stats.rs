//! `stockade audit stats`.

use std::path::PathBuf;

use clap::Args;
use tabled::builder::Builder;

use super::{
    filter::{Filter, FilterArgs},
    lines::{Lines, record},
    log::{self, LogFile},
    progress::Progress,
    tally::{Latencies, Tally, Totals},
    top::Most,
};
use crate::{Failure, Outcome, output, visible::visible};

/// Which records to count.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Refusals that a flood collapsed into one record are counted as the requests that they were.

Examples:
  stockade audit stats app.log                      All files of the log
  stockade audit stats app.log --since 24h --top 3
  stockade audit stats app.log --user team-core --filter model=qwen*
  stockade audit stats app.log --json | jq .latency_ms.p99")]
pub(super) struct StatsArgs {
    /// The log
    #[arg(value_name = "FILE")]
    log: PathBuf,
    #[command(flatten)]
    filter: FilterArgs,
    /// How many routes, users, addresses and so on are shown
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 10,
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    top: u16,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

impl StatsArgs {
    pub(super) fn run(self) -> Result<Outcome, Failure> {
        let filter = self.filter.filter();
        let files = log::open(&self.log)?;
        let progress = Progress::over(&files);
        let mut tally = Tally::new();
        for (at, file) in files.iter().enumerate() {
            let is_last = at + 1 == files.len();
            count(file, is_last, &progress, &filter, &mut tally)
                .map_err(|error| log::unreadable(&file.path, &error))?;
        }
        drop(progress);
        let totals = tally.totals(self.top.into());
        if self.json {
            output::answer_json(&totals)?;
        } else {
            output::answer_table(summary(&totals))?;
            for (heading, most) in sections(&totals) {
                if !most.names.is_empty() {
                    output::answer("")?;
                    output::answer_table(table(heading, most))?;
                }
            }
        }
        totals.bad_lines.warn();
        Ok(Outcome::Done)
    }
}

fn count(
    file: &LogFile,
    is_last: bool,
    progress: &Progress,
    filter: &Filter,
    tally: &mut Tally,
) -> std::io::Result<()> {
    let mut lines = Lines::new(progress.read(file));
    let mut add = |line: &[u8], bad: bool, number: u64| match record(line) {
        Some(record) if filter.takes(&record) => tally.add(&record),
        Some(_) => {}
        None if bad => tally.bad.note(&file.path, number),
        None => {}
    };
    let mut number = 1;
    while let Some(line) = lines.next()? {
        add(line, true, number);
        number += 1;
    }
    if let Some(torn) = lines.torn() {
        // The last line of a log that is written may be on its way.
        add(torn, !is_last, number);
    }
    Ok(())
}

fn summary(totals: &Totals) -> Builder {
    let mut table = Builder::default();
    let mut add = |name: &str, value: String| table.push_record([name.to_owned(), value]);
    let span = |at: &Option<String>| at.as_deref().map_or("-".to_owned(), visible);
    add("FROM", span(&totals.first));
    add("TO", span(&totals.last));
    add("RECORDS", totals.records.to_string());
    add("REQUESTS", totals.requests.to_string());
    if totals.collapsed > 0 {
        add("COLLAPSED", totals.collapsed.to_string());
    }
    if totals.lost > 0 {
        add("LOST", totals.lost.to_string());
    }
    let statuses: Vec<_> = totals
        .statuses
        .iter()
        .map(|(status, count)| format!("{status}: {count}"))
        .collect();
    add("STATUSES", or_dash(statuses.join(", ")));
    let outcomes = &totals.outcomes.names;
    let outcomes: Vec<_> = outcomes
        .iter()
        .map(|one| format!("{}: {}", visible(&one.name), one.count))
        .collect();
    add("OUTCOMES", or_dash(outcomes.join(", ")));
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

fn or_dash(text: String) -> String {
    if text.is_empty() {
        "-".to_owned()
    } else {
        text
    }
}

fn latency(latency: &Latencies) -> String {
    let Latencies { p50, p90, p99, max } = latency;
    format!("p50 {p50:.1} ms, p90 {p90:.1} ms, p99 {p99:.1} ms, at most {max:.1} ms")
}

fn sections(totals: &Totals) -> [(&'static str, &Most); 6] {
    [
        ("REFUSALS", &totals.refusals),
        ("ROUTES", &totals.routes),
        ("USERS", &totals.users),
        ("ADDRESSES", &totals.ips),
        ("MODELS", &totals.models),
        ("EVENTS", &totals.events),
    ]
}

fn table(heading: &str, most: &Most) -> Builder {
    let mut table = Builder::with_capacity(most.names.len() + 1, 2);
    // Too many names were there to count all of them to the end.
    let count = if most.is_approximate {
        "AT LEAST"
    } else {
        "COUNT"
    };
    table.push_record([heading, count]);
    for one in &most.names {
        table.push_record([visible(&one.name), one.count.to_string()]);
    }
    table
}
