//! The lines between two seals, on their way to a verdict.

use sha2::Sha256;

use super::{Fault, FaultKind, Report};

/// A line's place: the number of its file, and its own in there, from 1.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    pub(super) file: usize,
    pub(super) line: u64,
}

/// The lines since the last seal.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) sha256: Sha256,
    pub(super) lines: u64,
    pub(super) first: Place,
    pub(super) last_seq: Option<u64>,
    /// What is wrong with them, if they get a seal.
    pub(super) faults: Vec<Fault>,
    /// What its lines say of the chain.
    pub(super) next_key: Option<Box<str>>,
    pub(super) opened: Option<Opened>,
    pub(super) lost: u64,
}

/// A batch begins a new life of the journal.
#[derive(Debug)]
pub(super) struct Opened {
    /// Lines before it that no seal covers.
    pub(super) orphans: u64,
    /// The journal saw and said so.
    pub(super) admitted: bool,
}

impl Place {
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
    pub(super) fn note(&mut self, place: Place, kind: FaultKind) {
        if self.faults.len() < Report::MOST_FAULTS {
            self.faults.push(place.fault(kind));
        }
    }
}
