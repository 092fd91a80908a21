//! `stockade audit verify`.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use clap::Args;
use serde::Serialize;
use stockade_audit::{Report, Verifier};

use super::{
    fault::FaultReport,
    key::KeyArgs,
    log::{self, LogFile},
    progress::Progress,
};
use crate::{
    CliError, CliErrorKind, Outcome,
    escape::escape,
    output::{self, ERROR, SUCCESS},
};

/// Which log, and what it is verified with.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Each batch of records ends in a seal over all of its bytes and the seal before it, so what was
changed, added, removed or moved since is found. Beside the log is its head, a signed word on
how far it reaches, by which a cut-off end is found. Keys that the log was sealed with in
former times are named, too, or what they have sealed cannot be judged.

Examples:
  stockade audit verify audit.log --key-file audit.key
  stockade audit verify audit.log --key-file old.key --key-id 2025 \\
      --key-file new.key --key-id 2026
  STOCKADE_AUDIT_KEY=… stockade audit verify audit.log --json | jq .faults

Exit codes: 0 intact, 1 faults were found, 2 nothing could be found out.")]
pub(super) struct VerifyArgs {
    /// The log
    #[arg(value_name = "FILE")]
    log: PathBuf,
    #[command(flatten)]
    keys: KeyArgs,
    /// The head of the log [default: the log's name and `.head`, if there is one]
    #[arg(long, value_name = "FILE")]
    head: Option<PathBuf>,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

impl VerifyArgs {
    pub(super) fn run(self) -> Result<Outcome, CliError> {
        let found = self.verify().map_err(CliError::inconclusive)?;
        match found.report(self.json) {
            // Nobody reads on, but the exit code is still the answer.
            Err(failure) if failure.kind() == CliErrorKind::BrokenPipe => {}
            said => said.map_err(CliError::inconclusive)?,
        }
        Ok(match found.intact {
            true => Outcome::Success,
            false => Outcome::Negative,
        })
    }

    fn verify(&self) -> Result<VerifyReport, CliError> {
        let keys = self.keys.read()?;
        // Before the log, which may go on meanwhile.
        let head = self.read_head()?;
        let mut verifier = Verifier::new(keys);
        if let Some(head) = &head {
            verifier = verifier.head(head);
        }
        let files = log::open(&self.log)?;
        let progress = Progress::over(&files);
        for file in &files {
            let read = verifier.read(progress.read(file));
            read.map_err(|error| log::unreadable(&file.path, &error))?;
        }
        drop(progress);
        Ok(VerifyReport::new(
            &verifier.finish(),
            &files,
            head.is_some(),
        ))
    }

    fn read_head(&self) -> Result<Option<String>, CliError> {
        let path = self.head.clone().unwrap_or_else(|| default_head(&self.log));
        match fs::read_to_string(&path) {
            Ok(head) => Ok(Some(head)),
            Err(error) if error.kind() == ErrorKind::NotFound && self.head.is_none() => Ok(None),
            // Not that the log is bad: this is another file.
            Err(error) => Err(log::unreadable(&path, &error)),
        }
    }
}

fn default_head(log: &Path) -> PathBuf {
    let mut path = log.as_os_str().to_owned();
    path.push(".head");
    path.into()
}

/// What there is to say of a log.
#[derive(Debug, Serialize)]
struct VerifyReport {
    intact: bool,
    files: Vec<String>,
    lines: u64,
    proven: u64,
    /// Left without a seal by a crash, as the log itself says.
    unproven: u64,
    seals: u64,
    first_record: Option<u64>,
    last_record: Option<u64>,
    /// Never written, as the log itself says.
    lost: u64,
    starts: u64,
    key_changes: u64,
    /// Whether there was a head to compare with.
    head: bool,
    fault_count: u64,
    faults: Vec<FaultReport>,
}

impl VerifyReport {
    fn new(report: &Report, files: &[LogFile], head: bool) -> Self {
        let paths: Vec<_> = files.iter().map(|file| file.path.as_path()).collect();
        let explained = |fault| FaultReport::new(fault, &paths);
        Self {
            intact: report.is_intact(),
            files: paths
                .iter()
                .map(|path| path.display().to_string())
                .collect(),
            lines: report.lines,
            proven: report.proven,
            unproven: report.unproven,
            seals: report.batches,
            first_record: report.first_seq,
            last_record: report.last_seq,
            lost: report.lost,
            starts: report.starts,
            key_changes: report.key_rotations,
            head,
            fault_count: report.fault_count,
            faults: report.faults.iter().map(explained).collect(),
        }
    }

    fn report(&self, json: bool) -> Result<(), CliError> {
        if json {
            return Ok(output::print_json(self)?);
        }
        for fault in &self.faults {
            output::print(format_args!(
                "{ERROR}fault:{ERROR:#} {}: {}\n  meaning: {}\n  help: {}",
                escape(&fault.location()),
                escape(&fault.what),
                fault.meaning,
                fault.help
            ))?;
        }
        let listed = self.faults.len() as u64;
        if self.fault_count > listed {
            output::print(format_args!(
                "… and {} more faults",
                self.fault_count - listed
            ))?;
        }
        let (style, verdict) = match self.intact {
            true => (SUCCESS, "intact".to_owned()),
            false => (ERROR, format!("NOT INTACT, {} faults", self.fault_count)),
        };
        output::print(format_args!(
            "{style}{verdict}{style:#}: {}",
            self.summary()
        ))?;
        self.print_notes();
        Ok(())
    }

    fn summary(&self) -> String {
        let numbers = match (self.first_record, self.last_record) {
            (Some(first), Some(last)) => format!(", numbers {first} to {last}"),
            _ => String::new(),
        };
        let keys = match self.key_changes {
            0 => String::new(),
            changes => format!(", {changes} changes of the key"),
        };
        format!(
            "{} of {} lines proven by {} seals{numbers}, in {} files{keys}",
            self.proven,
            self.lines,
            self.seals,
            self.files.len()
        )
    }

    /// What is no fault, but should be known.
    fn print_notes(&self) {
        if !self.head {
            output::warn("there is no head beside the log: a cut-off end would not be found");
        }
        if let Some(before) = self.first_record.filter(|first| *first > 1) {
            output::note(format_args!(
                "The log begins with record {before}: older files were removed, as rotation has it."
            ));
        }
        if self.unproven > 0 {
            output::warn(format_args!(
                "a crash left {} lines without a seal, as the log says itself; they are not proven",
                self.unproven
            ));
        }
        if self.lost > 0 {
            output::warn(format_args!(
                "{} records found no room and were never written, as the log says itself",
                self.lost
            ));
        }
    }
}
