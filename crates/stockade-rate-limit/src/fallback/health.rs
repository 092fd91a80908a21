//! How a store does.

use std::time::Duration;

/// How a store does, at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreHealth {
    /// Whether the store is asked. While it is `false`, the failure policy decides.
    pub up: bool,
    /// How long that has been so.
    pub since: Duration,
    /// Failures in a row, up to now.
    pub failures_in_a_row: u32,
    /// Failures in all.
    pub failures: u64,
    /// Decisions that the failure policy took, in all.
    pub fallback_decisions: u64,
}
