//! What happens when a store that is far away does not answer.

mod circuit;
mod health;
mod policy;
mod wait;

use std::{fmt, sync::Arc, time::Duration};

use circuit::Circuit;

use crate::{
    Bucket, Decision, LimitStore, MemoryLimitStore, StoreError, StoreErrorKind, StoreReply,
    compiled::Buckets,
};

pub use health::StoreHealth;
pub use policy::{FailurePolicy, Fraction, FractionError};
pub use wait::FallbackWait;

/// Stands between a guard and a store that can fail: gives each decision a deadline, leaves
/// a store alone that is down, and decides in its place as the [`FailurePolicy`] says.
///
/// 1. A decision that fails, or takes longer than the deadline, is a failure. What it may
///    have debited stays debited.
/// 2. After so many failures in a row the store is down. It is left alone for a while; then
///    one request asks it, while the others still do without. That one brings the store
///    back, or the next while begins.
/// 3. Each decision that the store did not take is counted, and each change between up and
///    down is told. Nothing is unlimited in silence.
///
/// Clones are one: keep one of them to read its [`health`](Self::health). Where the store
/// does not answer at once, tokio's timer is needed.
pub struct Fallback<S> {
    store: Arc<S>,
    policy: FailurePolicy,
    local: Option<MemoryLimitStore>,
    deadline: Duration,
    failures: u32,
    cool_down: Duration,
    on_change: Option<Arc<OnChange>>,
    circuit: Arc<Circuit>,
}

type OnChange = dyn Fn(&StoreHealth) + Send + Sync;

impl<S> Fallback<S>
where
    S: LimitStore,
{
    /// Asks this store, and does as the policy says where it does not answer.
    pub fn new(store: S, policy: FailurePolicy) -> Self {
        let local = match policy {
            FailurePolicy::Local { .. } => Some(MemoryLimitStore::default()),
            FailurePolicy::Deny | FailurePolicy::Allow => None,
        };
        Self {
            store: Arc::new(store),
            policy,
            local,
            deadline: Duration::from_millis(50),
            failures: 5,
            cool_down: Duration::from_secs(1),
            on_change: None,
            circuit: Arc::new(Circuit::new()),
        }
    }

    /// How long a decision may take; 50 ms where this is not called.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// After how many failures in a row the store is down (5 where this is not called, and
    /// at least 1), and how long it is left alone then (1 s).
    pub fn circuit(mut self, failures: u32, cool_down: Duration) -> Self {
        self.failures = failures.max(1);
        self.cool_down = cool_down;
        self
    }

    /// Calls this when the store goes down and when it is back, on the thread that found
    /// out. It must not block.
    pub fn on_change<F>(mut self, callback: F) -> Self
    where
        F: Fn(&StoreHealth) + Send + Sync + 'static,
    {
        self.on_change = Some(Arc::new(callback));
        self
    }

    /// The store that is asked.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// What is done without it.
    pub fn policy(&self) -> FailurePolicy {
        self.policy
    }

    /// How the store does, for metrics, readiness and the audit log.
    pub fn health(&self) -> StoreHealth {
        self.circuit.health()
    }

    /// Notes what the store said, and decides in its place where it said nothing.
    fn record<'a>(
        &self,
        answer: Result<Decision, StoreError>,
        buckets: impl Iterator<Item = Bucket<'a>>,
    ) -> Result<Decision, StoreError> {
        let changed = match &answer {
            Ok(_) => self.circuit.succeeded(),
            Err(_) => self.circuit.failed(self.failures, self.cool_down),
        };
        if let (true, Some(callback)) = (changed, &self.on_change) {
            callback(&self.health());
        }
        answer.or_else(|error| self.decide_locally(error, buckets))
    }

    /// Decides without the store.
    fn decide_locally<'a>(
        &self,
        error: StoreError,
        buckets: impl Iterator<Item = Bucket<'a>>,
    ) -> Result<Decision, StoreError> {
        self.circuit.fallback_decisions();
        match (self.policy, &self.local) {
            (FailurePolicy::Local { fraction }, Some(local)) => {
                let shares: Buckets<'a> = buckets.map(|bucket| fraction.of(bucket)).collect();
                local.decide(&shares)
            }
            (FailurePolicy::Allow, _) => Ok(Decision::uncounted()),
            (FailurePolicy::Deny | FailurePolicy::Local { .. }, _) => Err(error),
        }
    }
}

impl<S> LimitStore for Fallback<S>
where
    S: LimitStore,
{
    type Wait = FallbackWait<S>;

    fn take(&self, buckets: &[Bucket<'_>]) -> StoreReply<FallbackWait<S>> {
        if buckets.is_empty() {
            return StoreReply::Ready(Ok(Decision::uncounted()));
        }
        if !self.circuit.allow_request(self.cool_down + self.deadline) {
            let down = StoreError::new(StoreErrorKind::Unavailable);
            return StoreReply::Ready(self.decide_locally(down, buckets.iter().copied()));
        }
        match self.store.take(buckets) {
            StoreReply::Ready(answer) => {
                StoreReply::Ready(self.record(answer, buckets.iter().copied()))
            }
            StoreReply::Wait(wait) => {
                let buckets = buckets.iter().map(Bucket::to_owned).collect();
                StoreReply::Wait(FallbackWait::new(wait, buckets, self.clone()))
            }
        }
    }

    /// Where the store is down, this goes to the local limits, or is lost.
    fn settle(&self, bucket: &Bucket<'_>, delta: i64) {
        match (self.policy, &self.local) {
            _ if self.circuit.is_up() => self.store.settle(bucket, delta),
            (FailurePolicy::Local { fraction }, Some(local)) => {
                local.settle(&fraction.of(*bucket), delta);
            }
            // What the store has counted stays as it is until its period is over.
            _ => {}
        }
    }
}

impl<S> Clone for Fallback<S> {
    fn clone(&self) -> Self {
        Self {
            store: Arc::clone(&self.store),
            policy: self.policy,
            local: self.local.clone(),
            deadline: self.deadline,
            failures: self.failures,
            cool_down: self.cool_down,
            on_change: self.on_change.clone(),
            circuit: Arc::clone(&self.circuit),
        }
    }
}

impl<S> fmt::Debug for Fallback<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fallback")
            .field("policy", &self.policy)
            .field("deadline", &self.deadline)
            .field("health", &self.circuit.health())
            .finish_non_exhaustive()
    }
}
