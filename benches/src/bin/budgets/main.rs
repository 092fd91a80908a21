//! Measures the budgets of Stockade and prints them as one table.

mod clients;
mod cold;
mod counts;
mod identity;
mod load;
mod profile;
mod report;
mod row;
mod threads;
mod times;

use std::{
    env,
    error::Error,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::{Parser, value_parser};
use stockade_benches::Plan;

use report::{Report, details, table};

const EXAMPLES: &str = "\
Examples:
  budgets                           all rows; five minutes
  budgets --only 2,6,8,15 --strict  the rows that repeat, for CI
  budgets --only 1,3,4,7            the time of a request
  budgets --only 8,9 --clients 10000000
  budgets --details                 the figures behind the table";

/// Measures the budgets of Stockade and prints one table.
///
/// 1: the fence and the same functions assembled. 2: instructions. 3, 4: time, hot and cold. 5: load
/// over loopback. 6: locked instructions, code, allocations. 7: refusals. 8, 9: many clients.
/// 10: threads. 11: keys. 14: records. 15: single layers. Rows 12 and 13 are benchmarks of
/// stockade-redis and stockade-body.
#[derive(Debug, Parser)]
#[command(after_help = EXAMPLES, max_term_width = 90)]
struct Cli {
    /// Measures only these rows
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',', value_parser = row)]
    only: Vec<u8>,
    /// Clients of rows 8 and 9
    #[arg(long, value_name = "COUNT", default_value_t = 1_000_000, value_parser = value_parser!(u32).range(100..))]
    clients: u32,
    /// Rounds; each yields its own ratios, and their median counts
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Reads the counts from a run of the `instructions` benchmark, such as `target/gungraun`
    #[arg(long, value_name = "FOLDER")]
    profiles: Option<PathBuf>,
    /// Also prints the figures behind the table
    #[arg(long)]
    details: bool,
    /// Prints JSON instead of the table
    #[arg(long)]
    json: bool,
    /// Exits with 1 if a row that repeats misses its goal
    #[arg(long)]
    strict: bool,
}

fn row(text: &str) -> Result<u8, String> {
    match text.parse() {
        Ok(number @ (1..=11 | 14 | 15)) => Ok(number),
        Ok(12) => Err("use `cargo bench -p stockade-redis`".to_owned()),
        Ok(13) => Err("use `cargo bench -p stockade-body`".to_owned()),
        _ => Err("rows are 1 to 11, 14 and 15".to_owned()),
    }
}

impl Cli {
    /// Whether one of these rows is measured.
    fn wants(&self, rows: &[u8]) -> bool {
        self.only.is_empty() || rows.iter().any(|row| self.only.contains(row))
    }

    fn plan(&self, slices: usize, millis: u64) -> Plan {
        Plan {
            rounds: self.rounds as usize,
            slices,
            slice: Duration::from_millis(millis),
        }
    }

    fn measure(&self) -> Result<Report, Box<dyn Error>> {
        let mut report = Report::default();
        if self.wants(&[2, 6, 15]) {
            report.add(match &self.profiles {
                Some(folder) => counts::read_all(folder)?,
                None => counts::measure()?,
            });
        }
        if self.wants(&[1, 3, 7, 14]) {
            report.add(times::measure(self.plan(50, 2)));
        }
        if self.wants(&[4]) {
            report.add(cold::measure());
        }
        if self.wants(&[5]) {
            report.add(load::measure(self.rounds as usize)?);
        }
        if self.wants(&[8, 9]) {
            report.add(clients::measure(self.clients, self.plan(50, 5)));
        }
        if self.wants(&[10]) {
            report.add(threads::measure(self.plan(30, 10)));
        }
        if self.wants(&[11]) {
            report.add(identity::measure(self.plan(100, 2)));
        }
        report.budgets.retain(|row| self.wants(&[row.budget]));
        report.budgets.sort_by_key(|row| row.budget);
        let has_times = report.budgets.iter().any(|row| !row.repeats());
        if has_times && !is_optimised_for_release() {
            let doubt = "times are not of the `dist` profile, which row 3 is for";
            report.doubts.push(doubt.to_owned());
        }
        Ok(report)
    }
}

/// Whether this program was built with the profile that servers are released with.
fn is_optimised_for_release() -> bool {
    let path = env::current_exe().unwrap_or_default();
    path.parent().is_some_and(|folder| folder.ends_with("dist"))
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let cli = Cli::parse();
    let report = cli.measure()?;
    let mut out = io::stdout();
    if cli.json {
        serde_json::to_writer_pretty(&mut out, &report)?;
        writeln!(out)?;
    } else {
        write!(out, "{}", table(&report.budgets))?;
        if cli.details {
            write!(out, "\n{}", details(&report.details))?;
        }
    }
    let mut err = io::stderr();
    for doubt in &report.doubts {
        writeln!(err, "doubt: {doubt}")?;
    }
    let missed = cli.strict && report.misses_a_count();
    Ok(ExitCode::from(u8::from(missed)))
}
