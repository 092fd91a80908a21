//! The lines between two seals, on their way to a verdict.

use sha2::Sha256;

use super::{Fault, FaultKind, Report};

/// A line's place: the number of its file, and its own in there, from 1.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Position {
    pub(super) file: usize,
    pub(super) line: u64,
}

/// The lines since the last seal.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) sha256: Sha256,
    pub(super) lines: u64,
    pub(super) first: Position,
    pub(super) last_seq: Option<u64>,
    /// What is wrong with them, if they get a seal.
    pub(super) faults: Vec<Fault>,
    /// What its lines say of the chain.
    pub(super) next_key: Option<Box<str>>,
    pub(super) opened: Option<JournalStart>,
    pub(super) lost: u64,
}

/// A batch begins a new life of the journal.
#[derive(Debug)]
pub(super) struct JournalStart {
    /// Lines before it that no seal covers.
    pub(super) unsealed_before: u64,
    /// The journal saw and said so.
    pub(super) acknowledged: bool,
}

impl Position {
    pub(super) fn fault(self, kind: FaultKind) -> Fault {
        Fault {
            file: self.file,
            line: self.line,
            kind,
        }
    }
}

impl Batch {
    /// As many as a report has.
    pub(super) fn note(&mut self, position: Position, kind: FaultKind) {
        if self.faults.len() < Report::MAX_FAULTS {
            self.faults.push(position.fault(kind));
        }
    }
}
