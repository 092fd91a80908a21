//! A request that waits for its permit.

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
    rules::{Asked, OwnPolicy, Rules},
    stats::Counted,
};
use crate::PermitStore;

pin_project! {
    /// A request that waits for its permit.
    pub struct ConcurrencyWait<P>
    where
        P: PermitStore,
    {
        #[pin]
        permit: P::Wait,
        asked: Vec<Asked>,
        policy: OwnPolicy,
        waiting: Counted,
    }
}

impl<P> ConcurrencyWait<P>
where
    P: PermitStore,
{
    pub(super) fn new(
        permit: P::Wait,
        asked: Vec<Asked>,
        policy: OwnPolicy,
        rules: &Arc<Rules>,
    ) -> Self {
        Self {
            permit,
            asked,
            policy,
            waiting: Counted::waiting(rules),
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
        let rules = this.waiting.rules();
        Poll::Ready(match ready!(this.permit.poll(cx)) {
            Ok(permit) => Ok(ConcurrencyHook::new(permit, this.policy.take(), rules)),
            Err(none) => Err(rules.refusal(&none, this.asked, this.policy)),
        })
    }
}

impl<P> fmt::Debug for ConcurrencyWait<P>
where
    P: PermitStore,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConcurrencyWait")
            .field("asked", &self.asked)
            .finish_non_exhaustive()
    }
}
