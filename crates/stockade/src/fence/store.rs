//! Where limits are counted, and requests at once: in this process, or where replicas share
//! them.

#[cfg(not(feature = "redis"))]
mod local;
#[cfg(feature = "redis")]
mod shared;

#[cfg(not(feature = "redis"))]
pub use local::{LimitsStore, PermitsStore};
#[cfg(feature = "redis")]
pub use shared::{LimitsStore, PermitsStore};

#[cfg(not(feature = "redis"))]
pub(super) use local::{Stores, settings};
#[cfg(feature = "redis")]
pub(super) use shared::{Stores, settings};

/// How a store that replicas share does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreHealth {
    /// Whether it is asked. While it is `false`, the failure policy decides.
    pub up: bool,
    /// Whether requests are refused, because it is not there and that was chosen.
    pub refuses: bool,
    /// Its failures so far.
    pub failures: u64,
    /// Decisions so far that the failure policy took.
    pub decided_without: u64,
    /// Debits after the fact, such as of tokens, that never reached it so far. Its buckets
    /// are fuller than they should be by so much.
    pub lost_debits: u64,
    /// Permits so far that could not be given back, and are held until they expire.
    pub lost_permits: u64,
}
