//! Signs of life of a running request.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// A request is stuck after this multiple of the estimate.
const PATIENCE: u32 = 3;

/// When a running request last made progress.
#[derive(Debug)]
pub(super) struct Activity {
    state: Mutex<State>,
    /// The minimum time without progress that counts as stuck.
    stuck_after: Duration,
}

#[derive(Debug)]
struct State {
    progress: Instant,
    /// The time within which progress is expected.
    allowed: Duration,
    /// When the client left.
    left: Option<Instant>,
}

impl Activity {
    pub(super) fn new(stuck_after: Duration) -> Self {
        Self {
            state: Mutex::new(State {
                progress: Instant::now(),
                allowed: stuck_after,
                left: None,
            }),
            stuck_after,
        }
    }

    /// Starts a step that takes about this time.
    pub(super) fn expect(&self, estimate: Duration) {
        let mut state = self.lock();
        state.progress = Instant::now();
        state.allowed = estimate.saturating_mul(PATIENCE).max(self.stuck_after);
    }

    /// Notes a sign of life.
    pub(super) fn progressed(&self) {
        self.expect(Duration::ZERO);
    }

    /// Notes that the client has left.
    pub(super) fn drain(&self) {
        self.lock().left.get_or_insert_with(Instant::now);
    }

    /// How long the engine has been working for a client that has left.
    pub(super) fn draining_for(&self, now: Instant) -> Option<Duration> {
        let left = self.lock().left?;
        Some(now.saturating_duration_since(left))
    }

    /// The time without progress, if it is too long.
    pub(super) fn stuck_for(&self, now: Instant) -> Option<Duration> {
        let state = self.lock();
        let quiet = now.saturating_duration_since(state.progress);
        (quiet > state.allowed).then_some(quiet)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while the lock is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn is_stuck_after_three_times_the_estimate_or_the_minimum() {
        let activity = Activity::new(Duration::from_secs(60));
        let stuck = |after: u64| {
            let now = Instant::now() + Duration::from_secs(after);
            activity.stuck_for(now).is_some()
        };
        assert!(!stuck(60) && stuck(61));
        activity.expect(Duration::from_secs(100));
        assert!(!stuck(300) && stuck(301));
        activity.progressed();
        assert!(!stuck(60) && stuck(61));
    }
}
