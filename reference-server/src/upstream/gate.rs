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
    time::{Instant, sleep_until, timeout_at},
};

use super::{UpstreamErrorKind, UpstreamSettings, picker::Room};
use crate::fair_queue::{FairQueue, Place, Share};

/// The cost of a request: clients share an upstream by the number of their requests.
const REQUEST: Duration = Duration::from_secs(1);

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
    /// Until then, nothing is sent.
    paused_until: Option<Instant>,
    /// A moving average of the time that requests take.
    typical_time: Duration,
}

/// What a request would meet.
pub(super) struct Outlook {
    /// Requests in progress and waiting.
    pub(super) load: usize,
    pub(super) room: Room,
    pub(super) paused_for: Duration,
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
                paused_until: None,
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

    /// What a request of this key would meet.
    pub(super) fn outlook(&self, key: u64, now: Instant) -> Outlook {
        let state = self.0.lock();
        let room = if self.0.has_slot(&state) {
            Room::Free
        } else if state.queue.is_full_for(key) {
            Room::Full
        } else {
            Room::Queue
        };
        Outlook {
            load: state.running + state.queue.len(),
            room,
            paused_for: state.paused_for(now),
        }
    }

    /// Waits for a slot. A request that is dropped while it waits frees its place.
    ///
    /// # Errors
    /// Returns the kind of error if the queue is full, the wait too long, or the deadline over.
    pub(super) async fn enter(
        &self,
        share: Share<u64>,
        deadline: Instant,
    ) -> Result<Entry, UpstreamErrorKind> {
        let (place, mut call) = {
            let mut state = self.0.lock();
            if self.0.has_slot(&state) {
                state.running += 1;
                state.queue.charge(share, REQUEST);
                return Ok(Entry::Permit(self.permit()));
            }
            let (sender, call) = oneshot::channel();
            let Ok((place, displaced)) = state.queue.push(share, REQUEST, sender) else {
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
        let called = async {
            loop {
                tokio::select! {
                    biased;
                    call = &mut call => return call,
                    // The first that wakes up serves all.
                    () = self.pause_ends() => self.serve(self.0.lock()),
                }
            }
        };
        let call = timeout_at(until.min(deadline), called).await;
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

    /// Sends nothing until then. Waiting requests leave; they come back if no other upstream has
    /// room, and the pause is short.
    pub(super) fn pause(&self, until: Instant) {
        let mut state = self.0.lock();
        state.paused_until = state.paused_until.max(Some(until));
        drop(state);
        self.clear_queue();
    }

    /// How long the pause lasts.
    pub(super) fn paused_for(&self, now: Instant) -> Duration {
        self.0.lock().paused_for(now)
    }

    /// Whether requests may wait for the end of a pause.
    pub(super) fn is_short(&self, pause: Duration) -> bool {
        pause <= self.0.queue_wait
    }

    /// Pending if there is no pause.
    async fn pause_ends(&self) {
        let until = self.0.lock().paused_until;
        match until.filter(|until| *until > Instant::now()) {
            Some(until) => sleep_until(until).await,
            None => std::future::pending().await,
        }
    }

    /// Gives the free slots to waiting requests, before a new one can take them.
    fn serve<'a>(&'a self, mut state: MutexGuard<'a, State>) {
        while self.0.has_slot(&state)
            && let Some(next) = state.queue.pop()
        {
            state.running += 1;
            drop(state);
            let sent = next.send(Call::Enter(self.permit()));
            state = self.0.lock();
            if let Err(Call::Enter(mut permit)) = sent {
                // The request has just left. Its permit must not serve the queue, too.
                permit.gate = None;
                state.running -= 1;
            }
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

    fn has_slot(&self, state: &State) -> bool {
        state.running < self.max_running && !state.is_paused()
    }

    /// When a slot will probably be free: rounds of the queue, from one second to one minute.
    fn retry_after(&self, state: &State) -> Duration {
        let rounds = state.queue.len() / self.max_running + 1;
        let rounds = u32::try_from(rounds).unwrap_or(u32::MAX);
        let wait = state.typical_time.saturating_mul(rounds);
        let paused_for = state.paused_for(Instant::now());
        let wait = wait.clamp(Duration::from_secs(1), Duration::from_secs(60));
        wait.max(paused_for)
    }
}

impl State {
    fn is_paused(&self) -> bool {
        self.paused_until
            .is_some_and(|until| until > Instant::now())
    }

    fn paused_for(&self, now: Instant) -> Duration {
        let until = self.paused_until.unwrap_or(now);
        until.saturating_duration_since(now)
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
        let mut state = gate.0.lock();
        state.typical_time = match state.typical_time {
            Duration::ZERO => took,
            typical => (typical * 7 + took) / 8,
        };
        state.running -= 1;
        if state.running == 0 {
            state.queue.forget_work();
        }
        gate.serve(state);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        num::NonZeroU32,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use futures_util::FutureExt;
    use rand::{Rng, SeedableRng, rngs::StdRng};
    use stockade_testkit::poll::until_async;

    use super::*;

    fn gate(max_running: u32, max_queued: u32) -> Gate {
        let mut settings = UpstreamSettings::new("http://a".parse().unwrap());
        settings.max_running = NonZeroU32::new(max_running).unwrap();
        settings.max_queued = max_queued;
        Gate::new(&settings)
    }

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    /// A request that holds a permit of three.
    struct Counted(Arc<AtomicUsize>);

    impl Counted {
        fn new(running: Arc<AtomicUsize>) -> Self {
            assert!(running.fetch_add(1, Ordering::SeqCst) < 3);
            Self(running)
        }
    }

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn keeps_its_bounds_when_requests_leave_at_any_time() {
        let gate = gate(3, 20);
        let running = Arc::new(AtomicUsize::new(0));
        let mut random = StdRng::seed_from_u64(1);
        let mut tasks = Vec::new();
        for _ in 0..2_000 {
            let (entered, running) = (gate.clone(), Arc::clone(&running));
            let key = random.random_range(0..5);
            tasks.push(tokio::spawn(async move {
                if let Ok(Entry::Permit(permit)) = entered.enter(Share::new(key), later()).await {
                    // Dropped before the permit, also when the task is aborted.
                    let counted = Counted::new(running);
                    tokio::task::yield_now().await;
                    drop(counted);
                    drop(permit);
                }
            }));
            if random.random_ratio(1, 3) {
                let leaving = random.random_range(0..tasks.len());
                tasks.swap_remove(leaving).abort();
                tokio::task::yield_now().await;
            }
            assert!(gate.load().1 <= 20);
        }
        for task in tasks {
            task.await.unwrap();
        }
        // The tasks that were aborted may still be dropped.
        until_async("an idle gate", async || gate.load() == (0, 0)).await;
        assert_eq!(running.load(Ordering::SeqCst), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn estimates_when_a_slot_will_be_free() {
        let gate = gate(1, 1);
        let Ok(Entry::Permit(permit)) = gate.enter(Share::new(1), later()).await else {
            panic!("a free slot");
        };
        tokio::time::advance(Duration::from_secs(8)).await;
        drop(permit);
        let _running = gate.enter(Share::new(1), later()).await;
        let waiting = tokio::spawn({
            let gate = gate.clone();
            async move { gate.enter(Share::new(1), later()).await.map(|_| ()) }
        });
        until_async("the waiting request", async || gate.load() == (1, 1)).await;
        let refused = gate
            .enter(Share::new(1), later())
            .await
            .map(|_| ())
            .unwrap_err();
        let retry_after = Duration::from_secs(16);
        assert_eq!(refused, UpstreamErrorKind::QueueFull { retry_after });
        waiting.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn serves_waiting_requests_after_a_pause() {
        let gate = gate(2, 9);
        let start = Instant::now();
        gate.pause(start + Duration::from_secs(5));
        assert_eq!(gate.outlook(1, start).room, Room::Queue);
        let waiting: Vec<_> = (0..3)
            .map(|key| {
                let gate = gate.clone();
                tokio::spawn(async move { gate.enter(Share::new(key), later()).await })
            })
            .collect();
        until_async("waiting requests", async || gate.load() == (0, 3)).await;
        until_async("two of them", async || gate.load() == (2, 1)).await;
        assert!(start.elapsed() >= Duration::from_secs(5));
        for request in waiting {
            // Frees the slot for the next one.
            assert!(matches!(request.await, Ok(Ok(Entry::Permit(_)))));
        }
        assert_eq!(gate.load(), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn counts_requests_that_did_not_wait() {
        let gate = gate(1, 9);
        let busy = gate.enter(Share::new(1), later()).await;
        let wait = |key| {
            let gate = gate.clone();
            tokio::spawn(async move { gate.enter(Share::new(key), later()).await })
        };
        let same_client = wait(1);
        until_async("the client that runs", async || gate.load() == (1, 1)).await;
        let other_client = wait(2);
        until_async("another client", async || gate.load() == (1, 2)).await;
        drop(busy);
        let next = other_client.await;
        assert!(!same_client.is_finished());
        drop(next);
        assert!(matches!(same_client.await, Ok(Ok(Entry::Permit(_)))));
    }

    #[tokio::test]
    async fn sends_waiting_requests_away() {
        let gate = gate(1, 5);
        let _running = gate.enter(Share::new(1), later()).await;
        let mut waiting = std::pin::pin!(gate.enter(Share::new(1), later()));
        assert!(waiting.as_mut().now_or_never().is_none());
        gate.clear_queue();
        assert!(matches!(waiting.await, Ok(Entry::Cleared)));
        assert_eq!(gate.load(), (1, 0));
    }
}
