//! How long chats take, to say how long the queue will.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// The bounds of an estimate.
const MIN_WAIT: Duration = Duration::from_secs(1);
const MAX_WAIT: Duration = Duration::from_secs(600);

/// How much the newest chat changes the mean.
const WEIGHT: f64 = 0.25;

/// Measures how long chats hold their places.
#[derive(Debug, Default)]
pub(super) struct WaitEstimator(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// A mean over the chats that have ended, of seconds times places; the newest count
    /// most. `None` before the first one.
    mean: Option<f64>,
    /// By number, so the oldest one first.
    running: BTreeMap<u64, Running>,
    next_id: u64,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    slots: u32,
    since: Instant,
}

impl Running {
    /// Seconds times places so far.
    fn cost(&self, now: Instant) -> f64 {
        let held = now.saturating_duration_since(self.since).as_secs_f64();
        held * f64::from(self.slots)
    }
}

impl WaitEstimator {
    /// A chat takes this many places; returns its number.
    pub(super) fn begin(&self, slots: u32, now: Instant) -> u64 {
        let mut state = self.lock();
        let id = state.next_id;
        state.next_id += 1;
        let since = now;
        state.running.insert(id, Running { slots, since });
        id
    }

    /// The chat of this number gives its places back.
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

    /// How many chats run.
    pub(super) fn running(&self) -> usize {
        self.lock().running.len()
    }

    /// An estimate of when this many chats more will have begun, on this many places; from
    /// 1 s to 10 min.
    ///
    /// Until a chat has ended, one takes as long as the oldest one has run by now; and never
    /// less, so that a model that suddenly takes long is noticed.
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
        // Nothing panics while the lock is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // FC09
    #[test]
    fn the_wait_grows_with_the_queue_and_shrinks_with_the_places() {
        let estimator = WaitEstimator::default();
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let wait = |chats, slots, at| estimator.estimate(chats, slots, after(at)).as_secs();
        assert_eq!(wait(1, 1, 0), 1, "nothing is known");
        let first = estimator.begin(1, start);
        estimator.end(first, after(6));
        assert_eq!(wait(1, 1, 6), 6);
        assert_eq!(wait(33, 1, 6), 198);
        assert_eq!(wait(33, 8, 6), 25);
        assert_eq!(wait(1_000, 1, 6), 600);
        // One that takes all of four places counts for four.
        let alone = estimator.begin(4, after(6));
        estimator.end(alone, after(12));
        assert_eq!(wait(1, 4, 12), 3);
        // One that never ends is noticed.
        let _stuck = estimator.begin(1, after(12));
        assert_eq!(wait(1, 1, 112), 100);
    }
}
