//! Bounds the requests in progress at one upstream, with a fair queue for the others.
//!
//! `tokio::sync::Semaphore` and `tower::limit` serve waiters in the order of their arrival, so
//! that a client with many requests delays all others; hence a queue of our own.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use super::{
    UpstreamErrorKind, UpstreamSettings,
    fair_queue::{FairQueue, Place},
    picker::Room,
};

/// Bounds the requests in progress at one upstream; clones share the bounds.
#[derive(Clone)]
pub(super) struct Gate(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    max_running: usize,
    queue_wait: Duration,
}

struct State {
    running: usize,
    queue: FairQueue<u64, oneshot::Sender<Call>>,
    /// A moving average of the time that requests take.
    typical_time: Duration,
}

/// What a waiting request receives.
enum Call {
    Enter(Permit),
    /// Another key took its place.
    Displaced,
    /// The upstream has failed; another one may be available.
    Leave,
}

/// The result of waiting for a slot.
pub(super) enum Entry {
    Permit(Permit),
    /// The queue was cleared.
    Cleared,
}

impl Gate {
    pub(super) fn new(settings: &UpstreamSettings) -> Self {
        let capacity = usize::try_from(settings.max_queued).unwrap_or(usize::MAX);
        Self(Arc::new(Shared {
            state: Mutex::new(State {
                running: 0,
                queue: FairQueue::new(capacity),
                typical_time: Duration::ZERO,
            }),
            max_running: usize::try_from(settings.max_running.get()).unwrap_or(usize::MAX),
            queue_wait: settings.queue_wait,
        }))
    }

    /// The numbers of requests in progress and waiting.
    pub(super) fn load(&self) -> (usize, usize) {
        let state = self.0.lock();
        (state.running, state.queue.len())
    }

    /// Whether a request of this key could enter.
    pub(super) fn room(&self, key: u64) -> Room {
        let state = self.0.lock();
        if state.running < self.0.max_running {
            Room::Free
        } else if state.queue.is_full_for(key) {
            Room::Full
        } else {
            Room::Queue
        }
    }

    /// Waits for a slot. A request that is dropped while it waits frees its place.
    ///
    /// # Errors
    /// Returns the kind of error if the queue is full, the wait too long, or the deadline over.
    pub(super) async fn enter(
        &self,
        key: u64,
        deadline: Instant,
    ) -> Result<Entry, UpstreamErrorKind> {
        let (place, call) = {
            let mut state = self.0.lock();
            if state.running < self.0.max_running {
                state.running += 1;
                return Ok(Entry::Permit(self.permit()));
            }
            let (sender, call) = oneshot::channel();
            let Ok((place, displaced)) = state.queue.push(key, sender) else {
                let retry_after = self.0.retry_after(&state);
                return Err(UpstreamErrorKind::QueueFull { retry_after });
            };
            if let Some(displaced) = displaced {
                // The receiver may just have been dropped.
                let _ = displaced.send(Call::Displaced);
            }
            (place, call)
        };
        let waiting = Waiting { gate: self, place };
        let until = Instant::now() + self.0.queue_wait;
        let call = timeout_at(until.min(deadline), call).await;
        drop(waiting);
        let retry_after = || self.0.retry_after(&self.0.lock());
        match call {
            Ok(Ok(Call::Enter(permit))) => Ok(Entry::Permit(permit)),
            Ok(Ok(Call::Displaced)) => Err(UpstreamErrorKind::QueueFull {
                retry_after: retry_after(),
            }),
            Ok(Ok(Call::Leave) | Err(_)) => Ok(Entry::Cleared),
            Err(_) if deadline <= until => Err(UpstreamErrorKind::Deadline),
            Err(_) => Err(UpstreamErrorKind::QueueTimeout {
                retry_after: retry_after(),
            }),
        }
    }

    /// Sends all waiting requests away, to other upstreams.
    pub(super) fn clear_queue(&self) {
        let waiting: Vec<_> = self.0.lock().queue.drain().collect();
        for call in waiting {
            // The receiver may just have been dropped.
            let _ = call.send(Call::Leave);
        }
    }

    fn permit(&self) -> Permit {
        Permit {
            gate: Some(self.clone()),
            since: Instant::now(),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When a slot will probably be free: rounds of the queue, from one second to one minute.
    fn retry_after(&self, state: &State) -> Duration {
        let rounds = state.queue.len() / self.max_running + 1;
        let rounds = u32::try_from(rounds).unwrap_or(u32::MAX);
        let wait = state.typical_time.saturating_mul(rounds);
        wait.clamp(Duration::from_secs(1), Duration::from_secs(60))
    }
}

/// Frees the place in the queue when the request stops waiting.
struct Waiting<'a> {
    gate: &'a Gate,
    place: Place<u64>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.gate.0.lock().queue.remove(&self.place);
    }
}

/// A slot of an upstream; freed when it is dropped.
pub(super) struct Permit {
    gate: Option<Gate>,
    since: Instant,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(gate) = self.gate.take() else {
            return;
        };
        let took = self.since.elapsed();
        {
            let mut state = gate.0.lock();
            state.typical_time = match state.typical_time {
                Duration::ZERO => took,
                typical => (typical * 7 + took) / 8,
            };
        }
        // A loop and no recursion: each request that has just left hands its permit back.
        loop {
            let next = {
                let mut state = gate.0.lock();
                let next = state.queue.pop();
                if next.is_none() {
                    state.running -= 1;
                }
                next
            };
            let Some(next) = next else { return };
            match next.send(Call::Enter(gate.permit())) {
                Ok(()) => return,
                Err(Call::Enter(mut permit)) => permit.gate = None,
                Err(_) => {}
            }
        }
    }
}
