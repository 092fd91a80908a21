//! A bounded pool for blocking work on requests, such as decoding images.

use std::{sync::Arc, thread};

use tokio::{sync::Semaphore, task};

/// Runs a bounded number of blocking jobs at a time, off the async threads.
#[derive(Clone, Debug)]
pub(crate) struct BlockingPool(Arc<Semaphore>);

impl BlockingPool {
    fn new(permits: usize) -> Self {
        Self(Arc::new(Semaphore::new(permits)))
    }

    /// Creates a pool that runs one job per core at a time.
    pub(crate) fn per_core() -> Self {
        Self::new(thread::available_parallelism().map_or(1, usize::from))
    }

    /// Runs a job; returns `None` if it panicked.
    ///
    /// Dropping the future removes a job that has not started. A job that has started runs to
    /// completion and keeps its permit until then.
    pub(crate) async fn run<T, F>(&self, job: F) -> Option<T>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let permits = Arc::clone(&self.0);
        let permit = permits
            .acquire_owned()
            .await
            .expect("the semaphore is never closed");
        let done = task::spawn_blocking(move || {
            let result = job();
            drop(permit);
            result
        });
        done.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn releases_the_permit_of_a_job_that_panicked() {
        let pool = BlockingPool::new(1);
        assert_eq!(pool.run(|| -> u8 { panic!("as decoders do") }).await, None);
        assert_eq!(pool.run(|| 7).await, Some(7));
    }
}
