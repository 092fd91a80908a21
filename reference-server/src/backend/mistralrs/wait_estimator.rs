//! Estimates the waiting time from the duration of chats.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// The bounds of the estimate.
const MIN_WAIT: Duration = Duration::from_secs(1);
const MAX_WAIT: Duration = Duration::from_secs(600);

/// The weight of the newest chat in the moving average.
const WEIGHT: f64 = 0.25;

/// Measures how long chats hold their slots.
#[derive(Debug, Default)]
pub(super) struct WaitEstimator(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The exponential moving average of slot-seconds per completed chat; `None` before the first
    /// one.
    mean: Option<f64>,
    /// Running chats by id, so that the oldest is first.
    running: BTreeMap<u64, Running>,
    next_id: u64,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    slots: u32,
    since: Instant,
}

impl Running {
    /// The slot-seconds so far.
    fn cost(&self, now: Instant) -> f64 {
        let held = now.saturating_duration_since(self.since).as_secs_f64();
        held * f64::from(self.slots)
    }
}

impl WaitEstimator {
    /// Registers a chat that holds `slots`, and returns its id.
    pub(super) fn begin(&self, slots: u32, now: Instant) -> u64 {
        let mut state = self.lock();
        let id = state.next_id;
        state.next_id += 1;
        let since = now;
        state.running.insert(id, Running { slots, since });
        id
    }

    /// Records that the chat has released its slots.
    pub(super) fn end(&self, id: u64, now: Instant) {
        let mut state = self.lock();
        if let Some(ended) = state.running.remove(&id) {
            let cost = ended.cost(now);
            state.mean = Some(match state.mean {
                Some(mean) => mean + WEIGHT * (cost - mean),
                None => cost,
            });
        }
    }

    /// The number of running chats.
    pub(super) fn running(&self) -> usize {
        self.lock().running.len()
    }

    /// Estimates when `chats` more chats will have started on `slots` slots, from 1 s to 10 min.
    ///
    /// A chat counts as at least the slot-seconds of the longest running one, so that the estimate
    /// follows a model that slows down, and works before the first chat has completed.
    pub(super) fn estimate(&self, chats: usize, slots: usize, now: Instant) -> Duration {
        let state = self.lock();
        let costs = state.running.values().map(|running| running.cost(now));
        let oldest = costs.fold(0.0, f64::max);
        let each = state.mean.unwrap_or_default().max(oldest);
        let seconds = each * chats as f64 / slots.max(1) as f64;
        Duration::try_from_secs_f64(seconds.ceil())
            .unwrap_or(MAX_WAIT)
            .clamp(MIN_WAIT, MAX_WAIT)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while the lock is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // FC09
    #[test]
    fn the_wait_grows_with_the_queue_and_shrinks_with_the_slots() {
        let estimator = WaitEstimator::default();
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let wait = |chats, slots, at| estimator.estimate(chats, slots, after(at)).as_secs();
        assert_eq!(wait(1, 1, 0), 1, "no measurement yet");
        let first = estimator.begin(1, start);
        estimator.end(first, after(6));
        assert_eq!(wait(1, 1, 6), 6);
        assert_eq!(wait(33, 1, 6), 198);
        assert_eq!(wait(33, 8, 6), 25);
        assert_eq!(wait(1_000, 1, 6), 600);
        // A chat that holds four slots counts four times.
        let alone = estimator.begin(4, after(6));
        estimator.end(alone, after(12));
        assert_eq!(wait(1, 4, 12), 3);
        // A chat that does not complete is noticed.
        let _stuck = estimator.begin(1, after(12));
        assert_eq!(wait(1, 1, 112), 100);
    }
}
