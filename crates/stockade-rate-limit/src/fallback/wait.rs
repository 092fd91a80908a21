//! A pending decision with a deadline.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};

use super::Fallback;
use crate::{Decision, LimitStore, OwnedBucket, StoreError, StoreErrorKind};

pin_project! {
    /// A pending decision of the store, or of the failure policy once the deadline has passed.
    pub struct FallbackWait<S>
    where
        S: LimitStore,
    {
        #[pin]
        wait: S::Wait,
        #[pin]
        deadline: Sleep,
        buckets: Vec<OwnedBucket>,
        fallback: Fallback<S>,
    }
}

impl<S> FallbackWait<S>
where
    S: LimitStore,
{
    pub(super) fn new(wait: S::Wait, buckets: Vec<OwnedBucket>, fallback: Fallback<S>) -> Self {
        Self {
            wait,
            deadline: sleep(fallback.breaker.deadline),
            buckets,
            fallback,
        }
    }
}

impl<S> Future for FallbackWait<S>
where
    S: LimitStore,
{
    type Output = Result<Decision, StoreError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = match (this.wait.poll(cx), this.deadline.poll(cx)) {
            (Poll::Ready(answer), _) => answer,
            (Poll::Pending, Poll::Ready(())) => Err(StoreError::new(StoreErrorKind::Timeout)),
            (Poll::Pending, Poll::Pending) => return Poll::Pending,
        };
        let buckets = this.buckets.iter().map(OwnedBucket::as_bucket);
        Poll::Ready(this.fallback.record(answer, buckets))
    }
}

impl<S> fmt::Debug for FallbackWait<S>
where
    S: LimitStore,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FallbackWait")
            .field("fallback", &self.fallback)
            .finish_non_exhaustive()
    }
}
