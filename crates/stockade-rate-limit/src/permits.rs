//! Where the places are that requests take while they run.

mod memory;
mod table;

use std::{future::Future, num::NonZeroU32, sync::Arc, time::Duration};

use table::Slot;

use crate::{RateKey, StoreError};

pub use memory::{MemoryPermit, MemoryPermitWait, MemoryPermits};

/// Gives out places and takes them back.
///
/// A store that is far away answers with [`PermitReply::Wait`], lets the server keep the
/// time, and holds a place only as long as its process goes on saying so, so that a process
/// that died gives its places back.
pub trait PermitStore: Send + Sync + 'static {
    /// The places of one request. Dropping it frees them, once, and never waits: a store
    /// that is far away queues the message, within bounds, and lets the place expire where
    /// the message is lost.
    type Permit: Send + 'static;

    /// An answer that is on its way, or a wait for a place. Dropped before it is ready, it
    /// leaves no place in use and nobody in a queue.
    type Wait: Future<Output = Result<Self::Permit, AcquireError>> + Send + 'static;

    /// Takes one place in each of these, or none in any. There is at least one.
    ///
    /// Where one is full, the request waits as long as `queue_timeout` says, first come, first
    /// served for each subject; without `queue_timeout` it is refused at once. Must not block.
    fn acquire(
        &self,
        requests: &[PermitRequest<'_>],
        queue_timeout: Option<QueueTimeout>,
    ) -> PermitReply<Self::Permit, Self::Wait>;
}

/// A store that several guards share.
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

/// A place that a request asks for: one of `max`, with a name and for a subject.
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

    /// The limit's name, the same in every process.
    pub fn limit(&self) -> &'a str {
        self.limit
    }

    /// Who shares the places.
    pub fn key(&self) -> RateKey<'a> {
        self.key
    }

    /// How many there are in all.
    pub fn max(&self) -> NonZeroU32 {
        self.max
    }

    fn slot(&self) -> Slot {
        Slot {
            key: [self.limit_digest, self.key.digest()],
            max: self.max.get(),
        }
    }
}

/// How long a request waits for a place, and in which company.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueTimeout {
    /// How long it waits at most.
    pub timeout: Duration,
    /// How many may wait in this process at once; one more is refused.
    pub max_waiters: usize,
}

/// A permit or none, or an answer that is on its way.
#[derive(Debug)]
pub enum PermitReply<P, W> {
    /// Decided.
    Ready(Result<P, AcquireError>),
    /// On its way, or waiting for a place.
    Wait(W),
}

/// Why there is no permit.
#[derive(Debug)]
#[non_exhaustive]
pub enum AcquireError {
    /// A place is full, after the wait where there was one.
    Full {
        /// Which of those that were asked for; the first one, where several are.
        index: usize,
    },
    /// The store did not answer.
    Store(StoreError),
}
