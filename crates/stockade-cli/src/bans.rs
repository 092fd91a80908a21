//! `stockade bans`.

mod change;
mod list;

use std::{path::PathBuf, sync::Arc};

use clap::{Args, Subcommand};
use stockade_abuse::{AbusePolicy, Ban, DenyList, Detector};

use crate::{CliError, Outcome, output};

/// What all commands on bans share.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  stockade bans list --file denylist.txt
  stockade bans add 203.0.113.7 --for 24h --reason 'scans for weeks'
  stockade bans add key:old-client
  stockade bans remove 203.0.113.7
  stockade bans why 203.0.113.7

Servers that use the file take a change over within a second.")]
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
    /// List who is banned
    List(list::ListArgs),
    /// Ban an address, a network or a key
    Add(change::AddArgs),
    /// End a ban
    Remove(change::RemoveArgs),
    /// Say which ban keeps somebody out, and why
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

/// The bans of a file. What is changed is in the file when this is dropped.
fn open(file: &PathBuf) -> Result<Detector, CliError> {
    let list = DenyList::open(file).map_err(CliError::failed)?;
    Ok(Detector::builder(AbusePolicy::new())
        .max_bans(usize::MAX)
        .store(Arc::new(list))
        .build())
}

/// Warns about lines of the file that ban no client.
fn warn_about_skipped_lines(file: &PathBuf) -> Result<(), CliError> {
    let report = DenyList::check(file).map_err(CliError::failed)?;
    let name = file.display();
    if report.missing {
        output::warn(format_args!("{name} does not exist; check --file"));
    }
    for line in report.skipped.listed() {
        output::warn(format_args!("{name}: skipped {line}"));
    }
    if report.skipped.unlisted() > 0 {
        let more = report.skipped.unlisted();
        output::warn(format_args!("{name}: skipped {more} more lines"));
    }
    Ok(())
}

/// Who is banned, by name.
fn sorted(detector: &Detector) -> Vec<(String, Ban)> {
    let bans = detector.bans().into_iter();
    let mut bans: Vec<_> = bans.map(|ban| (ban.offender.to_string(), ban)).collect();
    bans.sort_by(|(a, _), (b, _)| a.cmp(b));
    bans
}
