//! Requests at once, in this process and on Redis.
//!
//! Each request also has a place in this process, so that an outage of Redis never means
//! that there is no bound at all: under the policies `allow` and `local` each process lets
//! in what it would alone.

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

/// How long Redis may take to answer, the wait for a place left out.
const DEADLINE: Duration = Duration::from_millis(100);

/// Where requests at once are counted.
#[derive(Clone, Debug)]
pub struct PermitsStore {
    local: MemoryPermits,
    shared: Option<(RedisPermits, FailurePolicy)>,
}

/// The places of a request.
#[derive(Debug)]
pub struct Permit {
    _local: Option<MemoryPermit>,
    _shared: Option<RedisPermit>,
}

/// A place that is on its way.
pub struct PermitWait(Pin<Box<dyn Future<Output = Result<Permit, AcquireError>> + Send>>);

impl PermitsStore {
    pub(super) fn new(local: MemoryPermits, shared: Option<(RedisPermits, FailurePolicy)>) -> Self {
        Self { local, shared }
    }

    /// Permits that could not be given back to Redis.
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
        // Who shares the places of all processes has those of this one among them: where
        // they are taken, only a wait on Redis can help.
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

/// An answer that is on its way.
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
