//! `stockade bans`.

mod change;
mod list;

use std::{path::PathBuf, sync::Arc};

use clap::{Args, Subcommand};
use stockade_abuse::{AbusePolicy, Ban, DenyList, Detector};

use crate::{
    CliError, Outcome,
    output::{self, plural},
};

/// Options of all `bans` commands.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  stockade bans list --file denylist.txt
  stockade bans add 203.0.113.7 --for 24h --reason 'port scans'
  stockade bans add key:old-client
  stockade bans remove 203.0.113.7
  stockade bans why 203.0.113.7

Servers that use the file apply a change within a second.")]
pub(crate) struct BansArgs {
    /// The deny-list
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "DENYLIST_FILE",
        default_value = "denylist.txt"
    )]
    file: PathBuf,
    #[command(subcommand)]
    command: BansCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum BansCommand {
    /// List all bans
    List(list::ListArgs),
    /// Ban an address, a network or a key
    Add(change::AddArgs),
    /// Remove a ban
    Remove(change::RemoveArgs),
    /// Show the ban that matches a client
    Why(list::WhyArgs),
}

impl BansArgs {
    pub(crate) fn run(self) -> Result<Outcome, CliError> {
        match self.command {
            BansCommand::List(list) => list.run(&self.file),
            BansCommand::Add(add) => add.run(&self.file),
            BansCommand::Remove(remove) => remove.run(&self.file),
            BansCommand::Why(why) => why.run(&self.file),
        }
    }
}

/// Opens the bans of a file. Dropping the detector writes changes to the file.
fn open(file: &PathBuf) -> Result<Detector, CliError> {
    let list = DenyList::open(file).map_err(CliError::failed)?;
    Ok(Detector::builder(AbusePolicy::new())
        .max_bans(usize::MAX)
        .store(Arc::new(list))
        .build())
}

/// Warns about lines of the file that are not valid.
fn warn_about_skipped_lines(file: &PathBuf) -> Result<(), CliError> {
    let report = DenyList::check(file).map_err(CliError::failed)?;
    let name = file.display();
    if report.missing {
        output::warn(format_args!("{name} does not exist"));
        output::help("name the deny-list with --file or DENYLIST_FILE");
    }
    for line in report.skipped.listed() {
        output::warn(format_args!("{name}: skipped {line}"));
    }
    if report.skipped.unlisted() > 0 {
        let more = report.skipped.unlisted();
        let more = plural(more as u64, "more line");
        output::warn(format_args!("{name}: skipped {more}"));
    }
    Ok(())
}

/// All bans, sorted by client.
fn sorted(detector: &Detector) -> Vec<(String, Ban)> {
    let bans = detector.bans().into_iter();
    let mut bans: Vec<_> = bans.map(|ban| (ban.offender.to_string(), ban)).collect();
    bans.sort_by(|(a, _), (b, _)| a.cmp(b));
    bans
}
