//! What the detector tells those who listen.

use std::sync::Arc;

use crate::{Ban, Offender, SkippedLines};

/// Something happened to bans; for audit logs, metrics and alerts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AbuseEvent {
    /// Somebody was banned: by the detector, by hand, or by another replica.
    Banned(Ban),
    /// Somebody would have been banned, if it were not for
    /// [`AbusePolicy::report_only`](crate::AbusePolicy::report_only).
    WouldBan(Ban),
    /// A request would have been refused because of this ban, if it were not for
    /// [`AbusePolicy::report_only`](crate::AbusePolicy::report_only). Told once a minute for
    /// each offender; [`AbuseStats::would_deny_count`](crate::AbuseStats::would_deny_count)
    /// counts all of them.
    WouldRefuse(Ban),
    /// Somebody is banned no more, because somebody said so.
    Unbanned(Offender),
    /// A deny-list was taken.
    ListLoaded {
        /// How many bans it has.
        bans: usize,
        /// How many of its lines were skipped, since they say nothing.
        skipped_lines: usize,
    },
    /// Lines of a deny-list cannot be read, and ban no client. Told when it is read first, and
    /// whenever they are others than before, none among them.
    LinesSkipped(Arc<SkippedLines>),
    /// There is no deny-list: it was never written, or was removed. Bans hold in memory, and
    /// the next one makes a new file.
    ListMissing {
        /// The file.
        file: Arc<str>,
    },
    /// A deny-list could not be read or written; bans hold in memory.
    ListFailed {
        /// What went wrong, and with which file.
        error: Arc<str>,
    },
    /// A deny-list that could not be read or written was read again; its bans are in force.
    ListRecovered {
        /// The file, or the kind of server.
        source: Arc<str>,
    },
}

impl AbuseEvent {
    /// The names of all variants.
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

    /// The name of the variant in snake case, for logs, metrics and tests that each
    /// variant is handled.
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

/// Hears of events; called on the thread that made them, so it must not take long.
pub type AbuseListener = Arc<dyn Fn(&AbuseEvent) + Send + Sync>;
