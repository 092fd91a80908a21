//! A bounded pool for blocking work on requests, such as decoding images.

use std::sync::Arc;

use tokio::{sync::Semaphore, task};

/// Runs a bounded number of blocking jobs at a time, off the async threads.
#[derive(Clone, Debug)]
pub(crate) struct DecodePool(Arc<Semaphore>);

impl DecodePool {
    /// Creates a pool that runs up to `permits` jobs at a time.
    pub(crate) fn new(permits: usize) -> Self {
        Self(Arc::new(Semaphore::new(permits)))
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
