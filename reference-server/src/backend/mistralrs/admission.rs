//! Admission control: a bounded number of running requests, and a bounded queue that shares the
//! engine's time between principals.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};

use super::{
    BackendError, Load,
    activity::Activity,
    cost::{CostModel, Estimate, Work},
    metrics::{EngineMetrics, QueueOutcome},
};
use crate::fair_queue::{FairQueue, Place, Share};

/// The bounds of `Retry-After`.
const MIN_RETRY: Duration = Duration::from_secs(1);
const MAX_RETRY: Duration = Duration::from_secs(600);

/// The limits of a queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct QueueLimits {
    /// The number of slots.
    pub(super) running: usize,
    /// The number of waiting requests.
    pub(super) queued: usize,
    pub(super) wait: Duration,
    /// The maximum estimate of one request.
    pub(super) cost: Option<Duration>,
    /// The maximum estimate of all running and waiting requests of a client.
    pub(super) client_cost: Option<Duration>,
    /// How long a running request may show no progress, at least.
    pub(super) stuck_after: Duration,
}

/// A bounded number of slots and a fair queue for them.
#[derive(Debug)]
pub(super) struct Admission {
    state: Mutex<State>,
    costs: Mutex<CostModel>,
    capacity: usize,
    limits: QueueLimits,
    pub(super) metrics: EngineMetrics,
}

#[derive(Debug)]
struct State {
    free: usize,
    queue: FairQueue<u64, Waiter>,
    /// By id, so that the oldest is first.
    running: BTreeMap<u64, Running>,
    next_id: u64,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demand {
    pub(super) share: Share<u64>,
    pub(super) slots: usize,
    pub(super) estimate: Estimate,
}

#[derive(Debug)]
struct Waiter {
    demand: Demand,
    sender: oneshot::Sender<Call>,
}

#[derive(Debug)]
struct Running {
    demand: Demand,
    since: Instant,
    activity: Arc<Activity>,
}

/// What a waiting request receives.
#[derive(Debug)]
enum Call {
    Enter(Slot),
    /// Another principal took its place.
    Displaced,
}

/// The permission to use the engine, until dropped.
#[derive(Debug)]
pub(super) struct Slot {
    /// `None` once the slot has been given back.
    admission: Option<Arc<Admission>>,
    id: u64,
    activity: Arc<Activity>,
}

impl Admission {
    pub(super) fn new(limits: QueueLimits, metrics: EngineMetrics) -> Self {
        let capacity = limits.running.max(1);
        Self {
            state: Mutex::new(State {
                free: capacity,
                queue: FairQueue::new(limits.queued),
                running: BTreeMap::new(),
                next_id: 0,
            }),
            costs: Mutex::default(),
            capacity,
            limits,
            metrics,
        }
    }

    /// The number of slots.
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// The number of running and waiting requests.
    pub(super) fn load(&self) -> Load {
        let state = self.lock();
        let now = Instant::now();
        let running = state.running.values();
        Load {
            running: state.running.len(),
            waiting: state.queue.len(),
            draining: running
                .filter_map(|running| running.activity.draining_for(now))
                .max(),
            restarts: self.metrics.restarts(),
        }
    }

    /// The number of free slots.
    #[cfg(test)]
    pub(super) fn free(&self) -> usize {
        self.lock().free
    }

    /// Estimates the time of the engine for this work.
    pub(super) fn estimate(&self, work: &Work) -> Estimate {
        self.costs().estimate(work)
    }

    /// The speed of the engine.
    pub(super) fn costs(&self) -> MutexGuard<'_, CostModel> {
        // No code panics while the lock is held.
        self.costs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Acquires slots, and waits in the queue until they are free.
    ///
    /// # Errors
    /// Returns [`BackendError::TooCostly`] if the estimate is over the limit of a request,
    /// [`BackendError::QueueFull`] if the queue or the share of the principal is full, or
    /// [`BackendError::QueueTimeout`] after the maximum wait.
    pub(super) async fn enter(self: &Arc<Self>, demand: Demand) -> Result<Slot, BackendError> {
        let estimate = demand.estimate.total();
        if let Some(limit) = self.limits.cost
            && estimate > limit
        {
            self.metrics.queued(QueueOutcome::TooCostly, Duration::ZERO);
            return Err(BackendError::TooCostly { estimate, limit });
        }
        let slots = demand.slots.clamp(1, self.capacity);
        let demand = Demand { slots, ..demand };
        let arrival = Instant::now();
        let result = match self.enter_or_queue(demand) {
            Ok(Admitted::Now(slot)) => Ok(slot),
            Ok(Admitted::Later(place, call)) => self.wait(place, call).await,
            Err(error) => Err(error),
        };
        let outcome = match &result {
            Ok(_) => QueueOutcome::Admitted,
            Err(BackendError::QueueTimeout { .. }) => QueueOutcome::Timeout,
            Err(_) => QueueOutcome::Full,
        };
        self.metrics.queued(outcome, arrival.elapsed());
        result
    }

    fn enter_or_queue(self: &Arc<Self>, demand: Demand) -> Result<Admitted, BackendError> {
        let mut state = self.lock();
        if let Some(limit) = self.limits.client_cost
            && let own = state.work_of(demand.share.key)
            // One request is always allowed; it has a limit of its own.
            && !own.is_zero()
            && own + demand.estimate.total() > limit
        {
            let retry_after = retry_after(own);
            return Err(BackendError::QueueFull { retry_after });
        }
        let cost = self.charged(demand.slots, demand.estimate.total());
        if state.queue.len() == 0 && state.free >= demand.slots {
            state.queue.charge(demand.share, cost);
            return Ok(Admitted::Now(self.start(&mut state, demand)));
        }
        let (sender, call) = oneshot::channel();
        let waiter = Waiter { demand, sender };
        let Ok((place, displaced)) = state.queue.push(demand.share, cost, waiter) else {
            return Err(self.full(&state));
        };
        if let Some(displaced) = displaced {
            // The receiver may just have been dropped.
            let _ = displaced.sender.send(Call::Displaced);
        }
        // It may be before those for which there are too few free slots.
        self.serve(&mut state);
        Ok(Admitted::Later(place, call))
    }

    async fn wait(
        self: &Arc<Self>,
        place: Place<u64>,
        call: oneshot::Receiver<Call>,
    ) -> Result<Slot, BackendError> {
        let mut waiting = Waiting {
            admission: self,
            place,
            since: Instant::now(),
            has_left: true,
        };
        let called = timeout(self.limits.wait, call).await;
        waiting.has_left = false;
        drop(waiting);
        match called {
            Ok(Ok(Call::Enter(slot))) => Ok(slot),
            Ok(Ok(Call::Displaced) | Err(_)) => Err(self.full(&self.lock())),
            Err(_) => Err(BackendError::QueueTimeout {
                retry_after: self.retry_after(&self.lock()),
            }),
        }
    }

    /// Gives free slots to waiting requests.
    fn serve(self: &Arc<Self>, state: &mut State) {
        while let Some(next) = state.queue.peek()
            && next.demand.slots <= state.free
            && let Some(next) = state.queue.pop()
        {
            let slot = self.start(state, next.demand);
            if let Err(Call::Enter(slot)) = next.sender.send(Call::Enter(slot)) {
                // The request has just left.
                self.end(state, slot.into_id());
            }
        }
        if state.running.is_empty() {
            state.queue.forget_work();
        }
    }

    fn start(self: &Arc<Self>, state: &mut State, demand: Demand) -> Slot {
        let id = state.next_id;
        state.next_id += 1;
        state.free -= demand.slots;
        let activity = Arc::new(Activity::new(self.limits.stuck_after));
        let running = Running {
            demand,
            since: Instant::now(),
            activity: activity.clone(),
        };
        state.running.insert(id, running);
        Slot {
            admission: Some(self.clone()),
            id,
            activity,
        }
    }

    fn end(&self, state: &mut State, id: u64) {
        let Some(ended) = state.running.remove(&id) else {
            return;
        };
        let Demand {
            share,
            slots,
            estimate,
        } = ended.demand;
        state.free += slots;
        let took = self.charged(slots, ended.since.elapsed());
        let cost = self.charged(slots, estimate.total());
        state.queue.correct(share, cost, took);
        self.metrics.used(took);
    }

    /// The part of the engine's time: requests that share the engine share its time.
    fn charged(&self, slots: usize, time: Duration) -> Duration {
        let part = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        time.saturating_mul(part(slots)) / part(self.capacity)
    }

    fn full(&self, state: &State) -> BackendError {
        BackendError::QueueFull {
            retry_after: self.retry_after(state),
        }
    }

    /// When the running and waiting requests will probably have ended.
    fn retry_after(&self, state: &State) -> Duration {
        let now = Instant::now();
        let running = state.running.values();
        let running =
            running.map(|running| self.charged(running.demand.slots, running.remaining(now)));
        let waiting = state.queue.iter().map(|waiter| {
            let Demand {
                slots, estimate, ..
            } = waiter.demand;
            self.charged(slots, estimate.total())
        });
        retry_after(running.chain(waiting).sum())
    }

    /// The longest time without progress of a running request that is stuck.
    pub(super) fn stuck_for(&self) -> Option<Duration> {
        let now = Instant::now();
        let state = self.lock();
        let running = state.running.values();
        running
            .filter_map(|running| running.activity.stuck_for(now))
            .max()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while the lock is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a request gets at once.
enum Admitted {
    Now(Slot),
    Later(Place<u64>, oneshot::Receiver<Call>),
}

impl State {
    /// The estimates of the requests of a principal.
    fn work_of(&self, key: u64) -> Duration {
        let waiting = self.queue.iter().map(|waiter| waiter.demand);
        let running = self.running.values().map(|running| running.demand);
        waiting
            .chain(running)
            .filter(|demand| demand.share.key == key)
            .map(|demand| demand.estimate.total())
            .sum()
    }
}

impl Running {
    /// The expected remaining time: a request that takes longer than estimated will probably take
    /// as long again.
    fn remaining(&self, now: Instant) -> Duration {
        let took = now.saturating_duration_since(self.since);
        match self.demand.estimate.total().checked_sub(took) {
            Some(left) => left,
            None => took,
        }
    }
}

/// Rounds up to seconds.
fn retry_after(wait: Duration) -> Duration {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    Duration::from_secs(seconds).clamp(MIN_RETRY, MAX_RETRY)
}

/// Frees the place in the queue when the request stops waiting.
struct Waiting<'a> {
    admission: &'a Arc<Admission>,
    place: Place<u64>,
    since: Instant,
    /// Whether the client has left.
    has_left: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.admission.lock();
        if state.queue.remove(&self.place).is_some() {
            // The next one may need fewer slots.
            self.admission.serve(&mut state);
        }
        drop(state);
        if self.has_left {
            let metrics = &self.admission.metrics;
            metrics.queued(QueueOutcome::Left, self.since.elapsed());
        }
    }
}

impl Slot {
    /// Tells that the engine works: the next sign of it is expected within this time.
    pub(super) fn expect(&self, estimate: Duration) {
        self.activity.expect(estimate);
    }

    /// Tells that the engine has made progress.
    pub(super) fn progressed(&self) {
        self.activity.progressed();
    }

    /// Tells that the client has left.
    pub(super) fn drain(&self) {
        self.activity.drain();
    }

    /// Forgets the slot without giving it back.
    fn into_id(mut self) -> u64 {
        self.admission = None;
        self.id
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(admission) = self.admission.take() {
            let mut state = admission.lock();
            admission.end(&mut state, self.id);
            admission.serve(&mut state);
        }
    }
}

#[cfg(test)]
mod tests;
