//! Measures the budgets of Stockade beside what people use today, in one run, and prints
//! them as one table.

mod clients;
mod identity;
mod load;
mod parts;
mod progress;
mod report;
mod requests;
mod row;
mod threads;

use std::{
    error::Error,
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use clap::{Parser, value_parser};
use stockade_benches::Plan;

use progress::progress;
use report::{Report, table, times};

const EXAMPLES: &str = "\
Examples:
  budgets                    all of them but 5; a minute
  budgets --load             5, too: a server under load; another minute
  budgets --only 1,2,3       how a change to the fence turned out
  budgets --only 8 --full    limits with ten million clients; a gigabyte of memory
  budgets --details          what the ratios come from, in nanoseconds
  budgets --json > now.json  for a program

All that is compared is measured in turns, so that a machine that grows slower does so for
all of it; ratios are what can be compared between machines. Where `reached` and `p10` say
different things, it says so: the machine had other work, or turns cost differently.";

/// Measures the budgets of Stockade beside what people use today, and prints one table.
///
/// A budget is a ratio of two costs of one run: of the fence and of what it is compared
/// with. 1 to 4: a request through the whole fence. 5: requests a second over loopback.
/// 6: refusals. 7 and 8: many clients. 9: two threads. 12: keys. Budgets 10, 11 and 13 are
/// measured in the crates they are about: stockade-redis, stockade-body, stockade-audit.
#[derive(Debug, Parser)]
#[command(after_help = EXAMPLES, max_term_width = 90)]
struct Cli {
    /// Measures only these budgets
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',', value_parser = budget)]
    only: Vec<u8>,
    /// Measures budget 5, too: a bare server and a fenced one under 64 connections. Needs
    /// Linux and two processors
    #[arg(long)]
    load: bool,
    /// Measures budgets 7 and 8 with ten million clients instead of one
    #[arg(long)]
    full: bool,
    /// How many rounds; each has ratios of its own, and their median counts
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = value_parser!(u32).range(3..=100))]
    rounds: u32,
    /// Prints what the ratios come from, too
    #[arg(long)]
    details: bool,
    /// Prints JSON instead of the table
    #[arg(long)]
    json: bool,
    /// Fails with exit code 1 where a budget is missed
    #[arg(long)]
    strict: bool,
}

fn budget(text: &str) -> Result<u8, String> {
    match text.parse() {
        Ok(number @ (1..=9 | 12)) => Ok(number),
        Ok(10 | 11 | 13) => Err("it is measured in the crate it is about".to_owned()),
        _ => Err("budgets are 1 to 9, and 12".to_owned()),
    }
}

impl Cli {
    /// Whether one of these is asked for.
    fn wants(&self, budgets: &[u8]) -> bool {
        budgets.iter().any(|budget| match self.only.as_slice() {
            [] => *budget != 5 || self.load,
            only => only.contains(budget) || (*budget == 5 && self.load),
        })
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
        if self.wants(&[1, 2, 3, 4, 6]) {
            let plan = self.plan(50, 2);
            report.add(requests::measure(plan, progress("requests", plan)));
        }
        if self.wants(&[5]) {
            let pairs = load::PAIRS_A_ROUND * self.rounds as usize;
            report.add(load::measure(
                self.rounds as usize,
                progress::bar("load", pairs),
            )?);
        }
        if self.wants(&[7, 8]) {
            let plan = self.plan(50, 5);
            let many = if self.full { 10_000_000 } else { 1_000_000 };
            report.add(clients::measure(many, plan, progress("clients", plan)));
        }
        if self.wants(&[9]) {
            let plan = self.plan(30, 10);
            report.add(threads::measure(plan, progress("threads", plan)));
        }
        if self.wants(&[12]) {
            let plan = self.plan(100, 2);
            report.add(identity::measure(plan, progress("keys", plan)));
        }
        report.budgets.retain(|row| self.wants(&[row.budget]));
        report.budgets.sort_by_key(|row| row.budget);
        report.doubt_spread();
        Ok(report)
    }
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
            write!(out, "\n{}", times(&report.nanoseconds))?;
        }
    }
    let mut err = io::stderr();
    for doubt in &report.doubts {
        writeln!(err, "doubt: {doubt}")?;
    }
    Ok(match cli.strict && report.missed() {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}
