//! Lines of a deny-list that ban no client, because they cannot be read.

use std::{fmt, sync::Arc};

use crate::OffenderError;

/// The lines of one store that were skipped: the first of them one by one, and how many there
/// are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedLines {
    source: Arc<str>,
    listed: Vec<SkippedLine>,
    count: usize,
}

/// A line that was skipped. Holds nothing of its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SkippedLine {
    /// Its number, from 1.
    pub number: usize,
    /// What is wrong with it.
    pub problem: LineProblem,
}

/// What is wrong with a line of a deny-list. Its text has the remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LineProblem {
    /// It is not UTF-8.
    NotUtf8,
    /// It is longer than 4,096 bytes.
    TooLong,
    /// It is a range of addresses.
    Range,
    /// Its prefix is longer than the address.
    Prefix,
    /// Something other than a comment follows the client.
    Uncommented,
    /// It names nothing that can be banned.
    Offender(OffenderError),
    /// It is the last line and has no line end, so it may have been cut off.
    Unterminated,
}

impl SkippedLines {
    /// The most lines that are listed one by one.
    pub const LISTED: usize = 20;

    /// No lines of this store; the name of a file, or of a server.
    pub fn new(source: impl Into<Arc<str>>) -> Self {
        Self {
            source: source.into(),
            listed: Vec::new(),
            count: 0,
        }
    }

    /// The number of skipped entries of a store that has no lines.
    pub fn entries(source: impl Into<Arc<str>>, count: usize) -> Self {
        Self {
            count,
            ..Self::new(source)
        }
    }

    pub(crate) fn push(&mut self, number: usize, problem: LineProblem) {
        self.count += 1;
        if self.listed.len() < Self::LISTED {
            self.listed.push(SkippedLine { number, problem });
        }
    }

    /// The store.
    pub fn source(&self) -> &Arc<str> {
        &self.source
    }

    /// The first lines, in their order.
    pub fn listed(&self) -> &[SkippedLine] {
        &self.listed
    }

    /// How many lines were skipped in all.
    pub fn count(&self) -> usize {
        self.count
    }

    /// How many of them are not listed.
    pub fn unlisted(&self) -> usize {
        self.count - self.listed.len()
    }

    /// Whether none was skipped.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl LineProblem {
    /// How to fix the line, in a few words with an example.
    pub fn help(self) -> &'static str {
        match self {
            Self::NotUtf8 => "save the file as UTF-8",
            Self::TooLong => "shorten the comment",
            Self::Range => "write networks, one a line: 203.0.113.8/29",
            Self::Prefix => "write at most /32 for IPv4 and /128 for IPv6",
            Self::Uncommented => {
                "put a `#` in front of the comment: 203.0.113.7 # Blocked: by hand"
            }
            Self::Offender(_) => "write 192.0.2.1, 2001:db8::/64 or key:ID, or a comment after `#`",
            Self::Unterminated => "end the line with a line break",
        }
    }
}

impl fmt::Display for LineProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotUtf8 => "the line is not UTF-8",
            Self::TooLong => "the line is longer than 4096 bytes",
            Self::Range => "ranges of addresses are not supported",
            Self::Prefix => "the prefix is longer than the address",
            Self::Uncommented => "the client is followed by text that is not a comment",
            Self::Offender(error) => return error.fmt(f),
            Self::Unterminated => "the last line has no line end and may have been cut off",
        })
    }
}

impl fmt::Display for SkippedLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, problem } = self;
        write!(f, "line {number}: {problem}; {}", problem.help())
    }
}
