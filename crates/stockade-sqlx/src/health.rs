//! The health of the connection to a database.

use std::sync::atomic::{AtomicU64, Ordering};

use stockade_core::clock::{Clock, SystemClock, Timestamp};
use stockade_key_auth::{KeyStoreError, KeyStoreErrorKind};
use stockade_watch::SourceHealth;

/// The health of a store, for metrics and readiness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreHealth {
    /// When the database last answered successfully. A store that follows its database queries
    /// it at least every 20 seconds.
    pub last_success: Timestamp,
    /// The number of failed queries since the store was opened.
    pub failures: u64,
    /// Whether changes by other processes may be missing: the connection is lost, or a row is
    /// invalid.
    pub stale: bool,
}

/// Records the result of each query.
pub(crate) struct Health {
    clock: SystemClock,
    last_success: AtomicU64,
    failures: AtomicU64,
    /// The database as a watched source, which is failing while keys may be stale.
    source: SourceHealth,
}

impl Health {
    /// The health right after a successful load.
    pub(crate) fn new(location: &str) -> Self {
        let clock = SystemClock::new();
        Self {
            last_success: AtomicU64::new(clock.now().as_nanos()),
            clock,
            failures: AtomicU64::new(0),
            source: SourceHealth::new(format!("key database {location}")),
        }
    }

    pub(crate) fn now(&self) -> StoreHealth {
        StoreHealth {
            last_success: Timestamp::from_nanos(self.last_success.load(Ordering::Relaxed)),
            failures: self.failures.load(Ordering::Relaxed),
            stale: self.source.status().is_failing(),
        }
    }

    /// Records the result of a query. Errors of the caller are not failures.
    pub(crate) fn record_query<T>(&self, result: &Result<T, KeyStoreError>) {
        match result.as_ref().map_err(KeyStoreError::kind) {
            Err(KeyStoreErrorKind::Unavailable | KeyStoreErrorKind::Corrupt) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
            }
            _ => {
                let now = self.clock.now().as_nanos();
                self.last_success.store(now, Ordering::Relaxed);
            }
        }
    }

    /// Records the result of a reload.
    pub(crate) fn record_reload(&self, result: &Result<(), KeyStoreError>) {
        match result {
            Ok(()) => self.source.succeeded(),
            Err(error) => self.source.failed(error),
        };
    }

    /// Records that changes are no longer received. Returns whether that is a transition.
    pub(crate) fn record_disconnect(&self, error: &KeyStoreError) -> bool {
        self.source.failed(error)
    }

    /// Records that nothing has changed since the last reload. An invalid row is still invalid
    /// then.
    pub(crate) fn record_unchanged(&self) {
        if !self.source.status().is_failing() {
            self.source.succeeded();
        }
    }

    pub(crate) fn source(&self) -> &SourceHealth {
        &self.source
    }
}
