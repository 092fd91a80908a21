//! Who may ask the model now, who waits, and who is sent away.

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

/// A bounded number of places and a bounded queue before them, first come first served.
#[derive(Debug)]
pub(super) struct Admission {
    slots: Arc<Semaphore>,
    queue: Semaphore,
    capacity: usize,
    max_wait: Duration,
    estimator: WaitEstimator,
    waiting: AtomicUsize,
}

/// Counts one that waits, until dropped.
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

/// The right to ask the model, until dropped.
#[derive(Debug)]
pub(super) struct Slot {
    admission: Arc<Admission>,
    /// Names it to [`WaitEstimator`].
    id: u64,
    _permit: OwnedSemaphorePermit,
}

impl Admission {
    pub(super) fn new(slots: usize, queue: usize, max_wait: Duration) -> Self {
        // A permit may be taken many at a time, which tokio counts in a u32.
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

    /// How many places there are.
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many chats run, and how many wait.
    pub(super) fn load(&self) -> Load {
        Load {
            running: self.estimator.running(),
            waiting: self.waiting.load(Ordering::Relaxed),
        }
    }

    /// How many places are free.
    #[cfg(test)]
    pub(super) fn free(&self) -> usize {
        self.slots.available_permits()
    }

    /// Takes `count` places at once, waiting in the queue if they are not free.
    ///
    /// # Errors
    /// [`BackendError::QueueFull`], at once when the queue is full, or after the longest wait.
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
    async fn refuses_at_once_when_places_and_queue_are_full() {
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
    async fn says_how_long_the_queue_takes() {
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
        // Nothing has been measured but that this one has run for 6 s: so long for it, and
        // as long for the one that waits.
        tokio::time::advance(Duration::from_secs(6)).await;
        assert_eq!(full(), 12);
        drop(slot);
        let slot = waiting.await.unwrap();
        let mut waiting = Box::pin(admission.acquire(1));
        assert!(waiting.as_mut().now_or_never().is_none());
        // Now it is known from the first one.
        assert_eq!(full(), 12);
        drop((slot, waiting));
        assert_eq!(admission.load(), load(0, 0));
    }

    #[tokio::test]
    async fn gives_up_after_the_longest_wait() {
        let admission = Arc::new(Admission::new(1, 1, Duration::ZERO));
        let _slot = admission.acquire(1).await.unwrap();
        let refused = admission.acquire(1).await.unwrap_err();
        assert!(matches!(refused, BackendError::QueueFull { .. }));
    }

    #[tokio::test]
    async fn leaving_the_queue_frees_the_spot() {
        let admission = admission(1, 1);
        let _slot = admission.acquire(1).await.unwrap();
        for _ in 0..3 {
            let mut waiting = Box::pin(admission.acquire(1));
            assert!(waiting.as_mut().now_or_never().is_none());
        }
    }

    #[tokio::test]
    async fn all_places_at_once_means_alone() {
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
