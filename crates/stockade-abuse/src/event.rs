//! The events of a detector.

use std::sync::Arc;

use crate::{Ban, Offender, SkippedLines};

/// An event for audit logs, metrics and alerts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AbuseEvent {
    /// An offender was banned by the detector, an operator or another replica.
    Banned(Ban),
    /// An offender would have been banned without
    /// [`AbusePolicy::report_only`](crate::AbusePolicy::report_only).
    WouldBan(Ban),
    /// A request would have been refused because of this ban without
    /// [`AbusePolicy::report_only`](crate::AbusePolicy::report_only). Sent at most once a minute
    /// per offender; [`AbuseStats::would_deny_count`](crate::AbuseStats::would_deny_count)
    /// counts all requests.
    WouldRefuse(Ban),
    /// A ban was lifted by an operator or a store.
    Unbanned(Offender),
    /// A deny-list was loaded.
    ListLoaded {
        /// The number of its bans.
        bans: usize,
        /// The number of lines that cannot be parsed.
        skipped_lines: usize,
    },
    /// Lines of a deny-list cannot be parsed. Sent with the first reading and whenever the
    /// skipped lines change, also when none is left.
    LinesSkipped(Arc<SkippedLines>),
    /// The deny-list file does not exist. Bans are kept in memory, and the next ban creates the
    /// file.
    ListMissing {
        /// The path of the file.
        file: Arc<str>,
    },
    /// A deny-list cannot be read or written; bans are kept in memory.
    ListFailed {
        /// The error message with the path.
        error: Arc<str>,
    },
    /// A deny-list is readable and writable again; its bans are active.
    ListRecovered {
        /// The path of the file, or the name of the store.
        source: Arc<str>,
    },
}

impl AbuseEvent {
    /// The names of all events.
    pub const NAMES: [&'static str; 9] = [
        "banned",
        "would_ban",
        "would_refuse",
        "unbanned",
        "list_loaded",
        "lines_skipped",
        "list_missing",
        "list_failed",
        "list_recovered",
    ];

    /// Returns the name of the event in snake case, for logs and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Banned(_) => Self::NAMES[0],
            Self::WouldBan(_) => Self::NAMES[1],
            Self::WouldRefuse(_) => Self::NAMES[2],
            Self::Unbanned(_) => Self::NAMES[3],
            Self::ListLoaded { .. } => Self::NAMES[4],
            Self::LinesSkipped(_) => Self::NAMES[5],
            Self::ListMissing { .. } => Self::NAMES[6],
            Self::ListFailed { .. } => Self::NAMES[7],
            Self::ListRecovered { .. } => Self::NAMES[8],
        }
    }
}

/// Receives events; called on the thread that caused them, so it must not block.
pub type AbuseListener = Arc<dyn Fn(&AbuseEvent) + Send + Sync>;
