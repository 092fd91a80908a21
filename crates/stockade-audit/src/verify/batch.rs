//! The lines between two seals.

use sha2::Sha256;

use super::{Fault, FaultKind, Report};

/// The position of a line: file number and line number, from 1.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Position {
    pub(super) file: usize,
    pub(super) line: u64,
}

/// The lines since the last seal.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Of the digests of the lines.
    pub(super) sha256: Sha256,
    pub(super) lines: u64,
    pub(super) first: Position,
    pub(super) last_seq: Option<u64>,
    /// Faults of the lines, reported if a seal follows.
    pub(super) faults: Vec<Fault>,
    /// The next key, if the batch contains a key rotation.
    pub(super) next_key: Option<Box<str>>,
    pub(super) opened: Option<JournalStart>,
    pub(super) lost: u64,
    /// Records that were replaced by their digest.
    pub(super) forgotten: u64,
}

/// The batch contains the first record of a journal's process.
#[derive(Debug)]
pub(super) struct JournalStart {
    /// The number of lines before it without a seal.
    pub(super) unsealed_before: u64,
    /// Whether the journal recorded them as unproven.
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
    /// Adds a fault, up to the maximum of a report.
    pub(super) fn note(&mut self, position: Position, kind: FaultKind) {
        if self.faults.len() < Report::MAX_FAULTS {
            self.faults.push(position.fault(kind));
        }
    }
}
