//! The health of a store.

use std::time::Duration;

/// The health of a store at one point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreHealth {
    /// Whether the store is in use. While `false`, the failure policy decides.
    pub up: bool,
    /// The time since the last change.
    pub since: Duration,
    /// Consecutive failures up to now.
    pub failures_in_a_row: u32,
    /// Failures in total.
    pub failures: u64,
    /// Decisions of the failure policy in total.
    pub fallback_decisions: u64,
}
