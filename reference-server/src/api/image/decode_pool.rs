//! Where long work on requests is done: off the executor, and not too much at once.

use std::sync::Arc;

use tokio::{sync::Semaphore, task};

/// A bounded number of threads for work that would hold up other requests.
#[derive(Clone, Debug)]
pub(crate) struct DecodePool(Arc<Semaphore>);

impl DecodePool {
    /// A workbench for so many jobs at a time; the others wait.
    pub(crate) fn new(permits: usize) -> Self {
        Self(Arc::new(Semaphore::new(permits)))
    }

    /// Does the work; `None` where it panicked.
    ///
    /// A client who leaves while the work waits takes it away. Work that has begun is
    /// ended, and keeps its place until then.
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
