//! The permits of one process.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use pin_project_lite::pin_project;
use smallvec::SmallVec;
use tokio::{
    sync::oneshot,
    time::{Sleep, sleep},
};

use super::{
    AcquireError, PermitReply, PermitRequest, PermitStore, QueueTimeout,
    table::{PermitTable, Served, Slot},
};

/// Stores permits in the memory of one process. Clones share them.
///
/// Only keys in use are stored, so there are never more of them than requests in flight. One
/// short lock guards all of them, since the permits of one request have several keys and are
/// acquired together.
///
/// Waiting requests need tokio's timer.
#[derive(Clone, Default)]
pub struct MemoryPermits(Arc<Shared>);

#[derive(Default)]
struct Shared {
    places: Mutex<PermitTable<oneshot::Sender<MemoryPermit>>>,
}

impl MemoryPermits {
    /// Creates an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// The permits of this key in use.
    pub fn in_use(&self, place: &PermitRequest<'_>) -> u32 {
        self.0.lock().in_use(place.slot().key)
    }

    /// The keys with a permit in use.
    pub fn active_keys(&self) -> usize {
        self.0.lock().keys()
    }

    /// The requests that wait for a permit.
    pub fn waiting(&self) -> usize {
        self.0.lock().waiting()
    }
}

impl PermitStore for MemoryPermits {
    type Permit = MemoryPermit;
    type Wait = MemoryPermitWait;

    fn acquire(
        &self,
        places: &[PermitRequest<'_>],
        queue_timeout: Option<QueueTimeout>,
    ) -> PermitReply<MemoryPermit, MemoryPermitWait> {
        let slots: SmallVec<[Slot; 1]> = match places {
            [place] => [place.slot()].into(),
            places => places.iter().map(PermitRequest::slot).collect(),
        };
        let mut state = self.0.lock();
        let full = match state.take(&slots) {
            Ok(()) => {
                drop(state);
                return PermitReply::Ready(Ok(MemoryPermit {
                    shared: Arc::clone(&self.0),
                    places: slots,
                }));
            }
            Err(place) => place,
        };
        let slots = slots.into_boxed_slice();
        let ticket = queue_timeout.and_then(|queue_timeout| {
            let (sender, permit) = oneshot::channel();
            let ticket = state.queue(full, slots.clone(), sender, queue_timeout.max_waiters)?;
            Some((ticket, permit, queue_timeout.timeout))
        });
        drop(state);
        match ticket {
            None => PermitReply::Ready(Err(AcquireError::Full { index: full })),
            Some((ticket, permit, timeout)) => PermitReply::Wait(MemoryPermitWait {
                queued: Queued {
                    shared: Arc::clone(&self.0),
                    ticket,
                    slots,
                },
                permit,
                deadline: sleep(timeout),
            }),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, PermitTable<oneshot::Sender<MemoryPermit>>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryPermits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = self.0.lock();
        f.debug_struct("MemoryPermits")
            .field("active_keys", &places.keys())
            .field("waiting", &places.waiting())
            .finish()
    }
}

/// The permits of one request; released on drop.
pub struct MemoryPermit {
    shared: Arc<Shared>,
    /// One is the common case, and needs no allocation.
    places: SmallVec<[Slot; 1]>,
}

impl Drop for MemoryPermit {
    fn drop(&mut self) {
        let served = self.shared.lock().free(&self.places);
        if served.is_empty() {
            return;
        }
        // All permits exist before the first is sent, so that a panicking waker loses none.
        let permits: Vec<_> = served
            .into_iter()
            .map(|Served { handle, places }| {
                let shared = Arc::clone(&self.shared);
                let places = places.into_vec().into();
                (handle, MemoryPermit { shared, places })
            })
            .collect();
        for (waiter, permit) in permits {
            // If the waiter has left, its permit is dropped here and goes to the next one.
            let _ = waiter.send(permit);
        }
    }
}

impl fmt::Debug for MemoryPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryPermit")
            .field("places", &self.places.len())
            .finish()
    }
}

pin_project! {
    /// A request in the queue; dropping it leaves the queue.
    pub struct MemoryPermitWait {
        queued: Queued,
        permit: oneshot::Receiver<MemoryPermit>,
        #[pin]
        deadline: Sleep,
    }
}

struct Queued {
    shared: Arc<Shared>,
    ticket: u64,
    slots: Box<[Slot]>,
}

impl Queued {
    /// Leaves the queue; the index of the full limit, if it was still queued.
    fn leave(&self) -> Option<usize> {
        // The sender is dropped after the lock is released: it may wake a task.
        let left = self.shared.lock().leave(self.ticket, &self.slots);
        left.map(|(place, _sender)| place)
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Future for MemoryPermitWait {
    type Output = Result<MemoryPermit, AcquireError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(permit) = Pin::new(this.permit).poll(cx) {
            let permit =
                permit.expect("a sender is dropped only after it has sent, or after this has left");
            return Poll::Ready(Ok(permit));
        }
        if this.deadline.poll(cx).is_pending() {
            return Poll::Pending;
        }
        match this.queued.leave() {
            Some(index) => Poll::Ready(Err(AcquireError::Full { index })),
            // A permit is being handed over.
            None => Poll::Pending,
        }
    }
}

impl fmt::Debug for MemoryPermitWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryPermitWait")
            .field("places", &self.queued.slots.len())
            .finish_non_exhaustive()
    }
}
