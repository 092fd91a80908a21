//! Admission control: a bounded number of running chats and a bounded queue.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use super::{BackendError, Load, wait_estimator::WaitEstimator};

/// A bounded number of slots and a bounded FIFO queue for them.
#[derive(Debug)]
pub(super) struct Admission {
    slots: Arc<Semaphore>,
    queue: Semaphore,
    capacity: usize,
    max_wait: Duration,
    estimator: WaitEstimator,
    waiting: AtomicUsize,
}

/// Counts a waiting chat until dropped.
struct WaitingGuard<'a>(&'a AtomicUsize);

impl<'a> WaitingGuard<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for WaitingGuard<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The permission to use the model, until dropped.
#[derive(Debug)]
pub(super) struct Slot {
    admission: Arc<Admission>,
    /// Its id in the [`WaitEstimator`].
    id: u64,
    _permit: OwnedSemaphorePermit,
}

impl Admission {
    pub(super) fn new(slots: usize, queue: usize, max_wait: Duration) -> Self {
        // tokio counts the permits of one acquisition in a `u32`.
        let limit = |n: usize| n.min(1 << 16);
        let capacity = limit(slots.max(1));
        Self {
            slots: Arc::new(Semaphore::new(capacity)),
            queue: Semaphore::new(limit(queue)),
            capacity,
            max_wait,
            estimator: WaitEstimator::default(),
            waiting: AtomicUsize::new(0),
        }
    }

    /// The number of slots.
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// The number of running and waiting chats.
    pub(super) fn load(&self) -> Load {
        Load {
            running: self.estimator.running(),
            waiting: self.waiting.load(Ordering::Relaxed),
        }
    }

    /// The number of free slots.
    #[cfg(test)]
    pub(super) fn free(&self) -> usize {
        self.slots.available_permits()
    }

    /// Acquires `count` slots together, and waits in the queue until they are free.
    ///
    /// # Errors
    /// Returns [`BackendError::QueueFull`] immediately if the queue is full, or after the maximum
    /// wait.
    pub(super) async fn acquire(self: &Arc<Self>, count: usize) -> Result<Slot, BackendError> {
        let count = u32::try_from(count.min(self.capacity)).unwrap_or(u32::MAX);
        let permit = match self.slots.clone().try_acquire_many_owned(count) {
            Ok(permit) => permit,
            Err(_) => self.wait(count).await?,
        };
        Ok(Slot {
            admission: self.clone(),
            id: self.estimator.begin(count, Instant::now()),
            _permit: permit,
        })
    }

    async fn wait(&self, count: u32) -> Result<OwnedSemaphorePermit, BackendError> {
        let _queued = self.queue.try_acquire().map_err(|_| self.full())?;
        let waiting = WaitingGuard::new(&self.waiting);
        let slots = self.slots.clone().acquire_many_owned(count);
        let slot = tokio::time::timeout(self.max_wait, slots).await;
        drop(waiting);
        match slot {
            Ok(permit) => Ok(permit.expect("the semaphore is never closed")),
            Err(_) => Err(self.full()),
        }
    }

    fn full(&self) -> BackendError {
        let waiting = self.waiting.load(Ordering::Relaxed);
        let retry_after = self
            .estimator
            .estimate(waiting + 1, self.capacity, Instant::now());
        BackendError::QueueFull { retry_after }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.admission.estimator.end(self.id, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn load(running: usize, waiting: usize) -> Load {
        Load { running, waiting }
    }

    fn admission(slots: usize, queue: usize) -> Arc<Admission> {
        Arc::new(Admission::new(slots, queue, Duration::from_secs(60)))
    }

    #[tokio::test]
    async fn refuses_immediately_when_slots_and_queue_are_full() {
        let admission = admission(1, 0);
        let slot = admission.acquire(1).await.unwrap();
        let refused = admission.acquire(1).now_or_never().unwrap().unwrap_err();
        assert_eq!(
            refused,
            BackendError::QueueFull {
                retry_after: Duration::from_secs(1)
            }
        );
        drop(slot);
        assert!(admission.acquire(1).now_or_never().unwrap().is_ok());
    }

    // FC09
    #[tokio::test(start_paused = true)]
    async fn estimates_the_wait() {
        let admission = admission(1, 1);
        let full = || {
            let refused = admission.acquire(1).now_or_never();
            match refused.expect("the queue is full").unwrap_err() {
                BackendError::QueueFull { retry_after } => retry_after.as_secs(),
                other => panic!("{other:?}"),
            }
        };
        let slot = admission.acquire(1).await.unwrap();
        let mut waiting = Box::pin(admission.acquire(1));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert_eq!(admission.load(), load(1, 1));
        // The only measurement is the running chat's 6 s: 6 s for it and 6 s for the waiting one.
        tokio::time::advance(Duration::from_secs(6)).await;
        assert_eq!(full(), 12);
        drop(slot);
        let slot = waiting.await.unwrap();
        let mut waiting = Box::pin(admission.acquire(1));
        assert!(waiting.as_mut().now_or_never().is_none());
        // Now the first chat's duration is known.
        assert_eq!(full(), 12);
        drop((slot, waiting));
        assert_eq!(admission.load(), load(0, 0));
    }

    #[tokio::test]
    async fn gives_up_after_the_maximum_wait() {
        let admission = Arc::new(Admission::new(1, 1, Duration::ZERO));
        let _slot = admission.acquire(1).await.unwrap();
        let refused = admission.acquire(1).await.unwrap_err();
        assert!(matches!(refused, BackendError::QueueFull { .. }));
    }

    #[tokio::test]
    async fn leaving_the_queue_frees_its_position() {
        let admission = admission(1, 1);
        let _slot = admission.acquire(1).await.unwrap();
        for _ in 0..3 {
            let mut waiting = Box::pin(admission.acquire(1));
            assert!(waiting.as_mut().now_or_never().is_none());
        }
    }

    #[tokio::test]
    async fn acquiring_all_slots_runs_alone() {
        let admission = admission(3, 2);
        let one = admission.acquire(1).await.unwrap();
        let mut alone = Box::pin(admission.acquire(3));
        assert!(alone.as_mut().now_or_never().is_none());
        let mut behind = Box::pin(admission.acquire(1));
        assert!(behind.as_mut().now_or_never().is_none(), "overtook");
        drop(one);
        let alone = alone.now_or_never().unwrap().unwrap();
        assert!(behind.as_mut().now_or_never().is_none());
        drop(alone);
        assert!(behind.now_or_never().unwrap().is_ok());
    }
}
