//! A sink for audit records in a database.

mod connection;
mod dialect;
mod log;
mod row;
mod table;

use std::{
    fmt, io,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use stockade_audit::{Batch, Sink, StoredLog};

pub use log::{SqlAuditLog, SqlAuditReader};

use connection::TableConnection;
use table::Append;

/// Old batches are removed after this many writes, and at most this many: twice as many as were
/// written, but few enough not to delay a write.
const PRUNE_INTERVAL: u32 = 16;
const PRUNE_LIMIT: i64 = 2 * PRUNE_INTERVAL as i64;

/// Writes the records of a journal to SQLite or PostgreSQL.
///
/// - A batch is written to the table `stockade_audit` in one transaction. The journal retries
///   it after a failure. If the result of a commit is unknown, the sink first checks whether the
///   batch was written, so that no record is lost or duplicated.
/// - The exact line is stored, so that a chain can be verified; the other columns are derived
///   from it for queries. All values are bound parameters.
/// - The sink uses the thread of its journal and one connection, and reconnects with the next
///   attempt. Meanwhile the journal's [`Overflow`](stockade_audit::Overflow) applies, and
///   afterwards an event `sink_recovered` records the duration and the reason.
/// - A log with a chain has a single writer: give the log of each process its own name with
///   [`SqlSinkBuilder::log`].
///
/// ```no_run
/// use std::time::Duration;
///
/// use stockade_audit::{AuditLog, Journal, Overflow};
/// use stockade_sqlx::SqlSink;
///
/// let sink = SqlSink::builder("postgres://stockade@db.example.com/audit")
///     .log("server-1")
///     .keep(Duration::from_secs(90 * 86_400))
///     .open()?;
/// let log = AuditLog::new(Journal::builder(sink, Overflow::DropAndCount).start()?);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct SqlSink {
    connection: TableConnection,
    log: String,
    keep: Option<Duration>,
    /// The last known number of records in the log.
    last: i64,
    /// The result of the last attempt is unknown.
    may_be_written: bool,
    /// Batches written since old ones were last removed.
    written: u32,
}

/// Builds a [`SqlSink`]; created by [`SqlSink::builder`].
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

    /// Removes a limited number of old batches.
    fn prune(&mut self) {
        let Some(keep) = self.keep else { return };
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let before = now.unwrap_or_default().saturating_sub(keep);
        let before = i64::try_from(before.as_secs()).unwrap_or(i64::MAX);
        let log = &self.log;
        let done = self
            .connection
            .with_table(async move |table| table.prune(log, before, PRUNE_LIMIT).await);
        if let Err(error) = done {
            // The write has succeeded; removal is tried again later.
            tracing::warn!(%error, "cannot remove old audit records");
        }
    }
}

impl SqlSinkBuilder {
    /// Sets the name of the log, 1 to 64 bytes; the default is `stockade`. Several logs can share
    /// a table.
    pub fn log(mut self, name: impl Into<String>) -> Self {
        self.log = name.into();
        self
    }

    /// Removes records that are older than this while new ones are written; by default all are
    /// kept. Whole batches are removed, so that the remaining chain can be verified.
    pub fn keep(mut self, length: Duration) -> Self {
        self.keep = Some(length);
        self
    }

    /// Connects to the database, and creates or migrates the tables. Blocks the thread.
    ///
    /// # Errors
    /// When the database cannot be used, or the name of the log is invalid. Errors do not
    /// contain the URL, which may contain a password.
    pub fn open(self) -> io::Result<SqlSink> {
        if !(1..=64).contains(&self.log.len()) || self.log.contains('\0') {
            return Err(io::Error::other(
                "the name of a log must have 1 to 64 bytes and no NUL character",
            ));
        }
        let mut sink = SqlSink {
            connection: TableConnection::new(self.url)?,
            log: self.log,
            keep: self.keep,
            last: 0,
            may_be_written: false,
            written: 0,
        };
        let log = &sink.log;
        sink.last = sink
            .connection
            .with_table(async move |table| table.last(log).await)?;
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
        // Until the result is known.
        self.may_be_written = true;
        self.last = self
            .connection
            .with_table(async move |table| table.append(append).await)?;
        self.may_be_written = false;
        self.written += 1;
        if self.written >= PRUNE_INTERVAL {
            self.written = 0;
            self.prune();
        }
        Ok(())
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.connection.close();
        let log = &self.log;
        self.connection
            .with_table(async move |table| table.last(log).await)
            .map(drop)
    }

    fn stored_log(&mut self) -> io::Result<StoredLog> {
        let log = &self.log;
        let (lines, head) = self
            .connection
            .with_table(async move |table| table.newest(log).await)?;
        let log = (!lines.is_empty()).then(|| Box::new(io::Cursor::new(lines)) as _);
        Ok(StoredLog { log, head })
    }

    fn store_head(&mut self, head: &str) -> io::Result<()> {
        let log = &self.log;
        self.connection
            .with_table(async move |table| table.store_head(log, head).await)
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
