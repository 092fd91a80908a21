//! Rate limits shared by all processes.

mod batcher;
mod call;
mod lease;
mod leases;
mod wire;

use std::{
    fmt,
    future::Future,
    num::NonZeroU32,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use stockade_rate_limit::{Bucket, Decision, LimitStore, StoreError, StoreErrorKind, StoreReply};
use tokio::sync::{
    mpsc::{self, error::TrySendError},
    oneshot,
};

use crate::Redis;
use batcher::Batcher;
use call::{BucketCall, PendingCall};
use leases::Leases;

/// Stores the states of limits in Redis, for all processes that share the namespace. Clones
/// share the queue and the leases.
///
/// 1. One script checks all buckets of a request and debits all of them or none, by the
///    server's clock. Up to 64 concurrent requests are decided in one call.
/// 2. Every key expires at the earliest when its bucket would be full, and at the latest after
///    twice that time, or a second later. A value of another format is replaced.
/// 3. Up to 4,096 calls wait to be sent; further ones fail immediately with
///    [`Busy`](StoreErrorKind::Busy). Calls do not wait for a connection: without one, they
///    fail with [`Unavailable`](StoreErrorKind::Unavailable).
/// 4. With **leases**, a process debits permits of busy keys in advance and spends them
///    locally; see [`with_leases`](Self::with_leases).
///
/// Wrap it in a [`Fallback`](stockade_rate_limit::Fallback), which sets the deadline and the
/// behaviour without Redis.
///
/// Redis must not evict keys (`maxmemory-policy noeviction`), since eviction forgets debts. If
/// its data is lost, all buckets are full. If its clock is set back, buckets refill later by
/// that time, but at most by three times the refill time of their burst.
///
/// ```
/// use std::num::NonZeroU32;
///
/// use stockade_rate_limit::{FailurePolicy, Fallback};
/// use stockade_redis::{Redis, RedisConfig, RedisLimits};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let redis = Redis::connect(RedisConfig::new("redis://127.0.0.1")?)?;
/// let lease = NonZeroU32::new(20).expect("20 is not 0");
/// let store = Fallback::new(RedisLimits::with_leases(&redis, lease), FailurePolicy::Deny);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisLimits {
    calls: mpsc::Sender<PendingCall>,
    redis: Redis,
    leases: Option<Arc<Leases>>,
    dropped: Arc<AtomicU64>,
}

/// The highest number of calls in the queue.
const MAX_PENDING: usize = 4_096;

impl RedisLimits {
    /// Creates a store that counts each request in Redis.
    ///
    /// # Panics
    /// If called outside of a tokio runtime.
    pub fn new(redis: &Redis) -> Self {
        Self::start(redis, None)
    }

    /// Creates a store that leases up to `size` permits per bucket and spends them without a
    /// call.
    ///
    /// Permits are debited in Redis when they are leased, so **no more requests are allowed
    /// than without leases**, in any interval. In exchange, each process may hold up to `size`
    /// unused permits of each bucket while other processes refuse. Unused permits are returned
    /// after a second or two; those of a crashed process come back as the bucket refills.
    ///
    /// A lease is at most a tenth of a quota's burst, all leases together at most half of it,
    /// and the remaining permits are handed out one by one. Leases grow with the usage per
    /// second, so that rare keys have none. Sliding windows, and quotas with a burst below 10,
    /// are never leased. The remaining count in headers may be a second old.
    ///
    /// # Panics
    /// If called outside of a tokio runtime.
    pub fn with_leases(redis: &Redis, size: NonZeroU32) -> Self {
        Self::start(redis, Some(Arc::new(Leases::new(size.get()))))
    }

    fn start(redis: &Redis, leases: Option<Arc<Leases>>) -> Self {
        let (calls, queue) = mpsc::channel(MAX_PENDING);
        let dropped = Arc::new(AtomicU64::new(0));
        let batcher = Batcher::new(
            queue,
            calls.downgrade(),
            redis,
            leases.clone(),
            Arc::clone(&dropped),
        );
        // Ends with the last sender.
        tokio::spawn(batcher.run());
        Self {
            calls,
            redis: redis.clone(),
            leases,
            dropped,
        }
    }

    /// The statistics, for metrics.
    pub fn stats(&self) -> RedisLimitsStats {
        let (followed, leased) = self.leases.as_ref().map_or((0, 0), |leases| leases.sizes());
        RedisLimitsStats {
            waiting: self.calls.max_capacity() - self.calls.capacity(),
            dropped: self.dropped.load(Ordering::Relaxed),
            followed,
            leased,
        }
    }
}

impl LimitStore for RedisLimits {
    type Wait = RedisDecision;

    fn take(&self, buckets: &[Bucket<'_>]) -> StoreReply<RedisDecision> {
        // A script without keys would fail, which is not a failure of Redis.
        if buckets.is_empty() {
            return StoreReply::Ready(Ok(Decision::uncounted()));
        }
        if let Some(leases) = &self.leases {
            let (decision, calls) = leases.take(buckets, self.redis.namespace());
            for call in calls {
                if let Err(error) = self.calls.try_send(PendingCall::Lease(call))
                    && let PendingCall::Lease(call) = error.into_inner()
                {
                    batcher::refuse(leases.answered(&call, None));
                }
            }
            if let Some(decision) = decision {
                return StoreReply::Ready(Ok(decision));
            }
        }
        let (reply, decision) = oneshot::channel();
        let buckets = buckets
            .iter()
            .map(|bucket| BucketCall::new(bucket, self.redis.namespace()));
        let call = PendingCall::Take {
            buckets: buckets.collect(),
            reply,
        };
        let call = match &self.leases {
            Some(leases) => leases.park(call),
            None => Some(call),
        };
        match call.map_or(Ok(()), |call| self.calls.try_send(call)) {
            Ok(()) => StoreReply::Wait(RedisDecision(decision)),
            Err(TrySendError::Full(_)) => {
                StoreReply::Ready(Err(StoreError::new(StoreErrorKind::Busy)))
            }
            Err(TrySendError::Closed(_)) => StoreReply::Ready(Err(gone())),
        }
    }

    fn settle(&self, bucket: &Bucket<'_>, delta: i64) {
        let bucket = BucketCall::new(bucket, self.redis.namespace());
        if self
            .calls
            .try_send(PendingCall::Settle { bucket, delta })
            .is_err()
        {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The runtime of the store has shut down.
fn gone() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable)
}

impl fmt::Debug for RedisLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLimits")
            .field("redis", &self.redis)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// The statistics of [`RedisLimits`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisLimitsStats {
    /// Calls in the queue.
    pub waiting: usize,
    /// Settlements in total that never reached Redis.
    pub dropped: u64,
    /// Buckets that have a lease, or are candidates for one.
    pub followed: usize,
    /// Leased permits that are not spent.
    pub leased: u64,
}

/// A pending decision of Redis.
#[derive(Debug)]
pub struct RedisDecision(oneshot::Receiver<Result<Decision, StoreError>>);

impl Future for RedisDecision {
    type Output = Result<Decision, StoreError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let decision = Pin::new(&mut self.0).poll(cx);
        decision.map(|decision| decision.unwrap_or_else(|_| Err(gone())))
    }
}

#[cfg(test)]
mod tests;
