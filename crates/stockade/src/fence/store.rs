//! The stores of rate limits and concurrency permits: in this process, or shared by replicas.

#[cfg(not(feature = "redis"))]
mod local;
#[cfg(feature = "redis")]
mod shared;

#[cfg(not(feature = "redis"))]
pub(super) use local::{LimitsStore, PermitsStore};
#[cfg(feature = "redis")]
pub(super) use shared::{LimitsStore, PermitsStore};

#[cfg(not(feature = "redis"))]
pub(super) use local::{Stores, settings};
#[cfg(feature = "redis")]
pub(super) use shared::{Stores, settings};

/// The health of a shared store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreHealth {
    /// Whether the store is available. While it is not, the failure policy decides.
    pub up: bool,
    /// Whether requests are refused: the store is unavailable and the failure policy is `deny`.
    pub refuses: bool,
    /// The number of failed calls.
    pub failures: u64,
    /// The number of decisions by the failure policy.
    pub fallback_decisions: u64,
    /// The sum of deferred debits, such as of tokens, that did not reach the store; the
    /// remaining quotas in it are too large by this sum.
    pub lost_debits: u64,
    /// The number of permits that could not be released and are held until they expire.
    pub lost_permits: u64,
}
