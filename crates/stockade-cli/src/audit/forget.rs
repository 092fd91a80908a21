//! `stockade audit forget`.

mod rewrite;
mod subject;

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use stockade_audit::{ChainKey, log_files};
use stockade_core::clock::{Clock, SystemClock};

use self::{
    rewrite::{count, rewrite},
    subject::Subject,
};
use super::{key::KeyArgs, log, verify::Verified};
use crate::{
    CliError, Outcome,
    escape::escape,
    output::{self, SUCCESS, plural},
    prompt,
};

/// The log, and whose records to forget.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Each record is replaced by a line with its number, its time, its digest and a proof that a holder
of the key replaced it, so that `stockade audit verify` still finds the log intact. Events of the
log itself are kept. This cannot be undone. Copies elsewhere are not changed: databases, backups,
and logs of the system.

The current file is not changed while a server may be writing to it: its records are counted, and
can be forgotten after its rotation, or with --include-current while the server is stopped.

Examples:
  stockade audit forget app.log --user team-core --key-file audit.key --dry-run
  stockade audit forget app.log --user team-core --ip 203.0.113.7 --key-file audit.key
  stockade audit forget app.log --user team-core --key-file old.key --key-id 2025 \\
      --key-file new.key --key-id 2026

Exit codes: 0 no record is left, 1 records are left in the current file, 2 nothing was changed
because of a usage error or a failure.")]
pub(super) struct ForgetArgs {
    /// The log
    #[arg(value_name = "FILE")]
    log: PathBuf,
    #[command(flatten)]
    subject: Subject,
    #[command(flatten)]
    keys: KeyArgs,
    /// Also change the current file; only while no server writes to it
    #[arg(long)]
    include_current: bool,
    /// Count the records, but change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask for confirmation
    #[arg(long, short)]
    yes: bool,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

/// What was found and done.
#[derive(Debug, Serialize)]
struct ForgetReport {
    dry_run: bool,
    /// Records that were forgotten, or would be.
    forgotten: u64,
    /// Records that are left in the current file.
    remaining: u64,
    files: Vec<FileReport>,
}

#[derive(Debug, Serialize)]
struct FileReport {
    file: PathBuf,
    records: u64,
}

impl ForgetArgs {
    pub(super) fn run(self) -> Result<Outcome, CliError> {
        let report = self.forget().map_err(CliError::inconclusive)?;
        let Some(report) = report else {
            output::note("Nothing was changed.");
            return Ok(Outcome::Negative);
        };
        self.print(&report)?;
        Ok(match report.remaining {
            0 => Outcome::Success,
            _ => Outcome::Negative,
        })
    }

    /// `None` if the user does not confirm.
    fn forget(&self) -> Result<Option<ForgetReport>, CliError> {
        let keys = self.keys.read()?;
        let key = self.present_key(keys.clone())?;
        let mut report = self.find()?;
        if report.dry_run || report.forgotten == 0 {
            return Ok(Some(report));
        }
        if !self.yes && !self.confirmed(&report)? {
            return Ok(None);
        }
        let now = SystemClock::new().now();
        for file in &mut report.files {
            file.records = rewrite(&file.file, &self.subject, &key, now)?;
        }
        report.forgotten = report.files.iter().map(|file| file.records).sum();
        let verified = Verified::new(&self.log, None, keys)?;
        if !verified.report.is_intact() {
            return Err(CliError::failed(format_args!(
                "the records were forgotten, but {} is no longer intact",
                self.log.display()
            ))
            .with_help("`stockade audit verify` lists the faults"));
        }
        Ok(Some(report))
    }

    /// The key that seals the log. The log has to be intact: a changed record that is replaced
    /// could not be distinguished from the original.
    fn present_key(&self, keys: Vec<ChainKey>) -> Result<ChainKey, CliError> {
        let report = Verified::new(&self.log, None, keys.clone())?.report;
        if !report.is_intact() {
            return Err(CliError::failed(format_args!(
                "{} is not intact, so nothing was changed",
                self.log.display()
            ))
            .with_help(
                "`stockade audit verify` lists the faults; if the log is in use, try again",
            ));
        }
        let id = report.key;
        let key = keys.into_iter().find(|key| id.as_deref() == Some(key.id()));
        key.ok_or_else(|| {
            CliError::failed(format_args!("{} has no sealed record", self.log.display())).with_help(
                "lines of a log without seals can be removed while the server is stopped",
            )
        })
    }

    fn find(&self) -> Result<ForgetReport, CliError> {
        let mut report = ForgetReport {
            dry_run: self.dry_run,
            forgotten: 0,
            remaining: 0,
            files: Vec::new(),
        };
        let files = log_files(&self.log).map_err(|error| log::unreadable(&self.log, &error))?;
        for file in files {
            let is_current = file == self.log;
            // `log_files` returns `./app.log.…` for `app.log`.
            let file = file.strip_prefix(".").map_or(file.clone(), Path::to_owned);
            let records = count(&file, &self.subject)?;
            if is_current && !self.include_current {
                report.remaining = records;
            } else if records > 0 {
                report.forgotten += records;
                report.files.push(FileReport { file, records });
            }
        }
        Ok(report)
    }

    fn confirmed(&self, report: &ForgetReport) -> Result<bool, CliError> {
        if !output::is_interactive() {
            return Err(CliError::usage(
                "--yes is required, because the command does not run on a terminal",
            )
            .with_help("add --yes to forget the records without confirmation"));
        }
        prompt::confirm(&format!(
            "Permanently forget {} in {}?",
            plural(report.forgotten, "record"),
            plural(report.files.len() as u64, "file")
        ))
    }

    fn print(&self, report: &ForgetReport) -> Result<(), CliError> {
        if self.json {
            output::print_json(report)?;
        } else {
            for FileReport { file, records } in &report.files {
                let file = escape(&file.display().to_string());
                output::print(format_args!("{file}: {}", plural(*records, "record")))?;
            }
            let records = plural(report.forgotten, "record");
            output::print(match report.dry_run {
                true => format!("{records} would be forgotten"),
                false => format!("{SUCCESS}forgotten{SUCCESS:#}: {records}"),
            })?;
        }
        if report.remaining > 0 {
            output::warn(format_args!(
                "{} left in the current file, {}",
                plural(report.remaining, "record"),
                escape(&self.log.display().to_string())
            ));
            output::help(
                "repeat the command after the rotation of the file, or add --include-current \
                 while no server writes to it",
            );
        }
        Ok(())
    }
}
