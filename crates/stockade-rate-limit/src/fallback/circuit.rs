//! The circuit breaker of a store.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence},
    time::Duration,
};

use tokio::time::Instant;

use super::StoreHealth;

/// Counts failures and opens after too many consecutive ones.
pub(super) struct Circuit {
    start: Instant,
    /// While open, the time of the next probe, in nanoseconds since `start`; 0 while closed.
    next_probe: AtomicU64,
    /// The time of the last change, in nanoseconds since `start`.
    changed: AtomicU64,
    in_a_row: AtomicU32,
    failures: AtomicU64,
    fallback_decisions: AtomicU64,
    /// Whether a task probes the store.
    is_probed: AtomicBool,
}

impl Circuit {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            next_probe: AtomicU64::new(0),
            changed: AtomicU64::new(0),
            in_a_row: AtomicU32::new(0),
            failures: AtomicU64::new(0),
            fallback_decisions: AtomicU64::new(0),
            is_probed: AtomicBool::new(false),
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.next_probe.load(Ordering::Relaxed) == 0
    }

    /// Whether the store may be called. While open, one request may, and the next one only
    /// after `pause`, so that a dropped probe blocks nothing.
    pub(super) fn allow_request(&self, pause: Duration) -> bool {
        let due = self.next_probe.load(Ordering::Relaxed);
        if due == 0 {
            return true;
        }
        let now = self.now();
        now >= due
            && self
                .next_probe
                .compare_exchange(
                    due,
                    now + nanos(pause),
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                )
                .is_ok()
    }

    /// Records a decision; `true` if it closed the circuit.
    pub(super) fn succeeded(&self) -> bool {
        if self.in_a_row.load(Ordering::Relaxed) != 0 {
            self.in_a_row.store(0, Ordering::Relaxed);
        }
        let back = !self.is_up() && self.next_probe.swap(0, Ordering::Relaxed) != 0;
        if back {
            self.changed.store(self.now(), Ordering::Relaxed);
        }
        back
    }

    /// Records a failure; `true` if it opened the circuit.
    pub(super) fn failed(&self, most: u32, cool_down: Duration) -> bool {
        self.failures.fetch_add(1, Ordering::Relaxed);
        let in_a_row = self
            .in_a_row
            .fetch_add(1, Ordering::Relaxed)
            .saturating_add(1);
        if in_a_row < most {
            return false;
        }
        let now = self.now();
        let down = self
            .next_probe
            .swap(now + nanos(cool_down), Ordering::Relaxed)
            == 0;
        if down {
            self.changed.store(now, Ordering::Relaxed);
        }
        down
    }

    /// Marks the start of the task that probes the store; `false` if there is one.
    pub(super) fn start_probing(&self) -> bool {
        // With the fence below: of a task that ends and a circuit that opens, one sees the other.
        fence(Ordering::SeqCst);
        !self.is_probed.swap(true, Ordering::Relaxed)
    }

    /// Marks the end of the task; `false` if the circuit has opened again and the task goes on.
    pub(super) fn stop_probing(&self) -> bool {
        self.is_probed.store(false, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        self.is_up() || !self.start_probing()
    }

    pub(super) fn fallback_decisions(&self) {
        self.fallback_decisions.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn health(&self) -> StoreHealth {
        let changed = self.changed.load(Ordering::Relaxed);
        StoreHealth {
            up: self.is_up(),
            since: Duration::from_nanos(self.now().saturating_sub(changed)),
            failures_in_a_row: self.in_a_row.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            fallback_decisions: self.fallback_decisions.load(Ordering::Relaxed),
        }
    }

    /// At least 1, since 0 means closed.
    fn now(&self) -> u64 {
        nanos(self.start.elapsed()) + 1
    }
}

/// Bounded so that the sum of three does not overflow.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).map_or(u64::MAX / 4, |nanos| nanos.min(u64::MAX / 4))
}
