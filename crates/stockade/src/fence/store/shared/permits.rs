//! Concurrency permits, in this process and in Redis.
//!
//! Each request also takes a permit of this process, so that an outage of Redis does not remove
//! all limits: under the policies `allow` and `local` each process admits as many requests as it
//! would without Redis.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use stockade_rate_limit::{
    AcquireError, FailurePolicy, MemoryPermit, MemoryPermits, PermitReply, PermitRequest,
    PermitStore, QueueTimeout, StoreError, StoreErrorKind,
};
use stockade_redis::{RedisPermit, RedisPermits};
use tokio::time;

/// The timeout of calls to Redis, in addition to the queue timeout.
const DEADLINE: Duration = Duration::from_millis(100);

/// The store of concurrency permits.
#[derive(Clone, Debug)]
pub(in crate::fence) struct PermitsStore {
    local: MemoryPermits,
    shared: Option<(RedisPermits, FailurePolicy)>,
}

/// The permits of a request.
#[derive(Debug)]
pub(in crate::fence) struct Permit {
    _local: Option<MemoryPermit>,
    _shared: Option<RedisPermit>,
}

/// The future of a permit.
pub(in crate::fence) struct PermitWait(
    Pin<Box<dyn Future<Output = Result<Permit, AcquireError>> + Send>>,
);

impl PermitsStore {
    pub(super) fn new(local: MemoryPermits, shared: Option<(RedisPermits, FailurePolicy)>) -> Self {
        Self { local, shared }
    }

    /// The number of permits that could not be released in Redis.
    pub(super) fn lost(&self) -> u64 {
        let shared = self.shared.as_ref();
        shared.map_or(0, |(shared, _)| shared.stats().lost)
    }
}

impl PermitStore for PermitsStore {
    type Permit = Permit;
    type Wait = PermitWait;

    fn acquire(
        &self,
        requests: &[PermitRequest<'_>],
        queue_timeout: Option<QueueTimeout>,
    ) -> PermitReply<Permit, PermitWait> {
        let Some((shared, policy)) = &self.shared else {
            return match self.local.acquire(requests, queue_timeout) {
                PermitReply::Ready(permit) => PermitReply::Ready(permit.map(Permit::local)),
                PermitReply::Wait(wait) => waiting(async move { wait.await.map(Permit::local) }),
            };
        };
        // The permits of this process are part of the shared ones: if none is free here, a
        // request can only be admitted by waiting in the queue of Redis.
        let local = match self.local.acquire(requests, None) {
            PermitReply::Ready(Ok(permit)) => Some(permit),
            PermitReply::Ready(Err(full)) if queue_timeout.is_none() => {
                return PermitReply::Ready(Err(full));
            }
            PermitReply::Ready(Err(_)) | PermitReply::Wait(_) => None,
        };
        let deadline =
            DEADLINE + queue_timeout.map_or(Duration::ZERO, |queue_timeout| queue_timeout.timeout);
        let (asked, policy) = (shared.acquire(requests, queue_timeout), *policy);
        waiting(async move {
            let answer = match asked {
                PermitReply::Ready(answer) => answer,
                PermitReply::Wait(wait) => {
                    time::timeout(deadline, wait).await.unwrap_or_else(|_| {
                        Err(AcquireError::Store(StoreError::new(
                            StoreErrorKind::Timeout,
                        )))
                    })
                }
            };
            match answer {
                Ok(permit) => Ok(Permit {
                    _local: local,
                    _shared: Some(permit),
                }),
                Err(AcquireError::Store(error)) => match (policy, local) {
                    (FailurePolicy::Allow | FailurePolicy::Local { .. }, Some(local)) => {
                        Ok(Permit::local(local))
                    }
                    _ => Err(AcquireError::Store(error)),
                },
                Err(full) => Err(full),
            }
        })
    }
}

impl Permit {
    fn local(permit: MemoryPermit) -> Self {
        Self {
            _local: Some(permit),
            _shared: None,
        }
    }
}

/// Boxes the future of a permit.
fn waiting<F>(wait: F) -> PermitReply<Permit, PermitWait>
where
    F: Future<Output = Result<Permit, AcquireError>> + Send + 'static,
{
    PermitReply::Wait(PermitWait(Box::pin(wait)))
}

impl Future for PermitWait {
    type Output = Result<Permit, AcquireError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for PermitWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PermitWait")
    }
}
