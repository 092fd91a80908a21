//! The sink of the journal.

use std::{io, sync::Arc, time::Duration};

use stockade::SecretUrl;
use stockade_audit::{Batch, Sink};
use tokio::{
    runtime::{self, Runtime},
    time::timeout,
};

use super::{
    Live,
    record::Record,
    usage::UsageMeter,
    write::{self, prune},
};
use crate::{AdminConfig, AdminError, database::Database, id::random_id, time};

/// The timeout for writing a batch.
const BATCH_TIMEOUT: Duration = Duration::from_secs(15);

/// Old records are removed after this many writes.
const PRUNE_INTERVAL: u32 = 16;

/// Writes records, usage and live figures.
///
/// The journal retries a batch after a failure. The batch has a number, so that it is written
/// once even if the result of a commit is unknown.
pub(crate) struct RecordSink {
    url: SecretUrl,
    keep: Duration,
    live: Arc<Live>,
    meter: UsageMeter,
    /// A random name of this process.
    writer: String,
    /// The number of written batches.
    written: i64,
    /// The present batch, from its first attempt until it is written.
    pending: Option<write::Batch>,
    /// `None` only while the sink is dropped.
    runtime: Option<Runtime>,
    /// `None` before the first batch, and after a failure.
    database: Option<Database>,
    /// Writes since old records were last removed.
    unpruned: u32,
}

impl RecordSink {
    pub(crate) fn new(config: &AdminConfig, live: Arc<Live>) -> Result<Self, AdminError> {
        // Its own, so that the last records are written when the runtime of the program has ended.
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| {
            AdminError::new("cannot start the journal of the administration").with_source(error)
        })?;
        Ok(Self {
            url: config.database.clone(),
            keep: Duration::from_secs(u64::from(config.keep_records_days.get()) * 24 * 60 * 60),
            live,
            meter: UsageMeter::new(config.prices.clone()),
            writer: random_id("writer")?,
            written: 0,
            pending: None,
            runtime: Some(runtime),
            database: None,
            unpruned: 0,
        })
    }

    /// Counts the records of a new batch, and prepares its rows.
    fn prepare(&mut self, batch: &Batch<'_>) -> write::Batch {
        let records = batch.lines().zip(1..);
        let records: Vec<_> = records
            .filter_map(|(line, number)| Record::parse(line, number))
            .collect();
        self.live.add(&records);
        write::Batch {
            writer: self.writer.clone(),
            number: self.written + 1,
            count: batch.lines().count() as i64,
            usage: self.meter.rows(&records),
            records: serde_json::to_string(&records)
                .expect("texts and numbers can be written as JSON"),
        }
    }

    /// Runs work on the database, with a limit of time.
    fn run<T>(
        &mut self,
        work: impl AsyncFnOnce(&Database) -> Result<T, sqlx::Error>,
    ) -> io::Result<T> {
        let (url, database) = (&self.url, &mut self.database);
        let runtime = self.runtime.as_ref().expect("it is there until the drop");
        let done = async {
            let connected = match database.take() {
                Some(connected) => connected,
                None => Database::open_with(url.expose(), 1)
                    .await
                    .map_err(io::Error::other)?,
            };
            let done = work(&connected).await.map_err(io::Error::other)?;
            // A connection is reused only after success.
            *database = Some(connected);
            Ok(done)
        };
        // A timer needs the runtime when it is made.
        let done = runtime.block_on(async { timeout(BATCH_TIMEOUT, done).await });
        done.unwrap_or_else(|_| Err(io::Error::other("the database does not respond")))
    }

    fn prune(&mut self) {
        let keep = i64::try_from(self.keep.as_millis()).unwrap_or(i64::MAX);
        let before = time::now().saturating_sub(keep);
        let done = self.run(async move |database| prune(database, before).await);
        if let Err(error) = done {
            // The write has succeeded; removal is tried again later.
            tracing::warn!(%error, "cannot remove old records of the administration");
        }
    }
}

impl Sink for RecordSink {
    fn write(&mut self, batch: &Batch<'_>) -> io::Result<()> {
        // A retry has the same batch.
        let pending = match self.pending.take() {
            Some(pending) => pending,
            None => self.prepare(batch),
        };
        let rows = pending.clone();
        self.pending = Some(pending);
        self.run(async move |database| write::write(database, &rows).await)?;
        self.pending = None;
        self.written += 1;
        self.unpruned += 1;
        if self.unpruned >= PRUNE_INTERVAL {
            self.unpruned = 0;
            self.prune();
        }
        Ok(())
    }
}

impl Drop for RecordSink {
    fn drop(&mut self) {
        self.database = None;
        if let Some(runtime) = self.runtime.take() {
            // A blocking shutdown panics on a runtime thread, and no task is needed any more.
            runtime.shutdown_background();
        }
    }
}
