//! The future of a pending reservation.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use stockade_core::refusal::Refusal;

use super::{Reservation, reservation::PendingReservation};
use crate::{LimitStore, OwnedBucket, compiled::Buckets};

pin_project! {
    /// A pending reservation.
    pub struct TokenBudgetWait<S>
    where
        S: LimitStore,
    {
        #[pin]
        pub(super) decision: S::Wait,
        pub(super) buckets: Vec<OwnedBucket>,
        pub(super) pending: Option<PendingReservation<S>>,
    }
}

impl<S> Future for TokenBudgetWait<S>
where
    S: LimitStore,
{
    type Output = Result<Reservation<S>, Refusal>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let decision = ready!(this.decision.poll(cx));
        let buckets: Buckets<'_> = this.buckets.iter().map(OwnedBucket::as_bucket).collect();
        let pending = this.pending.take().expect("not polled after completion");
        Poll::Ready(pending.finish(&buckets, decision))
    }
}

impl<S> fmt::Debug for TokenBudgetWait<S>
where
    S: LimitStore,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenBudgetWait")
            .field("buckets", &self.buckets)
            .finish_non_exhaustive()
    }
}
