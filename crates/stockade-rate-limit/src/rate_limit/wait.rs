//! The future of a pending decision.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::HeaderValue;
use pin_project_lite::pin_project;
use stockade_core::refusal::Refusal;

use super::{RateLimitHook, finish};
use crate::{Decision, OwnedBucket, StoreError, compiled::Buckets, headers::LegacyHeaders};

pin_project! {
    /// A pending decision of the store.
    pub struct RateLimitWait<W> {
        #[pin]
        pub(super) decision: W,
        pub(super) buckets: Vec<OwnedBucket>,
        pub(super) policy: Option<HeaderValue>,
        pub(super) legacy: LegacyHeaders,
    }
}

impl<W> Future for RateLimitWait<W>
where
    W: Future<Output = Result<Decision, StoreError>>,
{
    type Output = Result<RateLimitHook, Refusal>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let decision = ready!(this.decision.poll(cx));
        let buckets: Buckets<'_> = this.buckets.iter().map(OwnedBucket::as_bucket).collect();
        Poll::Ready(finish(
            this.policy.clone(),
            &buckets,
            decision,
            *this.legacy,
        ))
    }
}

impl<W> fmt::Debug for RateLimitWait<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitWait")
            .field("buckets", &self.buckets)
            .finish_non_exhaustive()
    }
}
