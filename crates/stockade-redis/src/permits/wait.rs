//! The future of a pending permit.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use stockade_rate_limit::{AcquireError, QueueTimeout};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{RedisPermit, Shared};

/// How often the first request of a queue polls for permits that other processes have
/// released.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// A pending permit, or a queued request.
///
/// If it is dropped early, it releases what it may have acquired.
pub struct RedisPermitWait(Pin<Box<Acquire>>);

type Acquire = dyn Future<Output = Result<RedisPermit, AcquireError>> + Send;

impl RedisPermitWait {
    pub(super) fn new(
        answer: impl Future<Output = Result<RedisPermit, AcquireError>> + Send + 'static,
    ) -> Self {
        Self(Box::pin(answer))
    }
}

impl Future for RedisPermitWait {
    type Output = Result<RedisPermit, AcquireError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for RedisPermitWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisPermitWait").finish_non_exhaustive()
    }
}

pub(super) async fn acquire(
    shared: &Arc<Shared>,
    keys: &[String],
    max: &[u32],
    queue_timeout: Option<QueueTimeout>,
) -> Result<RedisPermit, AcquireError> {
    let Some(queue_timeout) = queue_timeout else {
        return shared.try_acquire(keys, max).await;
    };
    let index = match shared.queues.contested(keys) {
        Some(index) => index,
        None => match shared.try_acquire(keys, max).await {
            Err(AcquireError::Full { index }) => index,
            other => return other,
        },
    };
    let full = AcquireError::Full { index };
    let Some(waiting) = shared.queues.enter(&keys[index], queue_timeout.max_waiters) else {
        return Err(full);
    };
    let deadline = Instant::now() + queue_timeout.timeout;
    let turn = Arc::clone(&waiting.turn);
    let Ok(_turn) = timeout_at(deadline, turn.lock()).await else {
        return Err(full);
    };
    loop {
        // Registered before the attempt, so that no release is missed.
        let mut freed = std::pin::pin!(shared.freed.notified());
        freed.as_mut().enable();
        match shared.try_acquire(keys, max).await {
            Err(AcquireError::Full { .. }) => {}
            other => return other,
        }
        let now = Instant::now();
        if now >= deadline {
            return Err(full);
        }
        tokio::select! {
            () = freed => {}
            () = sleep_until(deadline.min(now + POLL_INTERVAL)) => {}
        }
    }
}
