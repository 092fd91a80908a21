//! The store of rate limits, in this process or in Redis.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use stockade_core::context::RequestContext;
use stockade_rate_limit::{
    Bucket, Decision, Fallback, FallbackWait, LimitStore, MemoryLimitStore, NoWait, StoreError,
    StoreReply,
};
use stockade_redis::RedisLimits;

/// The store of rate limits.
#[derive(Clone, Debug)]
pub(in crate::fence) enum LimitsStore {
    /// In this process.
    Local(Arc<MemoryLimitStore>),
    /// In Redis, with a failure policy.
    Shared(Fallback<RedisLimits>),
}

/// The future of a decision by Redis; boxed, because the round trip costs more than the
/// allocation.
#[derive(Debug)]
pub(in crate::fence) struct LimitsWait(Pin<Box<FallbackWait<RedisLimits>>>);

impl Future for LimitsWait {
    type Output = Result<Decision, StoreError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl LimitStore for LimitsStore {
    type Wait = LimitsWait;

    fn take(&self, buckets: &[Bucket<'_>]) -> StoreReply<LimitsWait> {
        match self {
            Self::Local(store) => local(store.take(buckets)),
            Self::Shared(store) => shared(store.take(buckets)),
        }
    }

    fn take_in(&self, buckets: &[Bucket<'_>], context: &RequestContext) -> StoreReply<LimitsWait> {
        match self {
            Self::Local(store) => local(store.take_in(buckets, context)),
            Self::Shared(store) => shared(store.take_in(buckets, context)),
        }
    }

    fn settle(&self, bucket: &Bucket<'_>, delta: i64) {
        match self {
            Self::Local(store) => store.settle(bucket, delta),
            Self::Shared(store) => store.settle(bucket, delta),
        }
    }
}

fn local(reply: StoreReply<NoWait>) -> StoreReply<LimitsWait> {
    match reply {
        StoreReply::Ready(decision) => StoreReply::Ready(decision),
        StoreReply::Wait(never) => match never {},
    }
}

fn shared(reply: StoreReply<FallbackWait<RedisLimits>>) -> StoreReply<LimitsWait> {
    match reply {
        StoreReply::Ready(decision) => StoreReply::Ready(decision),
        StoreReply::Wait(wait) => StoreReply::Wait(LimitsWait(Box::pin(wait))),
    }
}
