//! Stores for the states of buckets.

use std::{
    error::Error,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use stockade_core::context::RequestContext;

use crate::{Bucket, Decision};

/// Stores the states of buckets and decides about requests.
///
/// The store itself decides, so that a remote store can do so atomically where the states are.
/// The decision is pure and the same in every store: [`gcra`](crate::gcra) and
/// [`sliding`](crate::sliding).
///
/// The store has its own clock, which must never run backwards.
pub trait LimitStore: Send + Sync + 'static {
    /// A pending decision; [`NoWait`] for stores that always decide immediately.
    ///
    /// If it is dropped early, the buckets may or may not have been debited.
    type Wait: Future<Output = Result<Decision, StoreError>> + Send + 'static;

    /// Checks all buckets, then debits all of them, or none if one refuses the request.
    ///
    /// There are at most [`Limits::MAX_QUOTAS`](crate::Limits::MAX_QUOTAS) buckets, each with
    /// another quota id, and the decision has one status per bucket in their order. Without
    /// buckets, the decision is [uncounted](Decision::uncounted), even if the store is
    /// unreachable. Must not block.
    ///
    /// # Panics
    /// May panic if two buckets have the same quota id.
    fn take(&self, buckets: &[Bucket<'_>]) -> StoreReply<Self::Wait>;

    /// Like [`take`](Self::take), for a request with this context. A store in the memory of
    /// this process takes the time from it ([`Clock::now_in`](stockade_core::clock::Clock::now_in)).
    fn take_in(&self, buckets: &[Bucket<'_>], context: &RequestContext) -> StoreReply<Self::Wait> {
        let _ = context;
        self.take(buckets)
    }

    /// Debits a bucket unconditionally, or refunds it if `delta` is negative. A token budget
    /// calls it once it knows the actual usage. The cost of the bucket is ignored.
    ///
    /// A debit may exceed what is left. A refund never exceeds a full bucket, and is lost if
    /// its window has passed. Never blocks: a remote store queues the call, or drops it and
    /// counts the loss.
    fn settle(&self, bucket: &Bucket<'_>, delta: i64);
}

/// Allows several guards to share a store.
impl<S> LimitStore for Arc<S>
where
    S: LimitStore,
{
    type Wait = S::Wait;

    fn take(&self, buckets: &[Bucket<'_>]) -> StoreReply<S::Wait> {
        (**self).take(buckets)
    }

    fn take_in(&self, buckets: &[Bucket<'_>], context: &RequestContext) -> StoreReply<S::Wait> {
        (**self).take_in(buckets, context)
    }

    fn settle(&self, bucket: &Bucket<'_>, delta: i64) {
        (**self).settle(bucket, delta);
    }
}

/// The reply of a [`LimitStore`].
#[derive(Debug)]
pub enum StoreReply<W> {
    /// The decision is known.
    Ready(Result<Decision, StoreError>),
    /// The decision is pending.
    Wait(W),
}

/// The [`LimitStore::Wait`] of a store that decides immediately. It has no values.
#[derive(Clone, Copy, Debug)]
pub enum NoWait {}

impl Future for NoWait {
    type Output = Result<Decision, StoreError>;

    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Self::Output> {
        match *self {}
    }
}

/// The error of a store that did not decide.
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The reason why a store did not decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The store is unreachable or not serving.
    Unavailable,
    /// The store did not reply in time.
    Timeout,
    /// Too many decisions are pending.
    Busy,
    /// The store has no room for another quota.
    Full,
    /// The reply was malformed.
    Protocol,
    /// The store cannot count this quota.
    Unsupported,
}

impl StoreErrorKind {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Unavailable => "the limit store is unreachable",
            Self::Timeout => "the limit store did not reply in time",
            Self::Busy => "too many decisions are pending in the limit store",
            Self::Full => "the limit store has no room for another quota",
            Self::Protocol => "the limit store sent a malformed reply",
            Self::Unsupported => "the limit store cannot count this quota",
        }
    }
}

impl StoreError {
    /// Creates an error of this kind.
    pub fn new(kind: StoreErrorKind) -> Self {
        Self { kind, source: None }
    }

    /// Sets the source of the error.
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The kind of the error.
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.text())
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.source.as_deref()? as _)
    }
}
