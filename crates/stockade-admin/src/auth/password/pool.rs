//! Blocking threads for password hashes, with bounded concurrency.

use std::{num::NonZeroUsize, sync::Arc};

use tokio::{sync::Semaphore, task};

/// Which threads hash a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Logins from networks of the user, and requests of authenticated users. A flood of other
    /// logins does not delay them.
    Known,
    /// All other requests.
    Other,
}

/// The queue of the lane is full.
#[derive(Debug)]
pub(super) struct Busy;

#[derive(Debug)]
pub(super) struct Pool {
    known: Queue,
    other: Queue,
}

#[derive(Debug)]
struct Queue {
    /// For running and waiting requests.
    places: Arc<Semaphore>,
    /// For running requests. Waiting requests are served in order of arrival; the throttle limits
    /// those of one network.
    threads: Arc<Semaphore>,
}

impl Pool {
    pub(super) async fn run<T, F>(&self, lane: Lane, work: F) -> Result<T, Busy>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let queue = match lane {
            Lane::Known => &self.known,
            Lane::Other => &self.other,
        };
        let place = queue.places.clone().try_acquire_owned().map_err(|_| Busy)?;
        let threads = queue.threads.clone().acquire_owned();
        let thread = threads.await.map_err(|_| Busy)?;
        // The permits move with the work: a client that disconnects frees them only when its
        // work has ended.
        let work = task::spawn_blocking(move || {
            let _permits = (place, thread);
            work()
        });
        work.await.map_err(|error| {
            tracing::error!(%error, "a password hash failed");
            Busy
        })
    }
}

impl Default for Pool {
    /// Half of the cores for other requests, and one thread for known networks.
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self {
            known: Queue::new(1, 8),
            other: Queue::new((cores / 2).max(1), 32),
        }
    }
}

impl Queue {
    fn new(threads: usize, waiting: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(threads + waiting)),
            threads: Arc::new(Semaphore::new(threads)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn bounds_its_queue_and_keeps_a_lane_for_known_networks() {
        let pool = Arc::new(Pool {
            known: Queue::new(1, 0),
            other: Queue::new(1, 0),
        });
        let (release, wait) = mpsc::channel::<()>();
        let (start, started) = tokio::sync::oneshot::channel();
        let running = tokio::spawn({
            let pool = pool.clone();
            async move {
                let work = move || {
                    start.send(()).unwrap();
                    wait.recv().is_err()
                };
                pool.run(Lane::Other, work).await.unwrap()
            }
        });
        started.await.unwrap();
        assert!(pool.run(Lane::Other, || ()).await.is_err());
        assert_eq!(pool.run(Lane::Known, || 7).await.unwrap(), 7);
        drop(release);
        assert!(running.await.unwrap());
        assert_eq!(pool.run(Lane::Other, || 8).await.unwrap(), 8);
    }
}
