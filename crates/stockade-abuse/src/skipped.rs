//! Lines of a deny-list that cannot be parsed.

use std::{fmt, sync::Arc};

use crate::OffenderError;

/// The skipped lines of one store: the first ones individually, and the total number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedLines {
    source: Arc<str>,
    listed: Vec<SkippedLine>,
    count: usize,
}

/// A skipped line. It does not contain the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SkippedLine {
    /// The line number, from 1.
    pub number: usize,
    /// The problem.
    pub problem: LineProblem,
}

/// The problem of a line of a deny-list; [`help`](Self::help) returns the remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LineProblem {
    /// The line is not UTF-8.
    NotUtf8,
    /// The line is longer than 4,096 bytes.
    TooLong,
    /// The line contains an address range.
    Range,
    /// The prefix is longer than the address.
    Prefix,
    /// The client is followed by text that is not a comment.
    Uncommented,
    /// The client cannot be parsed or banned.
    Offender(OffenderError),
    /// The last line has no line end, so it may be incomplete.
    Unterminated,
}

impl SkippedLines {
    /// The maximum number of lines that are listed individually.
    pub const LISTED: usize = 20;

    /// Creates an empty list for a store; `source` is a file path or the name of a server.
    pub fn new(source: impl Into<Arc<str>>) -> Self {
        Self {
            source: source.into(),
            listed: Vec::new(),
            count: 0,
        }
    }

    /// Creates a list with the number of skipped entries of a store without lines.
    pub fn entries(source: impl Into<Arc<str>>, count: usize) -> Self {
        Self {
            count,
            ..Self::new(source)
        }
    }

    #[cfg(feature = "deny-list")]
    pub(crate) fn push(&mut self, number: usize, problem: LineProblem) {
        self.count += 1;
        if self.listed.len() < Self::LISTED {
            self.listed.push(SkippedLine { number, problem });
        }
    }

    /// Returns the name of the store.
    pub fn source(&self) -> &Arc<str> {
        &self.source
    }

    /// Returns the first skipped lines, in order.
    pub fn listed(&self) -> &[SkippedLine] {
        &self.listed
    }

    /// Returns the total number of skipped lines.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Returns the number of skipped lines that are not listed.
    pub fn unlisted(&self) -> usize {
        self.count - self.listed.len()
    }

    /// Whether no line was skipped.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl LineProblem {
    /// Returns how to fix the line, with an example.
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
            Self::Range => "address ranges are not supported",
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
