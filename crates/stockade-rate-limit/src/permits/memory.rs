//! The permits of one process.

use std::{
    collections::HashSet,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use arrayvec::ArrayVec;
use pin_project_lite::pin_project;
use tokio::{
    sync::oneshot,
    time::{Sleep, sleep},
};

use super::{
    AcquireError, PermitReply, PermitRequest, PermitStore, QueueTimeout,
    counters::{Attempt, CounterIndex, Counters, KeyId, Slot},
    table::{PermitTable, Served},
};

/// Stores permits in the memory of one process. Clones share them.
///
/// Permits are counted without a lock, in 32 kB. A lock guards the queues, and the keys that
/// share a counter with another key in use; there are never more of them than requests in
/// flight.
///
/// Waiting requests need tokio's timer.
///
/// ```
/// use std::num::NonZeroU32;
///
/// use stockade_rate_limit::{ConcurrencyLayer, ConcurrencyLimit, KeyExtractor, MemoryPermits};
///
/// let permits = MemoryPermits::new();
/// let four = NonZeroU32::new(4).expect("4 is not 0");
/// let limit = ConcurrencyLimit::new("key", KeyExtractor::principal(), four);
/// // Layers with clones of the store share its permits.
/// let layer = ConcurrencyLayer::with_store([limit], permits.clone());
/// assert_eq!(permits.waiting(), 0);
/// ```
#[derive(Clone, Default)]
pub struct MemoryPermits(Arc<Shared>);

#[derive(Default)]
struct Shared {
    counters: Counters,
    table: Mutex<Table>,
}

type Table = PermitTable<oneshot::Sender<MemoryPermit>>;

/// The highest number of limits whose permits are acquired without a lock.
const MAX_COUNTED: usize = 4;

impl MemoryPermits {
    /// Creates an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// The permits of this key in use.
    pub fn in_use(&self, request: &PermitRequest<'_>) -> u32 {
        self.0.lock().in_use(&self.0.counters, request.slot().key)
    }

    /// The keys with a permit in use.
    pub fn active_keys(&self) -> usize {
        self.0.active_keys(&self.0.lock())
    }

    /// The requests that wait for a permit.
    pub fn waiting(&self) -> usize {
        self.0.lock().waiting()
    }

    /// Acquires under the lock, where requests can also wait.
    #[cold]
    fn acquire_stored(
        &self,
        requests: &[PermitRequest<'_>],
        queue_timeout: Option<QueueTimeout>,
    ) -> PermitReply<MemoryPermit, MemoryPermitWait> {
        let shared = &self.0;
        let slots: Box<[Slot]> = requests.iter().map(PermitRequest::slot).collect();
        let mut table = shared.lock();
        let full = match table.acquire(&shared.counters, &slots) {
            Ok(()) => {
                drop(table);
                return PermitReply::Ready(Ok(MemoryPermit {
                    shared: Arc::clone(shared),
                    held: Held::Stored(slots),
                }));
            }
            Err(full) => full,
        };
        let Some(QueueTimeout {
            timeout,
            max_waiters,
        }) = queue_timeout
        else {
            table.refuse(&shared.counters, &slots[full]);
            return PermitReply::Ready(Err(AcquireError::Full { index: full }));
        };
        let (sender, permit) = oneshot::channel();
        let waiting = slots.clone();
        let ticket = table.queue(&shared.counters, full, waiting, sender, max_waiters);
        drop(table);
        match ticket {
            None => PermitReply::Ready(Err(AcquireError::Full { index: full })),
            Some(ticket) => PermitReply::Wait(MemoryPermitWait {
                queued: Queued {
                    shared: Arc::clone(shared),
                    ticket,
                    slots,
                },
                permit,
                deadline: sleep(timeout),
            }),
        }
    }
}

impl PermitStore for MemoryPermits {
    type Permit = MemoryPermit;
    type Wait = MemoryPermitWait;

    fn acquire(
        &self,
        requests: &[PermitRequest<'_>],
        queue_timeout: Option<QueueTimeout>,
    ) -> PermitReply<MemoryPermit, MemoryPermitWait> {
        if requests.len() > MAX_COUNTED {
            return self.acquire_stored(requests, queue_timeout);
        }
        let mut held = ArrayVec::new();
        for (index, request) in requests.iter().enumerate() {
            let slot = request.slot();
            let attempt = self.0.counters.acquire(&slot);
            if attempt == Attempt::Acquired {
                held.push(slot.key.index());
                continue;
            }
            self.0.release_counted(&held);
            return match attempt {
                Attempt::Full if queue_timeout.is_none() => {
                    PermitReply::Ready(Err(AcquireError::Full { index }))
                }
                _ => self.acquire_stored(requests, queue_timeout),
            };
        }
        PermitReply::Ready(Ok(MemoryPermit {
            shared: Arc::clone(&self.0),
            held: Held::Counted(held),
        }))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn active_keys(&self, table: &Table) -> usize {
        let keys = self.counters.keys().chain(table.keys());
        keys.collect::<HashSet<_>>().len()
    }

    fn release_counted(self: &Arc<Self>, held: &[CounterIndex]) {
        for &index in held {
            if let Some(key) = self.counters.release(index) {
                self.serve(key);
            }
        }
    }

    #[cold]
    fn serve(self: &Arc<Self>, key: KeyId) {
        let served = self.lock().serve(&self.counters, vec![key]);
        self.hand_over(served);
    }

    #[cold]
    fn release_stored(self: &Arc<Self>, slots: &[Slot]) {
        let served = self.lock().release(&self.counters, slots);
        self.hand_over(served);
    }

    fn hand_over(self: &Arc<Self>, served: Vec<Served<oneshot::Sender<MemoryPermit>>>) {
        // All permits exist before the first is sent, so that a panicking waker loses none.
        let permits: Vec<_> = served
            .into_iter()
            .map(|Served { handle, slots }| {
                let shared = Arc::clone(self);
                let held = Held::Stored(slots);
                (handle, MemoryPermit { shared, held })
            })
            .collect();
        for (waiter, permit) in permits {
            // If the waiter has left, its permit is dropped here and goes to the next one.
            let _ = waiter.send(permit);
        }
    }
}

impl fmt::Debug for MemoryPermits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = self.0.lock();
        f.debug_struct("MemoryPermits")
            .field("active_keys", &self.0.active_keys(&table))
            .field("waiting", &table.waiting())
            .finish()
    }
}

/// The permits of one request; released on drop.
pub struct MemoryPermit {
    shared: Arc<Shared>,
    held: Held,
}

enum Held {
    /// Acquired without the lock.
    Counted(ArrayVec<CounterIndex, MAX_COUNTED>),
    Stored(Box<[Slot]>),
}

impl Drop for MemoryPermit {
    fn drop(&mut self) {
        match &self.held {
            Held::Counted(held) => self.shared.release_counted(held),
            Held::Stored(slots) => self.shared.release_stored(slots),
        }
    }
}

impl fmt::Debug for MemoryPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let permits = match &self.held {
            Held::Counted(held) => held.len(),
            Held::Stored(slots) => slots.len(),
        };
        f.debug_struct("MemoryPermit")
            .field("permits", &permits)
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
        let mut table = self.shared.lock();
        let left = table.leave(&self.shared.counters, self.ticket, &self.slots);
        drop(table);
        left.map(|(full, _sender)| full)
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
            .field("permits", &self.queued.slots.len())
            .finish_non_exhaustive()
    }
}
