//! What a fault of a log means, and what to do about it.

use std::path::Path;

use serde::Serialize;
use stockade_audit::{Fault, FaultKind};

/// A fault, for people.
#[derive(Debug, Serialize)]
pub(super) struct FaultReport {
    pub(super) file: Option<String>,
    pub(super) line: u64,
    /// The name of the kind, for machines.
    pub(super) kind: &'static str,
    /// The first record that it is about, where that is known.
    pub(super) record: Option<u64>,
    pub(super) what: String,
    pub(super) meaning: &'static str,
    pub(super) help: &'static str,
}

impl FaultReport {
    /// Explains a fault of these files.
    pub(super) fn new(fault: &Fault, files: &[&Path]) -> Self {
        let file = fault.file.checked_sub(1).and_then(|at| files.get(at));
        let (kind, record) = kind_name(&fault.kind);
        let (meaning, help) = explain(&fault.kind);
        Self {
            file: file.map(|path| path.display().to_string()),
            line: fault.line,
            kind,
            record,
            what: fault.kind.to_string(),
            meaning,
            help,
        }
    }

    /// Where it is.
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
        FaultKind::NoRecord => ("no_record", None),
        FaultKind::Altered => ("altered", None),
        FaultKind::Unlinked => ("unlinked", None),
        FaultKind::Missing { from, .. } => ("missing", Some(*from)),
        FaultKind::OutOfOrder { seq } => ("out_of_order", Some(*seq)),
        FaultKind::Unsealed { .. } => ("unsealed", None),
        FaultKind::UnknownKey(_) => ("unknown_key", None),
        FaultKind::WrongKey(_) => ("wrong_key", None),
        FaultKind::CutOff { from, .. } => ("cut_off", Some(*from)),
        FaultKind::ForgedHead => ("forged_head", None),
        FaultKind::OtherHead => ("other_head", None),
        _ => ("other", None),
    }
}

/// What it means, and what to do.
fn explain(kind: &FaultKind) -> (&'static str, &'static str) {
    match kind {
        FaultKind::NoRecord => (
            "somebody else wrote into the file, or half of a line was lost with the power",
            "look at the line, and at who can write the file",
        ),
        FaultKind::Altered => (
            "something in these lines was changed, added or removed after they were sealed, or \
             the key is another one of the same name",
            "make sure of the key; if it is the right one, compare the lines with a copy that \
             was kept elsewhere",
        ),
        FaultKind::Unlinked => (
            "genuine lines stand where they were not written: lines before them were taken \
             away, moved, or put in from another log or an older copy",
            "look for the lines in between in copies; one process alone may write a log",
        ),
        FaultKind::Missing { .. } => (
            "records were taken out of the log, or a file of it is not there",
            "look for the file that they were in",
        ),
        FaultKind::OutOfOrder { .. } => (
            "lines were moved or doubled, or two processes write the log",
            "give each process a log of its own, and compare with a copy",
        ),
        FaultKind::Unsealed { .. } => (
            "anybody can have written these lines: they were added by hand, the log was written \
             without a key, or the last ones are just on their way to the file",
            "at the end of a log that is being written, verify again; elsewhere do not believe \
             these lines",
        ),
        FaultKind::UnknownKey(_) => (
            "these lines cannot be judged without that key",
            "add it by --key-file and --key-id",
        ),
        FaultKind::WrongKey(_) => (
            "the log does not say that this key came into use: whoever has it may have forged \
             these lines",
            "find out who has that key; trust only what the other key has sealed",
        ),
        FaultKind::CutOff { .. } => (
            "the end of the log was taken away",
            "look for the records in copies; the head says how far the log once reached",
        ),
        FaultKind::ForgedHead => (
            "the file with the head was changed, or signed by a key that was not given, so \
             nobody knows whether the end of the log is there",
            "add the newest key of the log by --key-file and --key-id, or restore the head",
        ),
        FaultKind::OtherHead => (
            "the head was signed, but for other records: the log or the head was replaced by an \
             older or another one",
            "make sure that the head is that of this log, and compare with a copy",
        ),
        _ => (
            "the log is not as it was written",
            "compare it with a copy that was kept elsewhere",
        ),
    }
}
