//! A request that waits for its permit.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::HeaderValue;
use pin_project_lite::pin_project;
use stockade_core::Refusal;

use super::{
    Admitted,
    rules::{Asked, Rules},
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
        policy: HeaderValue,
        rules: Arc<Rules>,
        _waiting: Counted,
    }
}

impl<P> ConcurrencyWait<P>
where
    P: PermitStore,
{
    pub(super) fn new(
        permit: P::Wait,
        asked: Vec<Asked>,
        policy: HeaderValue,
        rules: &Arc<Rules>,
    ) -> Self {
        Self {
            permit,
            asked,
            policy,
            rules: Arc::clone(rules),
            _waiting: rules.counters.waiting(),
        }
    }
}

impl<P> Future for ConcurrencyWait<P>
where
    P: PermitStore,
{
    type Output = Result<Admitted<P::Permit>, Refusal>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        Poll::Ready(match ready!(this.permit.poll(cx)) {
            Ok(permit) => Ok(Admitted::new(permit, this.policy.clone(), this.rules)),
            Err(none) => Err(this.rules.refusal(&none, this.asked, this.policy)),
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
