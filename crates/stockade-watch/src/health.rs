//! The health of one watched source.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Collects the successes and failures of one watched source. Clones share the state.
///
/// The watcher of the source writes it; metrics and readiness read it.
///
/// ```
/// use stockade_watch::SourceHealth;
///
/// let health = SourceHealth::new("keys.yaml");
/// health.succeeded();
/// health.failed("line 3: missing field `hash`");
/// let status = health.status();
/// assert!(status.is_failing());
/// assert_eq!(status.failures, 1);
/// ```
#[derive(Clone)]
pub struct SourceHealth(Arc<Inner>);

struct Inner {
    name: Arc<str>,
    state: Mutex<State>,
}

struct State {
    /// The time at which the active value was last known to be current.
    current_at: Instant,
    consecutive_failures: u64,
    failures: u64,
    last_error: Option<Arc<str>>,
}

impl SourceHealth {
    /// Creates the health of a source that has just been read.
    ///
    /// The name appears in logs, in readiness and as a metric label: use the setting and the
    /// file (`auth.keys_file keys.yaml`), never a secret.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(Arc::new(Inner {
            name: name.into(),
            state: Mutex::new(State {
                current_at: Instant::now(),
                consecutive_failures: 0,
                failures: 0,
                last_error: None,
            }),
        }))
    }

    /// The name of the source.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Records that the active value is current. Returns whether the source was failing.
    pub fn succeeded(&self) -> bool {
        let mut state = self.state();
        state.current_at = Instant::now();
        let was_failing = state.consecutive_failures > 0;
        state.consecutive_failures = 0;
        was_failing
    }

    /// Records that the source could not be read. Returns whether this error differs from the
    /// previous one, so that the caller logs each error once instead of each attempt.
    pub fn failed(&self, error: impl fmt::Display) -> bool {
        let error = error.to_string();
        let mut state = self.state();
        let is_new =
            state.consecutive_failures == 0 || state.last_error.as_deref() != Some(&*error);
        state.consecutive_failures += 1;
        state.failures += 1;
        state.last_error = Some(error.into());
        is_new
    }

    /// Returns a snapshot.
    pub fn status(&self) -> SourceStatus {
        let state = self.state();
        SourceStatus {
            name: Arc::clone(&self.0.name),
            age: state.current_at.elapsed(),
            consecutive_failures: state.consecutive_failures,
            failures: state.failures,
            last_error: state.last_error.clone(),
        }
    }

    // No code panics while it holds the lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for SourceHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.status().fmt(f)
    }
}

/// A snapshot of a [`SourceHealth`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceStatus {
    /// The name of the source.
    pub name: Arc<str>,
    /// The time since the active value was last known to be current.
    pub age: Duration,
    /// Failures since the last success; 0 if the source is healthy.
    pub consecutive_failures: u64,
    /// Failures since startup.
    pub failures: u64,
    /// The last error, kept after a success.
    pub last_error: Option<Arc<str>>,
}

impl SourceStatus {
    /// Whether the last attempt to read the source failed.
    pub fn is_failing(&self) -> bool {
        self.consecutive_failures > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_failures_and_reports_each_error_once() {
        let health = SourceHealth::new("keys.yaml");
        assert!(health.failed("missing"));
        assert!(!health.failed("missing"));
        assert!(health.failed("invalid"));
        let status = health.status();
        assert_eq!((status.consecutive_failures, status.failures), (3, 3));
        assert_eq!(status.last_error.as_deref(), Some("invalid"));
        assert!(health.succeeded());
        assert!(!health.succeeded());
        let status = health.status();
        assert_eq!((status.consecutive_failures, status.failures), (0, 3));
        assert!(health.failed("invalid"), "reported again after a success");
    }
}
