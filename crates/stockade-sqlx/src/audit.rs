//! Records in a database.

mod dialect;
mod row;
mod table;

use std::{
    fmt,
    future::Future,
    io,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use stockade_audit::{Batch, Sink, StoredLog};
use tokio::{
    runtime::{self, Handle, Runtime},
    time,
};

use table::{Append, AuditTable};

/// How long a database may take for one batch.
const BATCH_TIMEOUT: Duration = Duration::from_secs(15);

/// After so many batches old ones are removed, this many at most: twice as fast as they come,
/// and never so many that a write waits long.
const PRUNE_INTERVAL: u32 = 16;
const PRUNE_LIMIT: i64 = 2 * PRUNE_INTERVAL as i64;

/// Writes the records of a journal to SQLite or PostgreSQL.
///
/// - A batch is one transaction: all of it is in the table `stockade_audit`, or nothing. It is
///   offered again where the database fails, and where a commit has lost its answer, the sink
///   looks first whether it was made. So no record is lost or doubled.
/// - The whole line is kept, byte by byte, so that a chain can be verified; the other columns
///   are made of it, to be asked for. All values are bound, and none is part of a statement.
/// - It uses the thread of its journal, and one connection. A connection that fails is made
///   again with the next attempt; until then the journal's
///   [`Overflow`](stockade_audit::Overflow) decides, and afterwards a record of the event
///   `sink_recovered` says how long it took, and why.
/// - One process writes a log with a chain: name each process's log by
///   [`SqlSinkBuilder::log`].
pub struct SqlSink {
    url: String,
    log: String,
    keep: Option<Duration>,
    /// Until the sink is dropped.
    runtime: Option<Runtime>,
    table: Option<Box<dyn AuditTable>>,
    /// How many records the log had when it was last heard of.
    last: i64,
    /// The last attempt may have been successful after all.
    may_be_written: bool,
    /// Batches since old ones were last removed.
    written: u32,
}

/// Sets up a [`SqlSink`]; made by [`SqlSink::builder`].
#[derive(Clone)]
pub struct SqlSinkBuilder {
    url: String,
    log: String,
    keep: Option<Duration>,
}

impl SqlSink {
    /// A sink for `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/DATABASE`.
    pub fn builder(url: impl Into<String>) -> SqlSinkBuilder {
        SqlSinkBuilder {
            url: url.into(),
            log: "stockade".to_owned(),
            keep: None,
        }
    }

    /// Does something with the table, over the connection there is or a new one.
    fn with_table<T>(
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
            // Only a connection that has done what it was to do is used again.
            *table = Some(connected);
            Ok(done)
        };
        let done = || runtime.block_on(with_timeout(done()));
        if Handle::try_current().is_err() {
            return done();
        }
        // A journal is also started where futures run, and there none may be waited for.
        std::thread::scope(|scope| {
            let done = scope.spawn(done).join();
            done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Removes a few of the batches that are too old.
    fn prune(&mut self) {
        let Some(keep) = self.keep else { return };
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let before = now.unwrap_or_default().saturating_sub(keep);
        let before = i64::try_from(before.as_secs()).unwrap_or(i64::MAX);
        let log = self.log.clone();
        let done = self.with_table(async move |table| table.prune(&log, before, PRUNE_LIMIT).await);
        if let Err(error) = done {
            // The records are written; old ones have time.
            tracing::warn!(%error, "old audit records could not be removed");
        }
    }
}

async fn with_timeout<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let done = time::timeout(BATCH_TIMEOUT, work).await;
    done.unwrap_or_else(|_| Err(io::Error::other("the database does not answer")))
}

impl SqlSinkBuilder {
    /// The name of the log, 1 to 64 bytes; `stockade` where this is not called. Many logs share
    /// a table.
    pub fn log(mut self, name: impl Into<String>) -> Self {
        self.log = name.into();
        self
    }

    /// Removes records that are older than this, while newer ones are written; none where this
    /// is not called. Whole batches go, so that a chain can be verified from where it begins.
    pub fn keep(mut self, length: Duration) -> Self {
        self.keep = Some(length);
        self
    }

    /// Connects, and makes the tables or brings them up to date. It holds the thread.
    ///
    /// # Errors
    /// When the database cannot be reached or used, or the name of the log is none. No error
    /// shows the URL, which may hold a password.
    pub fn open(self) -> io::Result<SqlSink> {
        if !(1..=64).contains(&self.log.len()) || self.log.contains('\0') {
            return Err(io::Error::other("the name of a log has 1 to 64 bytes"));
        }
        let mut sink = SqlSink {
            url: self.url,
            log: self.log,
            keep: self.keep,
            runtime: Some(
                runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()?,
            ),
            table: None,
            last: 0,
            may_be_written: false,
            written: 0,
        };
        let log = sink.log.clone();
        sink.last = sink.with_table(async move |table| table.last(&log).await)?;
        Ok(sink)
    }
}

impl Sink for SqlSink {
    fn write(&mut self, batch: &Batch<'_>) -> io::Result<()> {
        let lines: Vec<_> = batch.lines().collect();
        let (rows, log) = (row::rows(&lines), self.log.clone());
        let append = Append {
            log,
            rows,
            count: lines.len() as i64,
            newest: lines.last().map_or("", |line| line).to_owned(),
            after: self.last,
            may_be_written: self.may_be_written,
        };
        // Until it is heard that it was, or was not.
        self.may_be_written = true;
        self.last = self.with_table(async move |table| table.append(append).await)?;
        self.may_be_written = false;
        self.written += 1;
        if self.written >= PRUNE_INTERVAL {
            self.written = 0;
            self.prune();
        }
        Ok(())
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.table = None;
        let log = self.log.clone();
        self.with_table(async move |table| table.last(&log).await)
            .map(drop)
    }

    fn stored_log(&mut self) -> io::Result<StoredLog> {
        let log = self.log.clone();
        let (lines, head) = self.with_table(async move |table| table.newest(&log).await)?;
        let log = (!lines.is_empty()).then(|| Box::new(io::Cursor::new(lines)) as _);
        Ok(StoredLog { log, head })
    }

    fn store_head(&mut self, head: &str) -> io::Result<()> {
        let (log, head) = (self.log.clone(), head.to_owned());
        self.with_table(async move |table| table.store_head(&log, &head).await)
    }
}

impl Drop for SqlSink {
    fn drop(&mut self) {
        self.table = None;
        if let Some(runtime) = self.runtime.take() {
            // A runtime may not wait for its end where futures run, and has nothing to wait for.
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for SqlSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlSink")
            .field("log", &self.log)
            .field("keep", &self.keep)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SqlSinkBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlSinkBuilder")
            .field("log", &self.log)
            .field("keep", &self.keep)
            .finish_non_exhaustive()
    }
}
