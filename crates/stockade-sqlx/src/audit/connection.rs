//! A connection for threads that block.

use std::{future::Future, io, time::Duration};

use tokio::{
    runtime::{self, Handle, Runtime},
    time,
};

use super::{dialect, table::AuditTable};

/// The timeout for writing a batch.
const BATCH_TIMEOUT: Duration = Duration::from_secs(15);

/// A connection that is opened when it is needed, and again after a failure.
pub(super) struct TableConnection {
    url: String,
    /// `None` only while this is dropped.
    runtime: Option<Runtime>,
    table: Option<Box<dyn AuditTable>>,
}

impl TableConnection {
    pub(super) fn new(url: String) -> io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        Ok(Self {
            url,
            runtime: Some(runtime),
            table: None,
        })
    }

    /// Also ends a transaction.
    pub(super) fn close(&mut self) {
        self.table = None;
    }

    /// Runs work on the table, with the existing connection or a new one.
    pub(super) fn with_table<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut dyn AuditTable) -> io::Result<T> + Send,
    ) -> io::Result<T>
    where
        T: Send,
    {
        let (url, table) = (&self.url, &mut self.table);
        let runtime = self.runtime.as_ref().expect("it is there until the drop");
        let done = async || {
            let mut connected = match table.take() {
                Some(connected) => connected,
                None => dialect::connect(url).await?,
            };
            let done = work(&mut *connected).await?;
            // A connection is reused only after success.
            *table = Some(connected);
            Ok(done)
        };
        let done = || runtime.block_on(with_timeout(done()));
        if Handle::try_current().is_err() {
            return done();
        }
        // A runtime thread must not block on a future, but may start a journal.
        std::thread::scope(|scope| {
            let done = scope.spawn(done).join();
            done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

impl Drop for TableConnection {
    fn drop(&mut self) {
        self.table = None;
        if let Some(runtime) = self.runtime.take() {
            // A blocking shutdown panics on a runtime thread, and no task is running.
            runtime.shutdown_background();
        }
    }
}

async fn with_timeout<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let done = time::timeout(BATCH_TIMEOUT, work).await;
    done.unwrap_or_else(|_| Err(io::Error::other("the database does not respond")))
}
