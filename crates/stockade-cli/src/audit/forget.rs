//! `stockade audit forget`.

mod rewrite;
mod rows;
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
use super::{
    key::KeyArgs,
    location::{LocationArgs, LogLocation},
    log,
    verify::Verified,
};
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
log itself are kept. This cannot be undone. Copies elsewhere are not changed: backups, and logs of
the system.

The current file is not changed while a server may be writing to it: its records are counted, and
can be forgotten after its rotation, or with --include-current while the server is stopped. A
database is changed while servers write to it.

Examples:
  stockade audit forget app.log --user team-core --key-file audit.key --dry-run
  stockade audit forget app.log --user team-core --ip 203.0.113.7 --key-file audit.key
  stockade audit forget app.log --user team-core --key-file old.key --key-id 2025 \\
      --key-file new.key --key-id 2026
  stockade audit forget postgres://stockade@db/audit --database-log server-1 \\
      --user team-core --key-file audit.key

Exit codes: 0 no record is left, 1 records are left in the current file, 2 nothing was changed
because of a usage error or a failure.")]
pub(super) struct ForgetArgs {
    #[command(flatten)]
    log: LocationArgs,
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

/// A file, or a database.
#[derive(Debug, Serialize)]
struct FileReport {
    file: PathBuf,
    records: u64,
}

impl ForgetReport {
    fn add(&mut self, file: PathBuf, records: u64) {
        if records > 0 {
            self.forgotten += records;
            self.files.push(FileReport { file, records });
        }
    }
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
        let log = self.log.location()?;
        let is_database = matches!(log, LogLocation::Database(_));
        if is_database && self.include_current {
            return Err(CliError::usage("--include-current is for a log in files")
                .with_help("omit it: all records in a database can be forgotten"));
        }
        let keys = self.keys.read()?;
        let key = present_key(&log, keys.clone())?;
        let mut report = self.find(&log)?;
        if report.dry_run || report.forgotten == 0 {
            return Ok(Some(report));
        }
        if !self.yes && !confirmed(&log, &report)? {
            return Ok(None);
        }
        let now = SystemClock::new().now();
        for file in &mut report.files {
            file.records = match &log {
                LogLocation::Files(_) => rewrite(&file.file, &self.subject, &key, now)?,
                LogLocation::Database(log) => rows::forget(log, &self.subject, &key, now)?,
            };
        }
        report.forgotten = report.files.iter().map(|file| file.records).sum();
        let verified = Verified::new(&log, None, keys)?;
        if !verified.report.is_intact() {
            return Err(CliError::failed(format_args!(
                "the records were forgotten, but {log} is no longer intact"
            ))
            .with_help("`stockade audit verify` lists the faults"));
        }
        Ok(Some(report))
    }

    fn find(&self, log: &LogLocation) -> Result<ForgetReport, CliError> {
        let mut report = ForgetReport {
            dry_run: self.dry_run,
            forgotten: 0,
            remaining: 0,
            files: Vec::new(),
        };
        let log = match log {
            LogLocation::Files(log) => log,
            LogLocation::Database(log) => {
                report.add(log.to_string().into(), rows::count(log, &self.subject)?);
                return Ok(report);
            }
        };
        let files = log_files(log).map_err(|error| log::unreadable(log, &error))?;
        for file in files {
            let is_current = file == *log;
            // `log_files` returns `./app.log.…` for `app.log`.
            let file = file.strip_prefix(".").map_or(file.clone(), Path::to_owned);
            let records = count(&file, &self.subject)?;
            if is_current && !self.include_current {
                report.remaining = records;
            } else {
                report.add(file, records);
            }
        }
        Ok(report)
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
                escape(&self.log.log.display().to_string())
            ));
            output::help(
                "repeat the command after the rotation of the file, or add --include-current \
                 while no server writes to it",
            );
        }
        Ok(())
    }
}

/// The key that seals the log. The log has to be intact: a changed record that is replaced
/// could not be distinguished from the original.
fn present_key(log: &LogLocation, keys: Vec<ChainKey>) -> Result<ChainKey, CliError> {
    let report = Verified::new(log, None, keys.clone())?.report;
    if !report.is_intact() {
        return Err(
            CliError::failed(format_args!("{log} is not intact, so nothing was changed"))
                .with_help(
                    "`stockade audit verify` lists the faults; if the log is in use, try again",
                ),
        );
    }
    let id = report.key;
    let key = keys.into_iter().find(|key| id.as_deref() == Some(key.id()));
    key.ok_or_else(|| {
        CliError::failed(format_args!("{log} has no sealed record"))
            .with_help("lines of a log without seals can be removed while the server is stopped")
    })
}

fn confirmed(log: &LogLocation, report: &ForgetReport) -> Result<bool, CliError> {
    if !output::is_interactive() {
        return Err(CliError::usage(
            "--yes is required, because the command does not run on a terminal",
        )
        .with_help("add --yes to forget the records without confirmation"));
    }
    let place = match log {
        LogLocation::Files(_) => plural(report.files.len() as u64, "file"),
        LogLocation::Database(log) => log.to_string(),
    };
    prompt::confirm(&format!(
        "Permanently forget {} in {place}?",
        plural(report.forgotten, "record")
    ))
}
