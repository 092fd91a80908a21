//! How a store fares with its database.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use stockade_core::{Clock, SystemClock, Timestamp};
use stockade_key_auth::{KeyStoreError, KeyStoreErrorKind};

/// How a store fares with its database; for metrics and readiness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreHealth {
    /// When the database last did what it was asked to. A store that is watched asks at
    /// least every 20 seconds.
    pub last_success: Timestamp,
    /// How many times it did not, since the store was opened.
    pub failures: u64,
    /// Whether the keys in force may lack changes that others have made: the connection is
    /// lost, or a row is not valid.
    pub stale: bool,
}

/// Notes what becomes of each request to the database.
pub(crate) struct Health {
    clock: SystemClock,
    last_success: AtomicU64,
    failures: AtomicU64,
    stale: AtomicBool,
}

impl Health {
    /// That of a database that has just been read.
    pub(crate) fn new() -> Self {
        let clock = SystemClock::new();
        Self {
            last_success: AtomicU64::new(clock.now().as_nanos()),
            clock,
            failures: AtomicU64::new(0),
            stale: AtomicBool::new(false),
        }
    }

    pub(crate) fn now(&self) -> StoreHealth {
        StoreHealth {
            last_success: Timestamp::from_nanos(self.last_success.load(Ordering::Relaxed)),
            failures: self.failures.load(Ordering::Relaxed),
            stale: self.stale.load(Ordering::Relaxed),
        }
    }

    /// An error that is the caller's, or says what a key is, is no failure.
    pub(crate) fn note<T>(&self, result: &Result<T, KeyStoreError>) {
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

    /// Says whether changes by others are missing.
    pub(crate) fn stale(&self, stale: bool) {
        self.stale.store(stale, Ordering::Relaxed);
    }
}
