//! The report of a verifier.

use std::fmt;

/// The contents and faults of a log.
///
/// A log without faults contains, from its first record to its last seal, exactly the
/// records that holders of the keys wrote, in the original order; of those that were
/// [`forgotten`](Self::forgotten), only the place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Lines read.
    pub lines: u64,
    /// Lines covered by a valid seal.
    pub proven: u64,
    /// Lines that a crash left without a seal, as recorded by the next start of the journal.
    pub unproven: u64,
    /// Batches with a valid seal.
    pub batches: u64,
    /// The number of the first record; over 1 if older files were removed.
    pub first_seq: Option<u64>,
    /// The number of the last verified record.
    pub last_seq: Option<u64>,
    /// Records that the journal reported as lost.
    pub lost: u64,
    /// Records that a holder of a key replaced by their digest ([`ChainKey::forget`]).
    ///
    /// [`ChainKey::forget`]: crate::ChainKey::forget
    pub forgotten: u64,
    /// The id of the key that seals the log at its end.
    pub key: Option<Box<str>>,
    /// The number of starts of the journal.
    pub starts: u64,
    /// The number of key rotations.
    pub key_rotations: u64,
    /// The number of faults.
    pub fault_count: u64,
    /// The first 100 faults, in order.
    pub faults: Vec<Fault>,
}

impl Report {
    /// Whether the log has no fault.
    pub fn is_intact(&self) -> bool {
        self.fault_count == 0
    }

    /// The number of faults that are listed; further ones are only counted.
    pub(super) const MAX_FAULTS: usize = 100;

    pub(super) fn note(&mut self, faults: impl IntoIterator<Item = Fault>) {
        for fault in faults {
            self.fault_count += 1;
            if self.faults.len() < Self::MAX_FAULTS {
                self.faults.push(fault);
            }
        }
    }
}

/// A fault of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// The number of the file in reading order, from 1; 0 before the first.
    pub file: usize,
    /// The number of the line, from 1; for a batch, its first line.
    pub line: u64,
    /// The kind of the fault.
    pub kind: FaultKind,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "file {}, line {}: {}", self.file, self.line, self.kind)
    }
}

/// The kinds of [`Fault`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// The line is not a record.
    NotARecord,
    /// The batch differs from the sealed one: a line was changed, added or removed.
    Altered,
    /// An authentic batch does not continue the one before it.
    BrokenLink,
    /// Records are missing.
    Missing {
        /// The number of the first missing record.
        from: u64,
        /// The number of the last missing record.
        to: u64,
    },
    /// A record follows one with the same or a greater number.
    OutOfOrder {
        /// The number of the record.
        seq: u64,
    },
    /// Lines without a seal. At the end of a log in use, their seal may not be written yet.
    Unsealed {
        /// The number of lines.
        lines: u64,
    },
    /// The batch was sealed with a key that the verifier does not have.
    UnknownKey(String),
    /// The batch was sealed with a key that was not in use at that position.
    WrongKey(String),
    /// The log ends before the record in its head.
    Truncated {
        /// The number of the first missing record.
        from: u64,
        /// The number of the last record that existed.
        to: u64,
    },
    /// The head was not signed with any of the keys.
    ForgedHead,
    /// The head belongs to another log.
    HeadMismatch,
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotARecord => f.write_str("this line is not a record"),
            Self::Altered => {
                f.write_str("the lines up to the next seal differ from the sealed lines")
            }
            Self::BrokenLink => f.write_str("these lines do not continue the lines before them"),
            Self::Missing { from, to } => write!(f, "records {from} to {to} are missing"),
            Self::OutOfOrder { seq } => write!(f, "record {seq} is out of order"),
            Self::Unsealed { lines } => write!(f, "{lines} lines are not sealed"),
            Self::UnknownKey(id) => write!(f, "sealed with the unknown key `{id}`"),
            Self::WrongKey(id) => write!(f, "sealed with the key `{id}`, which was not in use"),
            Self::Truncated { from, to } => {
                write!(
                    f,
                    "the log ends here, but records {from} to {to} were written"
                )
            }
            Self::ForgedHead => f.write_str("the head of the log was not signed with a known key"),
            Self::HeadMismatch => f.write_str("the head belongs to another log"),
        }
    }
}
