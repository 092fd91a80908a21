//! What a verifier found.

use std::fmt;

/// What a log is, and what is wrong with it.
///
/// A log without faults has, from its first record to its last seal, exactly the records
/// that holders of the keys wrote, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Lines read.
    pub lines: u64,
    /// Lines that a valid seal covers.
    pub proven: u64,
    /// Lines that a crash left without a seal, as the next start of the journal said.
    pub unproven: u64,
    /// Batches with a valid seal.
    pub batches: u64,
    /// The first record's number; over 1 where older files are gone.
    pub first_seq: Option<u64>,
    /// The number of the last record that is proven.
    pub last_seq: Option<u64>,
    /// Records that the journal said it had no room for.
    pub lost: u64,
    /// How often a process began to write.
    pub starts: u64,
    /// How often the key changed.
    pub key_rotations: u64,
    /// How many faults there are.
    pub fault_count: u64,
    /// The first 100 of them, in their order.
    pub faults: Vec<Fault>,
}

impl Report {
    /// Whether there is no fault.
    pub fn is_intact(&self) -> bool {
        self.fault_count == 0
    }

    /// So many faults are told; the rest is counted.
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

/// Something that is wrong with a log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// Which file, in the order they were read, from 1; 0 before the first.
    pub file: usize,
    /// Which line of it, from 1. For a batch that is its first line.
    pub line: u64,
    /// What is wrong.
    pub kind: FaultKind,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "file {}, line {}: {}", self.file, self.line, self.kind)
    }
}

/// The kinds of faults.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// A line that is no record.
    NotARecord,
    /// A batch is not what was sealed: something in it was changed, added or removed.
    Altered,
    /// A genuine batch does not follow the one before it.
    BrokenLink,
    /// Records are not there.
    Missing {
        /// The first one's number.
        from: u64,
        /// The last one's number.
        to: u64,
    },
    /// A record comes after one with the same or a greater number.
    OutOfOrder {
        /// Its number.
        seq: u64,
    },
    /// Lines that no seal covers. At the end of a log that is being written they may be
    /// on their way.
    Unsealed {
        /// How many.
        lines: u64,
    },
    /// A seal by a key that the verifier was not given.
    UnknownKey(String),
    /// A seal by a key that was not in use then.
    WrongKey(String),
    /// The log ends before the record that its head names.
    Truncated {
        /// The first record that is gone.
        from: u64,
        /// The last one that is known to have been there.
        to: u64,
    },
    /// The head was not signed by any of the keys.
    ForgedHead,
    /// The head is one of another log.
    HeadMismatch,
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotARecord => f.write_str("this line is no record"),
            Self::Altered => {
                f.write_str("the lines up to the next seal are not those that were sealed")
            }
            Self::BrokenLink => f.write_str("these lines do not follow those before them"),
            Self::Missing { from, to } => write!(f, "records {from} to {to} are not there"),
            Self::OutOfOrder { seq } => write!(f, "record {seq} is not in its place"),
            Self::Unsealed { lines } => write!(f, "{lines} lines are not sealed"),
            Self::UnknownKey(id) => write!(f, "sealed by the key `{id}`, which was not given"),
            Self::WrongKey(id) => write!(f, "sealed by the key `{id}`, which was not in use"),
            Self::Truncated { from, to } => {
                write!(
                    f,
                    "the log ends here, but records {from} to {to} were written"
                )
            }
            Self::ForgedHead => f.write_str("the head of the log was not signed by a known key"),
            Self::HeadMismatch => f.write_str("the head is not the head of this log"),
        }
    }
}
