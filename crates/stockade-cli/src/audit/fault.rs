//! Explanations of verification faults.

use std::path::Path;

use serde::Serialize;
use stockade_audit::{Fault, FaultKind};

/// A fault with its location, cause and remedy.
#[derive(Debug, Serialize)]
pub(super) struct FaultReport {
    pub(super) file: Option<String>,
    pub(super) line: u64,
    /// The name of the kind in JSON.
    pub(super) kind: &'static str,
    /// The number of the first affected record, if known.
    pub(super) record: Option<u64>,
    pub(super) message: String,
    pub(super) cause: &'static str,
    pub(super) help: &'static str,
}

impl FaultReport {
    /// Explains a fault in one of these files.
    pub(super) fn new(fault: &Fault, files: &[&Path]) -> Self {
        let file = fault.file.checked_sub(1).and_then(|at| files.get(at));
        let (kind, record) = kind_name(&fault.kind);
        let (cause, help) = explain(&fault.kind);
        Self {
            file: file.map(|path| path.display().to_string()),
            line: fault.line,
            kind,
            record,
            message: fault.kind.to_string(),
            cause,
            help,
        }
    }

    /// `FILE:LINE`, or as much of it as is known.
    pub(super) fn location(&self) -> String {
        match &self.file {
            Some(file) if self.line > 0 => format!("{file}:{}", self.line),
            Some(file) => file.clone(),
            None => "the log".to_owned(),
        }
    }
}

fn kind_name(kind: &FaultKind) -> (&'static str, Option<u64>) {
    match kind {
        FaultKind::NotARecord => ("not_a_record", None),
        FaultKind::Altered => ("altered", None),
        FaultKind::BrokenLink => ("broken_link", None),
        FaultKind::Missing { from, .. } => ("missing", Some(*from)),
        FaultKind::OutOfOrder { seq } => ("out_of_order", Some(*seq)),
        FaultKind::Unsealed { .. } => ("unsealed", None),
        FaultKind::UnknownKey(_) => ("unknown_key", None),
        FaultKind::WrongKey(_) => ("wrong_key", None),
        FaultKind::Truncated { from, .. } => ("truncated", Some(*from)),
        FaultKind::ForgedHead => ("forged_head", None),
        FaultKind::HeadMismatch => ("head_mismatch", None),
        _ => ("other", None),
    }
}

/// The cause of a fault, and its remedy.
fn explain(kind: &FaultKind) -> (&'static str, &'static str) {
    match kind {
        FaultKind::NotARecord => (
            "another program wrote to the file, or a crash truncated the line",
            "inspect the line, and check which users and programs can write to the file",
        ),
        FaultKind::Altered => (
            "these lines were changed, added or removed after they were sealed, or the key is \
             a different one with the same id",
            "check the key given by --key-file and --key-id; if it is correct, compare the \
             lines with a backup",
        ),
        FaultKind::BrokenLink => (
            "authentic lines are out of place: lines before them were removed, moved, or \
             inserted from another log or an older copy",
            "look for the missing lines in backups, and make sure that only one process writes \
             to the log",
        ),
        FaultKind::Missing { .. } => (
            "records were removed from the log, or one of its files is missing",
            "look for the missing file or its backup",
        ),
        FaultKind::OutOfOrder { .. } => (
            "lines were moved or duplicated, or two processes write to the log",
            "give each process its own log, and compare the lines with a backup",
        ),
        FaultKind::Unsealed { .. } => (
            "the origin of these lines cannot be verified: they were added by another program, \
             written without a key, or their seal is not written yet",
            "at the end of a log in use, verify again; elsewhere, do not trust these lines",
        ),
        FaultKind::UnknownKey(_) => (
            "these lines cannot be verified without that key",
            "add the key with --key-file and --key-id",
        ),
        FaultKind::WrongKey(_) => (
            "the log has no record of a change to this key: its holder may have forged these \
             lines",
            "find out who holds that key, and trust only lines that the other key sealed",
        ),
        FaultKind::Truncated { .. } => (
            "the end of the log was removed; the head shows that it was longer",
            "look for the missing records in backups",
        ),
        FaultKind::ForgedHead => (
            "the head was changed, or signed with a key that was not given, so a removed end \
             of the log cannot be detected",
            "add the newest key of the log with --key-file and --key-id, or restore the head",
        ),
        FaultKind::HeadMismatch => (
            "the head is authentic, but belongs to other records: the log or the head was \
             replaced by another or an older one",
            "check that --head names the head of this log, and compare both with a backup",
        ),
        _ => ("the log was altered", "compare the log with a backup"),
    }
}
