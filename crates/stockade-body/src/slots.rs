//! Bounds concurrent validations.

use std::{num::NonZeroUsize, sync::Arc, thread};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bounds the number of concurrent validations on blocking threads.
#[derive(Debug)]
pub(crate) struct ValidationSlots(Arc<Semaphore>);

impl ValidationSlots {
    /// Creates `count` slots; one for each core by default.
    pub(crate) fn new(count: Option<NonZeroUsize>) -> Self {
        let cores = || thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let count = count.map_or_else(cores, NonZeroUsize::get);
        Self(Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS))))
    }

    /// Waits for a slot.
    pub(crate) async fn acquire(&self) -> OwnedSemaphorePermit {
        let slot = Arc::clone(&self.0).acquire_owned().await;
        slot.expect("the semaphore is never closed")
    }
}
