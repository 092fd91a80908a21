//! The future of a waiting request.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use stockade_core::refusal::Refusal;

use super::{
    ConcurrencyHook,
    limit_set::{LimitSet, PolicyOverride, RequestedPermit},
    stats::Waiting,
};
use crate::PermitStore;

pin_project! {
    /// A request that waits for its permits.
    pub struct ConcurrencyWait<P>
    where
        P: PermitStore,
    {
        #[pin]
        permit: P::Wait,
        requested: Vec<RequestedPermit>,
        policy: PolicyOverride,
        waiting: Waiting,
    }
}

impl<P> ConcurrencyWait<P>
where
    P: PermitStore,
{
    pub(super) fn new(
        permit: P::Wait,
        requested: Vec<RequestedPermit>,
        policy: PolicyOverride,
        limits: &Arc<LimitSet>,
    ) -> Self {
        Self {
            permit,
            requested,
            policy,
            waiting: Waiting::new(limits),
        }
    }
}

impl<P> Future for ConcurrencyWait<P>
where
    P: PermitStore,
{
    type Output = Result<ConcurrencyHook<P::Permit>, Refusal>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let limits = this.waiting.limits();
        Poll::Ready(match ready!(this.permit.poll(cx)) {
            Ok(permit) => Ok(ConcurrencyHook::new(permit, this.policy.take(), limits)),
            Err(error) => Err(limits.refusal(&error, this.requested, this.policy)),
        })
    }
}

impl<P> fmt::Debug for ConcurrencyWait<P>
where
    P: PermitStore,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConcurrencyWait")
            .field("asked", &self.requested)
            .finish_non_exhaustive()
    }
}
