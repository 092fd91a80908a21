//! The limits of many processes.

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

/// Keeps the states of limits in Redis, for all processes that share its namespace. Clones
/// share the queue and the leases.
///
/// 1. One script checks all buckets of a request and debits all of them or none, by the
///    server's clock. Requests that come at once are decided in one call, up to 64 of them.
/// 2. Every key expires when its bucket would be full, so nothing is left of who is gone. A
///    value that is none of a limit's is replaced, as if there were none.
/// 3. Up to 4,096 orders wait to be sent. One more is [`Busy`](StoreErrorKind::Busy) at
///    once. Nothing waits for a connection: without one, the answer is
///    [`Unavailable`](StoreErrorKind::Unavailable).
/// 4. With **leases**, a process takes permits of busy subjects in advance and spends them
///    by itself; see [`with_leases`](Self::with_leases).
///
/// Put a [`Fallback`](stockade_rate_limit::Fallback) around it: it has the deadline, and the
/// choice of what happens without Redis.
///
/// Redis must not evict keys (`maxmemory-policy noeviction`), or a debtor whose key had to
/// go begins anew. When its data is lost, all buckets are full again. When its clock is put
/// back, buckets fill up later by that time, and by three times their burst at most.
#[derive(Clone)]
pub struct RedisLimits {
    calls: mpsc::Sender<PendingCall>,
    redis: Redis,
    leases: Option<Arc<Leases>>,
    dropped: Arc<AtomicU64>,
}

/// How many orders wait at most.
const MAX_PENDING: usize = 4_096;

impl RedisLimits {
    /// Limits that are counted in Redis, each request of them.
    ///
    /// # Panics
    /// When it is called outside of a tokio runtime.
    pub fn new(redis: &Redis) -> Self {
        Self::start(redis, None)
    }

    /// Limits of which this process may spend up to so many permits a bucket without asking.
    ///
    /// Permits are debited in Redis when they are leased, so **no more is let in than
    /// without leases**, in any length of time. The price: of each bucket, each process may
    /// hold up to `size` permits that it does not spend, and others are refused meanwhile.
    /// They go back after a second or two; those of a process that died come back as the
    /// bucket fills up.
    ///
    /// A lease never is more than a tenth of a quota's burst, all of them never are more than
    /// half of it, and what is left in the end is handed out one by one. It grows with what
    /// is spent within a second, so subjects that come once have none. Sliding windows, and
    /// quotas with a burst below 10, are always asked for. What clients are told is left may
    /// be a second old.
    ///
    /// # Panics
    /// When it is called outside of a tokio runtime.
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

    /// What goes on, for metrics.
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
        // A script without keys would fail, and that is no failure of Redis.
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

/// The runtime that the store lived in has ended.
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

/// What [`RedisLimits`] have to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisLimitsStats {
    /// Orders that wait to be sent now.
    pub waiting: usize,
    /// Debits after the fact that never reached Redis, in all.
    pub dropped: u64,
    /// Buckets that have a lease, or may have one soon.
    pub followed: usize,
    /// Permits that are leased and not spent now.
    pub leased: u64,
}

/// A decision that is on its way from Redis.
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
