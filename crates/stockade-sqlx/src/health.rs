//! How a store fares with its database.

use std::sync::atomic::{AtomicU64, Ordering};

use stockade_core::clock::{Clock, SystemClock, Timestamp};
use stockade_key_auth::{KeyStoreError, KeyStoreErrorKind};
use stockade_watch::SourceHealth;

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
    /// The database as a source of keys, which is failing while the keys may be stale.
    source: SourceHealth,
}

impl Health {
    /// That of a database that has just been read.
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

    /// Notes whether all keys could be read.
    pub(crate) fn read(&self, result: &Result<(), KeyStoreError>) {
        match result {
            Ok(()) => self.source.succeeded(),
            Err(error) => self.source.failed(error),
        };
    }

    /// Notes that changes by others are no longer seen. Returns whether that is news.
    pub(crate) fn lost(&self, error: &KeyStoreError) -> bool {
        self.source.failed(error)
    }

    /// Notes that nothing has changed since the keys were read. A row that is not valid is
    /// still there, then.
    pub(crate) fn current(&self) {
        if !self.source.status().is_failing() {
            self.source.succeeded();
        }
    }

    pub(crate) fn source(&self) -> &SourceHealth {
        &self.source
    }
}
