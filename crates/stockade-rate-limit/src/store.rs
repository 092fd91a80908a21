//! Where the states of the buckets are.

use std::{
    error::Error,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use crate::{Bucket, Decision};

/// Keeps the states of buckets, and decides.
///
/// The decision is the store's, so that one that is far away takes it in one step, where
/// the states are. What is decided is pure and the same in every store:
/// [`gcra`](crate::gcra) and [`sliding`](crate::sliding).
///
/// The store keeps the time. It must never run backwards.
pub trait LimitStore: Send + Sync + 'static {
    /// A decision that is on its way; [`NoWait`] where all decisions are ready at once.
    ///
    /// Dropped before it is ready, it may or may not have debited the buckets.
    type Wait: Future<Output = Result<Decision, StoreError>> + Send + 'static;

    /// Checks all buckets, then debits all of them, or none where one does not allow it.
    ///
    /// There are at most [`Limits::MAX_QUOTAS`](crate::Limits::MAX_QUOTAS) buckets, of a lane
    /// each, and the decision has a level for each, in their order. Without buckets it is
    /// [uncounted](Decision::uncounted), whether or not the store can be reached. Must not
    /// block.
    ///
    /// # Panics
    /// May panic where two of them are of one lane.
    fn take(&self, buckets: &[Bucket<'_>]) -> StoreReply<Self::Wait>;

    /// Debits a bucket after the fact, or gives back where `delta` is negative, as a token
    /// budget does once it knows what a request has really used. The cost of the bucket is
    /// not looked at.
    ///
    /// A debit is made also where the bucket has not so much left. What is given back never
    /// makes more than a full bucket, and is lost in a window that has passed. Never waits:
    /// a store that is far away queues it, or drops it and counts that.
    fn settle(&self, bucket: &Bucket<'_>, delta: i64);
}

/// A store that several guards share.
impl<S> LimitStore for Arc<S>
where
    S: LimitStore,
{
    type Wait = S::Wait;

    fn take(&self, buckets: &[Bucket<'_>]) -> StoreReply<S::Wait> {
        (**self).take(buckets)
    }

    fn settle(&self, bucket: &Bucket<'_>, delta: i64) {
        (**self).settle(bucket, delta);
    }
}

/// A decision, or one that is on its way.
#[derive(Debug)]
pub enum StoreReply<W> {
    /// Decided.
    Ready(Result<Decision, StoreError>),
    /// On its way.
    Wait(W),
}

/// The [`LimitStore::Wait`] of a store that decides at once. It has no values.
#[derive(Clone, Copy, Debug)]
pub enum NoWait {}

impl Future for NoWait {
    type Output = Result<Decision, StoreError>;

    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Self::Output> {
        match *self {}
    }
}

/// A store that did not decide.
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// Why a store did not decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// It cannot be reached, or does not serve now.
    Unavailable,
    /// It did not answer in time.
    Timeout,
    /// Too many decisions are on their way already.
    Busy,
    /// It has no room for one limit more.
    Full,
    /// It answered something that is no decision.
    Protocol,
}

impl StoreErrorKind {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Unavailable => "the store of limits cannot be reached",
            Self::Timeout => "the store of limits did not answer in time",
            Self::Busy => "too many decisions wait for the store of limits",
            Self::Full => "the store of limits has no room for one limit more",
            Self::Protocol => "the store of limits answered no decision",
        }
    }
}

impl StoreError {
    /// An error of this kind.
    pub fn new(kind: StoreErrorKind) -> Self {
        Self { kind, source: None }
    }

    /// What lies under it.
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Why there is no decision.
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
