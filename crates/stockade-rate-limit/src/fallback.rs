//! The behaviour when a remote store fails.

mod circuit;
mod health;
mod policy;
mod probe;
mod wait;

use std::{fmt, sync::Arc, time::Duration};

use circuit::Circuit;
use stockade_core::context::RequestContext;

use crate::{
    Bucket, Decision, LimitStore, MemoryLimitStore, StoreError, StoreErrorKind, StoreReply,
    compiled::Buckets,
};

pub use health::StoreHealth;
pub use policy::{FailurePolicy, Fraction, FractionError};
pub use wait::FallbackWait;

/// Wraps a store that can fail: adds a deadline, a circuit breaker, and a [`FailurePolicy`]
/// for the decisions that the store does not make.
///
/// 1. A decision that fails, or exceeds the deadline, counts as a failure. Its debit may have
///    taken effect.
/// 2. After a number of consecutive failures, the circuit opens, and the store is not called
///    for a while. Then a single request probes it, while the policy decides about the others.
///    If the probe succeeds, the circuit closes; otherwise the pause starts again. Without
///    requests, a task probes it: a load balancer sends none to a server that is not ready.
/// 3. Decisions of the policy are counted, and changes between up and down are reported.
///
/// Clones share their state: keep one to read its [`health`](Self::health). Needs tokio's
/// timer if the store does not decide immediately. The task runs while the circuit is open, and
/// only within a tokio runtime.
///
/// ```
/// use std::time::Duration;
///
/// use stockade_rate_limit::{
///     FailurePolicy, Fallback, Fraction, KeyExtractor, Limit, Limits, MemoryLimitStore, Quota,
///     RateLimitLayer,
/// };
///
/// // With a remote store, such as `RedisLimits`. Two processes: each applies half of the limit
/// // while the store is down.
/// # let remote = MemoryLimitStore::default();
/// let policy = FailurePolicy::Local { fraction: Fraction::new(0.5)? };
/// let store = Fallback::new(remote, policy).deadline(Duration::from_millis(20));
/// let limit = Limit::new("ip", KeyExtractor::client_ip()).quota(Quota::per_minute(60));
/// let layer = RateLimitLayer::with_store(Limits::new([limit])?, store.clone());
/// assert!(store.health().up);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Fallback<S> {
    store: Arc<S>,
    policy: FailurePolicy,
    local: Option<MemoryLimitStore>,
    breaker: Breaker,
}

/// When the store is called, and what its failures change.
#[derive(Clone)]
struct Breaker {
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
    /// Wraps this store.
    pub fn new(store: S, policy: FailurePolicy) -> Self {
        let local = match policy {
            FailurePolicy::Local { .. } => Some(MemoryLimitStore::default()),
            FailurePolicy::Deny | FailurePolicy::Allow => None,
        };
        Self {
            store: Arc::new(store),
            policy,
            local,
            breaker: Breaker {
                deadline: Duration::from_millis(50),
                failures: 5,
                cool_down: Duration::from_secs(1),
                on_change: None,
                circuit: Arc::new(Circuit::new()),
            },
        }
    }

    /// Sets the deadline of a decision; defaults to 50 ms.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.breaker.deadline = deadline;
        self
    }

    /// Sets the number of consecutive failures that open the circuit (default 5, at least 1),
    /// and how long it stays open (default 1 s).
    pub fn circuit(mut self, failures: u32, cool_down: Duration) -> Self {
        self.breaker.failures = failures.max(1);
        self.breaker.cool_down = cool_down;
        self
    }

    /// Sets a callback for changes between up and down. It runs on the thread that detected
    /// the change and must not block.
    pub fn on_change<F>(mut self, callback: F) -> Self
    where
        F: Fn(&StoreHealth) + Send + Sync + 'static,
    {
        self.breaker.on_change = Some(Arc::new(callback));
        self
    }

    /// The wrapped store.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// The failure policy.
    pub fn policy(&self) -> FailurePolicy {
        self.policy
    }

    /// The health of the store, for metrics, readiness and the audit log.
    pub fn health(&self) -> StoreHealth {
        self.breaker.circuit.health()
    }

    /// Records the result of the store, and decides by the policy if it failed.
    fn record<'a>(
        &self,
        answer: Result<Decision, StoreError>,
        buckets: impl Iterator<Item = Bucket<'a>>,
    ) -> Result<Decision, StoreError> {
        if self.breaker.observe(answer.is_ok()) && answer.is_err() {
            self.start_probing();
        }
        answer.or_else(|error| self.decide_locally(error, buckets))
    }

    /// Decides by the policy.
    fn decide_locally<'a>(
        &self,
        error: StoreError,
        buckets: impl Iterator<Item = Bucket<'a>>,
    ) -> Result<Decision, StoreError> {
        self.breaker.circuit.fallback_decisions();
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

impl Breaker {
    /// Whether the store may be called.
    fn allow_call(&self) -> bool {
        self.circuit.allow_request(self.cool_down + self.deadline)
    }

    /// Counts a call of the store; `true` if the circuit opened or closed.
    fn observe(&self, has_decided: bool) -> bool {
        let changed = match has_decided {
            true => self.circuit.succeeded(),
            false => self.circuit.failed(self.failures, self.cool_down),
        };
        if let (true, Some(callback)) = (changed, &self.on_change) {
            callback(&self.circuit.health());
        }
        changed
    }
}

impl<S> LimitStore for Fallback<S>
where
    S: LimitStore,
{
    type Wait = FallbackWait<S>;

    fn take(&self, buckets: &[Bucket<'_>]) -> StoreReply<FallbackWait<S>> {
        self.take_by(buckets, |store| store.take(buckets))
    }

    fn take_in(
        &self,
        buckets: &[Bucket<'_>],
        context: &RequestContext,
    ) -> StoreReply<FallbackWait<S>> {
        self.take_by(buckets, |store| store.take_in(buckets, context))
    }

    /// While the store is down, this goes to the local limits or is lost.
    fn settle(&self, bucket: &Bucket<'_>, delta: i64) {
        match (self.policy, &self.local) {
            _ if self.breaker.circuit.is_up() => self.store.settle(bucket, delta),
            (FailurePolicy::Local { fraction }, Some(local)) => {
                local.settle(&fraction.of(*bucket), delta);
            }
            // The reservation in the store stays until its period is over.
            _ => {}
        }
    }
}

impl<S> Fallback<S>
where
    S: LimitStore,
{
    fn take_by(
        &self,
        buckets: &[Bucket<'_>],
        take: impl FnOnce(&S) -> StoreReply<S::Wait>,
    ) -> StoreReply<FallbackWait<S>> {
        if buckets.is_empty() {
            return StoreReply::Ready(Ok(Decision::uncounted()));
        }
        if !self.breaker.allow_call() {
            let down = StoreError::new(StoreErrorKind::Unavailable);
            return StoreReply::Ready(self.decide_locally(down, buckets.iter().copied()));
        }
        match take(&self.store) {
            StoreReply::Ready(answer) => {
                StoreReply::Ready(self.record(answer, buckets.iter().copied()))
            }
            StoreReply::Wait(wait) => {
                let buckets = buckets.iter().map(Bucket::to_owned).collect();
                StoreReply::Wait(FallbackWait::new(wait, buckets, self.clone()))
            }
        }
    }
}

impl<S> Clone for Fallback<S> {
    fn clone(&self) -> Self {
        Self {
            store: Arc::clone(&self.store),
            policy: self.policy,
            local: self.local.clone(),
            breaker: self.breaker.clone(),
        }
    }
}

impl<S> fmt::Debug for Fallback<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fallback")
            .field("policy", &self.policy)
            .field("deadline", &self.breaker.deadline)
            .field("health", &self.breaker.circuit.health())
            .finish_non_exhaustive()
    }
}
