//! The counters of a detector.

use std::time::Duration;

/// The counters of a [`Detector`](crate::Detector).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AbuseStats {
    /// Requests refused because of a ban.
    pub denied_count: u64,
    /// Requests that would have been refused without [`AbusePolicy::report_only`](crate::AbusePolicy::report_only).
    pub would_deny_count: u64,
    /// Lines of deny-lists, and entries of other stores, that cannot be parsed.
    pub skipped_lines: usize,
    /// Offenders with counted offences.
    pub tracked_entities: usize,
    /// Bans, including expired ones that are not removed yet.
    pub banned_entities: usize,
    /// The points that lead to a ban.
    pub threshold: u32,
    /// The window in which points are counted.
    pub window: Duration,
}
