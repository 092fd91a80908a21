//! `stockade audit verify`.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use clap::Args;
use serde::Serialize;
use stockade_audit::{ChainKey, Report, Verifier};

use super::{
    fault::FaultReport,
    key::KeyArgs,
    location::{DatabaseLog, LocationArgs, LogLocation},
    log,
    progress::Progress,
};
use crate::{
    CliError, CliErrorKind, Outcome,
    escape::escape,
    output::{self, ERROR, SUCCESS, plural},
};

/// The log, and the keys to verify it with.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Each batch of records ends in a seal (HMAC-SHA-256) over its bytes and the previous seal, which
detects lines that were changed, added, removed or moved. The head, a signed file next to the
log or a row of the database, stores the end of the log, and detects records that were removed
from it. Records sealed with an earlier key can only be verified if that key is given as well.

Examples:
  stockade audit verify audit.log --key-file audit.key
  stockade audit verify audit.log --key-file old.key --key-id 2025 \\
      --key-file new.key --key-id 2026
  STOCKADE_AUDIT_KEY=… stockade audit verify audit.log --json | jq .faults
  stockade audit verify postgres://stockade@db/audit --database-log server-1 --key-file audit.key

Exit codes: 0 intact, 1 not intact, 2 not verified because of a usage error or a failure.")]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    log: LocationArgs,
    #[command(flatten)]
    keys: KeyArgs,
    /// The head of the log [default: FILE.head, if it exists, or the one in the database]
    #[arg(long, value_name = "FILE")]
    head: Option<PathBuf>,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

impl VerifyArgs {
    pub(super) fn run(self) -> Result<Outcome, CliError> {
        let found = self.verify().map_err(CliError::inconclusive)?.explain();
        match found.report(self.json) {
            // Standard output is closed, but the exit code is the result.
            Err(failure) if failure.kind() == CliErrorKind::BrokenPipe => {}
            reported => reported.map_err(CliError::inconclusive)?,
        }
        Ok(match found.intact {
            true => Outcome::Success,
            false => Outcome::Negative,
        })
    }

    fn verify(&self) -> Result<Verified, CliError> {
        let log = self.log.location()?;
        Verified::new(&log, self.head.as_deref(), self.keys.read()?)
    }
}

/// A log that was verified.
pub(super) struct Verified {
    pub(super) report: Report,
    paths: Vec<PathBuf>,
    has_head: bool,
    is_database: bool,
}

impl Verified {
    /// Verifies a log with its head, or with the head in another file.
    pub(super) fn new(
        log: &LogLocation,
        head: Option<&Path>,
        keys: Vec<ChainKey>,
    ) -> Result<Self, CliError> {
        match log {
            LogLocation::Files(log) => Self::of_files(log, head, keys),
            LogLocation::Database(log) => Self::of_database(log, head, keys),
        }
    }

    fn of_database(
        log: &DatabaseLog,
        head: Option<&Path>,
        keys: Vec<ChainKey>,
    ) -> Result<Self, CliError> {
        let mut stored = log.open()?;
        let failed = |error| log.failed(&error);
        // Before the log: it may be written to meanwhile.
        let head = match head {
            Some(path) => {
                Some(fs::read_to_string(path).map_err(|error| log::unreadable(path, &error))?)
            }
            None => stored.head().map_err(failed)?,
        };
        let mut verifier = Verifier::new(keys);
        if let Some(head) = &head {
            verifier = verifier.head(head);
        }
        verifier
            .read(stored.reader().map_err(failed)?)
            .map_err(failed)?;
        Ok(Self {
            report: verifier.finish(),
            paths: vec![log.to_string().into()],
            has_head: head.is_some(),
            is_database: true,
        })
    }

    fn of_files(log: &Path, head: Option<&Path>, keys: Vec<ChainKey>) -> Result<Self, CliError> {
        // Before the log: it may be written to meanwhile.
        let head = read_head(log, head)?;
        let mut verifier = Verifier::new(keys);
        if let Some(head) = &head {
            verifier = verifier.head(head);
        }
        let files = log::open(log)?;
        let progress = Progress::over(&files);
        for file in &files {
            let read = verifier.read(progress.read(file));
            read.map_err(|error| log::unreadable(&file.path, &error))?;
        }
        drop(progress);
        Ok(Self {
            report: verifier.finish(),
            paths: files.into_iter().map(|file| file.path).collect(),
            has_head: head.is_some(),
            is_database: false,
        })
    }

    pub(super) fn explain(&self) -> VerifyReport {
        let paths: Vec<_> = self.paths.iter().map(PathBuf::as_path).collect();
        let mut report = VerifyReport::new(&self.report, &paths, self.has_head);
        report.is_database = self.is_database;
        report
    }
}

fn read_head(log: &Path, named: Option<&Path>) -> Result<Option<String>, CliError> {
    let path = named.map_or_else(|| default_head(log), Path::to_owned);
    match fs::read_to_string(&path) {
        Ok(head) => Ok(Some(head)),
        Err(error) if error.kind() == ErrorKind::NotFound && named.is_none() => Ok(None),
        // This error is about the head, not about the log.
        Err(error) => Err(log::unreadable(&path, &error)),
    }
}

/// The path of the head of a log.
pub(crate) fn default_head(log: &Path) -> PathBuf {
    let mut path = log.as_os_str().to_owned();
    path.push(".head");
    path.into()
}

/// The result of a verification.
#[derive(Debug, Serialize)]
pub(crate) struct VerifyReport {
    #[serde(skip)]
    is_database: bool,
    intact: bool,
    files: Vec<String>,
    lines: u64,
    verified: u64,
    /// Lines that a crash left without a seal, according to the log.
    unverified: u64,
    seals: u64,
    first_record: Option<u64>,
    last_record: Option<u64>,
    /// Records that were never written, according to the log.
    lost: u64,
    /// Records that were replaced by their digest.
    forgotten: u64,
    starts: u64,
    key_changes: u64,
    /// Whether a head was found.
    head: bool,
    fault_count: u64,
    faults: Vec<FaultReport>,
}

impl VerifyReport {
    /// Explains the report about a log in these files, which were read in this order.
    pub(crate) fn new(report: &Report, paths: &[&Path], head: bool) -> Self {
        let explained = |fault| FaultReport::new(fault, paths);
        Self {
            is_database: false,
            intact: report.is_intact(),
            files: paths
                .iter()
                .map(|path| path.display().to_string())
                .collect(),
            lines: report.lines,
            verified: report.proven,
            unverified: report.unproven,
            seals: report.batches,
            first_record: report.first_seq,
            last_record: report.last_seq,
            lost: report.lost,
            forgotten: report.forgotten,
            starts: report.starts,
            key_changes: report.key_rotations,
            head,
            fault_count: report.fault_count,
            faults: report.faults.iter().map(explained).collect(),
        }
    }

    pub(crate) fn report(&self, json: bool) -> Result<(), CliError> {
        if json {
            return Ok(output::print_json(self)?);
        }
        for fault in &self.faults {
            output::print(format_args!(
                "{ERROR}fault:{ERROR:#} {}: {}\n  cause: {}\n  help: {}",
                escape(&fault.location()),
                escape(&fault.message),
                fault.cause,
                fault.help
            ))?;
        }
        let listed = self.faults.len() as u64;
        if self.fault_count > listed {
            let more = plural(self.fault_count - listed, "more fault");
            output::print(format_args!("… and {more}"))?;
        }
        let (style, result) = match self.intact {
            true => (SUCCESS, "intact".to_owned()),
            false => {
                let faults = plural(self.fault_count, "fault");
                (ERROR, format!("NOT INTACT, {faults}"))
            }
        };
        output::print(format_args!("{style}{result}{style:#}: {}", self.summary()))?;
        self.print_notes();
        Ok(())
    }

    fn summary(&self) -> String {
        let numbers = match (self.first_record, self.last_record) {
            (Some(first), Some(last)) => format!(", records {first} to {last}"),
            _ => String::new(),
        };
        let keys = match self.key_changes {
            0 => String::new(),
            changes => format!(", {}", plural(changes, "key change")),
        };
        let place = match self.is_database {
            true => "the database".to_owned(),
            false => plural(self.files.len() as u64, "file"),
        };
        format!(
            "{} of {} verified by {}{numbers}, in {place}{keys}",
            self.verified,
            plural(self.lines, "line"),
            plural(self.seals, "seal"),
        )
    }

    /// Prints warnings about an intact log.
    fn print_notes(&self) {
        if !self.head {
            output::warn("the log has no head, so a removed end of the log is not detected");
        }
        if let Some(before) = self.first_record.filter(|first| *first > 1) {
            output::note(format_args!(
                "The log begins with record {before}: {}.",
                match self.is_database {
                    true => "`audit.database_keep_days` has removed older records",
                    false => "rotation has removed older files",
                }
            ));
        }
        if self.unverified > 0 {
            output::warn(format_args!(
                "a crash left {} without a seal, according to the log; their content is not verified",
                plural(self.unverified, "line")
            ));
        }
        if self.forgotten > 0 {
            output::note(format_args!(
                "`stockade audit forget` has replaced {} by their digests.",
                plural(self.forgotten, "record")
            ));
        }
        if self.lost > 0 {
            output::warn(format_args!(
                "{} lost because the buffer was full, according to the log",
                plural(self.lost, "record")
            ));
        }
    }
}
