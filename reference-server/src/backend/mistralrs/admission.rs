//! Who may ask the model now, who waits, and who is sent away.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::BackendError;

/// A bounded number of places and a bounded queue before them, first come first served.
#[derive(Debug)]
pub(super) struct Admission {
    places: Arc<Semaphore>,
    queue: Semaphore,
    all: usize,
    longest_wait: Duration,
    /// A running mean of how long a place is held, in milliseconds.
    held: AtomicU64,
}

/// The right to ask the model, until dropped.
#[derive(Debug)]
pub(super) struct Place {
    admission: Arc<Admission>,
    since: Instant,
    _permit: OwnedSemaphorePermit,
}

impl Admission {
    pub(super) fn new(places: usize, queue: usize, longest_wait: Duration) -> Self {
        // A permit may be taken many at a time, which tokio counts in a u32.
        let limit = |n: usize| n.min(1 << 16);
        let all = limit(places.max(1));
        Self {
            places: Arc::new(Semaphore::new(all)),
            queue: Semaphore::new(limit(queue)),
            all,
            longest_wait,
            held: AtomicU64::new(0),
        }
    }

    /// How many places there are.
    pub(super) fn all(&self) -> usize {
        self.all
    }

    /// How many places are free.
    #[cfg(test)]
    pub(super) fn free(&self) -> usize {
        self.places.available_permits()
    }

    /// Takes `count` places at once, waiting in the queue if they are not free.
    ///
    /// # Errors
    /// [`BackendError::QueueFull`], at once when the queue is full, or after the longest wait.
    pub(super) async fn enter(self: &Arc<Self>, count: usize) -> Result<Place, BackendError> {
        let count = u32::try_from(count.min(self.all)).unwrap_or(u32::MAX);
        let permit = match self.places.clone().try_acquire_many_owned(count) {
            Ok(permit) => permit,
            Err(_) => self.wait(count).await?,
        };
        Ok(Place {
            admission: self.clone(),
            since: Instant::now(),
            _permit: permit,
        })
    }

    async fn wait(&self, count: u32) -> Result<OwnedSemaphorePermit, BackendError> {
        let _queued = self.queue.try_acquire().map_err(|_| self.full())?;
        let places = self.places.clone().acquire_many_owned(count);
        match tokio::time::timeout(self.longest_wait, places).await {
            Ok(permit) => Ok(permit.expect("the semaphore is never closed")),
            Err(_) => Err(self.full()),
        }
    }

    fn full(&self) -> BackendError {
        let seconds = self.held.load(Ordering::Relaxed).div_ceil(1000);
        BackendError::QueueFull {
            retry_after: Duration::from_secs(seconds.clamp(1, 60)),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let now = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        // Two drops at once may lose one sample of the mean, which is of no matter.
        let before = self.admission.held.load(Ordering::Relaxed);
        let mean = before - before / 8 + now / 8;
        self.admission.held.store(mean, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn admission(places: usize, queue: usize) -> Arc<Admission> {
        Arc::new(Admission::new(places, queue, Duration::from_secs(60)))
    }

    #[tokio::test]
    async fn refuses_at_once_when_places_and_queue_are_full() {
        let admission = admission(1, 0);
        let place = admission.enter(1).await.unwrap();
        let refused = admission.enter(1).now_or_never().unwrap().unwrap_err();
        assert_eq!(
            refused,
            BackendError::QueueFull {
                retry_after: Duration::from_secs(1)
            }
        );
        drop(place);
        assert!(admission.enter(1).now_or_never().unwrap().is_ok());
    }

    #[tokio::test]
    async fn gives_up_after_the_longest_wait() {
        let admission = Arc::new(Admission::new(1, 1, Duration::ZERO));
        let _place = admission.enter(1).await.unwrap();
        let refused = admission.enter(1).await.unwrap_err();
        assert!(matches!(refused, BackendError::QueueFull { .. }));
    }

    #[tokio::test]
    async fn leaving_the_queue_frees_the_spot() {
        let admission = admission(1, 1);
        let _place = admission.enter(1).await.unwrap();
        for _ in 0..3 {
            let mut waiting = Box::pin(admission.enter(1));
            assert!(waiting.as_mut().now_or_never().is_none());
        }
    }

    #[tokio::test]
    async fn all_places_at_once_means_alone() {
        let admission = admission(3, 2);
        let one = admission.enter(1).await.unwrap();
        let mut alone = Box::pin(admission.enter(3));
        assert!(alone.as_mut().now_or_never().is_none());
        let mut behind = Box::pin(admission.enter(1));
        assert!(behind.as_mut().now_or_never().is_none(), "overtook");
        drop(one);
        let alone = alone.now_or_never().unwrap().unwrap();
        assert!(behind.as_mut().now_or_never().is_none());
        drop(alone);
        assert!(behind.now_or_never().unwrap().is_ok());
    }
}
