//! Stores for the permits of requests in flight.

mod counters;
mod memory;
mod table;

use std::{future::Future, num::NonZeroU32, sync::Arc, time::Duration};

use counters::{KeyId, Slot};

use crate::{RateKey, StoreError};

pub use memory::{MemoryPermit, MemoryPermitWait, MemoryPermits};

/// Grants and releases permits.
///
/// A remote store returns [`PermitReply::Wait`], uses the server's clock, and expects the
/// holding process to renew its permits, so that the permits of a crashed process expire.
pub trait PermitStore: Send + Sync + 'static {
    /// The permits of one request. Dropping it releases them once and never blocks: a remote
    /// store queues the release within bounds, and lets the permit expire if the release is
    /// lost.
    type Permit: Send + 'static;

    /// A pending reply, or a queued request. If it is dropped early, it holds no permit and
    /// leaves the queue.
    type Wait: Future<Output = Result<Self::Permit, AcquireError>> + Send + 'static;

    /// Acquires one permit for each request, or none at all. There is at least one request.
    ///
    /// If a limit is full, the request waits up to `queue_timeout`, first come, first served
    /// per key; without a `queue_timeout` it fails immediately. Must not block.
    fn acquire(
        &self,
        requests: &[PermitRequest<'_>],
        queue_timeout: Option<QueueTimeout>,
    ) -> PermitReply<Self::Permit, Self::Wait>;
}

/// Allows several guards to share a store.
impl<P> PermitStore for Arc<P>
where
    P: PermitStore,
{
    type Permit = P::Permit;
    type Wait = P::Wait;

    fn acquire(
        &self,
        requests: &[PermitRequest<'_>],
        queue_timeout: Option<QueueTimeout>,
    ) -> PermitReply<P::Permit, P::Wait> {
        (**self).acquire(requests, queue_timeout)
    }
}

/// A request for one of `max` permits, identified by a limit and a key.
#[derive(Clone, Copy, Debug)]
pub struct PermitRequest<'a> {
    limit: &'a str,
    limit_digest: u64,
    key: RateKey<'a>,
    max: NonZeroU32,
}

impl<'a> PermitRequest<'a> {
    pub(crate) fn new(
        limit: &'a str,
        limit_digest: u64,
        key: RateKey<'a>,
        max: NonZeroU32,
    ) -> Self {
        Self {
            limit,
            limit_digest,
            key,
            max,
        }
    }

    /// The name of the limit, the same in every process.
    pub fn limit(&self) -> &'a str {
        self.limit
    }

    /// The key that the permits are counted by.
    pub fn key(&self) -> RateKey<'a> {
        self.key
    }

    /// The number of permits in total.
    pub fn max(&self) -> NonZeroU32 {
        self.max
    }

    fn slot(&self) -> Slot {
        Slot {
            key: KeyId::new(self.limit_digest, self.key.digest()),
            max: self.max.get(),
        }
    }
}

/// How long a request waits for a permit, and how many may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueTimeout {
    /// The longest wait.
    pub timeout: Duration,
    /// The number of requests that may wait in this process; further requests are refused.
    pub max_waiters: usize,
}

impl QueueTimeout {
    /// Waits up to `timeout`, together with at most `max_waiters` others.
    pub fn new(timeout: Duration, max_waiters: usize) -> Self {
        Self {
            timeout,
            max_waiters,
        }
    }
}

/// The reply of a [`PermitStore`].
#[derive(Debug)]
pub enum PermitReply<P, W> {
    /// The result is known.
    Ready(Result<P, AcquireError>),
    /// The result is pending, or the request is queued.
    Wait(W),
}

/// The reason why no permit was acquired.
#[derive(Debug)]
#[non_exhaustive]
pub enum AcquireError {
    /// A limit is full, also after the wait, if there was one.
    Full {
        /// The index of the first request whose limit is full.
        index: usize,
    },
    /// The store failed.
    Store(StoreError),
}
