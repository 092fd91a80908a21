//! The table of records, independently of the database.

use std::{future::Future, io, pin::Pin};

use sqlx::{ColumnIndex, Connection, Decode, Encode, Executor, IntoArguments, Row, Type};

use super::dialect::Dialect;
use crate::error;

/// The number of records that are read to resume a chain. The second one limits it for a log
/// without the end of a batch, which was tampered with.
const RESUME_LINES: i64 = 1_000;
const MAX_RESUME_LINES: i64 = 100_000;

/// Reserves the positions of a batch. Locks the row of the log until the end of the transaction,
/// which serialises writers.
const RESERVE_POSITIONS: &str = "INSERT INTO stockade_audit_logs (log, last) VALUES ($1, $2) \
    ON CONFLICT (log) DO UPDATE SET last = stockade_audit_logs.last + excluded.last \
    RETURNING last";
const FIND_LINE: &str = "SELECT count(*) FROM stockade_audit \
    WHERE log = $1 AND position > $2 AND line = $3";
const LAST: &str = "SELECT coalesce(max(last), 0) FROM stockade_audit_logs WHERE log = $1";
const BATCH_BEFORE: &str = "SELECT coalesce(max(position), 0) FROM stockade_audit \
    WHERE log = $1 AND ends_batch AND position <= $2";
const LINES: &str = "SELECT position, line FROM stockade_audit WHERE log = $1 AND position > $2 \
    ORDER BY position LIMIT $3";
const HEAD: &str = "SELECT head FROM stockade_audit_logs WHERE log = $1 AND head IS NOT NULL";
/// The columns of a record that was forgotten, unless it has changed.
const FORGET: &str = "UPDATE stockade_audit SET line = $4, level = 'info', \
    message = 'record forgotten', event = 'record_forgotten', request_id = NULL, method = NULL, \
    path = NULL, ip = NULL, user_id = NULL, status = NULL, outcome = NULL, guard = NULL, \
    code = NULL, reason = NULL, subject = NULL, model = NULL, prompt_tokens = NULL, \
    completion_tokens = NULL, bytes_in = NULL, bytes_out = NULL, latency_ms = NULL \
    WHERE log = $1 AND position = $2 AND line = $3 RETURNING position";
const KEEP_HEAD: &str = "UPDATE stockade_audit_logs SET head = $2 WHERE log = $1";

pub(super) type TableFuture<'d, T> = Pin<Box<dyn Future<Output = io::Result<T>> + 'd>>;

/// A batch to write.
pub(super) struct Append {
    pub(super) log: String,
    /// The rows, from [`rows`](super::row::rows).
    pub(super) rows: String,
    pub(super) count: i64,
    /// The last line.
    pub(super) newest: String,
    /// The last known number of records in the log.
    pub(super) after: i64,
    /// The batch may have been written already.
    pub(super) may_be_written: bool,
}

/// A row of a log.
pub(super) struct StoredLine {
    pub(super) position: i64,
    /// The record, without a line feed.
    pub(super) line: String,
}

/// The interface between a sink and a database.
pub(super) trait AuditTable: Send {
    /// The number of records ever written to a log.
    fn last<'t>(&'t mut self, log: &'t str) -> TableFuture<'t, i64>;

    /// Writes a batch, and returns the new number of records in the log.
    fn append(&mut self, batch: Append) -> TableFuture<'_, i64>;

    /// The newest lines, from the start of a batch, and the head.
    fn newest<'t>(&'t mut self, log: &'t str) -> TableFuture<'t, (Vec<u8>, Option<String>)>;

    /// The first lines after a position.
    fn lines<'t>(
        &'t mut self,
        log: &'t str,
        after: i64,
        limit: i64,
    ) -> TableFuture<'t, Vec<StoredLine>>;

    fn head<'t>(&'t mut self, log: &'t str) -> TableFuture<'t, Option<String>>;

    fn store_head<'t>(&'t mut self, log: &'t str, head: &'t str) -> TableFuture<'t, ()>;

    /// Begins to read a snapshot of the tables, until the connection is closed.
    fn begin_snapshot(&mut self) -> TableFuture<'_, ()>;

    /// Replaces lines by those of forgotten records, and returns how many: another line at the
    /// position is kept.
    fn forget<'t>(
        &'t mut self,
        log: &'t str,
        lines: Vec<(StoredLine, String)>,
    ) -> TableFuture<'t, u64>;

    /// Removes up to `batches` batches that end before a time in seconds since 1970.
    fn prune<'t>(&'t mut self, log: &'t str, before: i64, batches: i64) -> TableFuture<'t, ()>;
}

/// A connection to a database with the table.
pub(super) struct SqlTable<DB>(pub(super) DB::Connection)
where
    DB: Dialect;

impl<DB> SqlTable<DB>
where
    DB: Dialect<Arguments: IntoArguments<DB>>,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
    for<'q> &'q str: Encode<'q, DB> + Type<DB>,
    for<'q> i64: Encode<'q, DB> + Decode<'q, DB> + Type<DB>,
    for<'r> String: Decode<'r, DB> + Type<DB>,
    usize: ColumnIndex<DB::Row>,
{
    async fn read_lines(
        &mut self,
        log: &str,
        after: i64,
        limit: i64,
    ) -> sqlx::Result<Vec<StoredLine>> {
        let rows = sqlx::query(LINES)
            .bind(log)
            .bind(after)
            .bind(limit)
            .fetch_all(&mut self.0)
            .await?;
        let lines = rows.iter().map(|row| {
            Ok(StoredLine {
                position: row.try_get(0)?,
                line: row.try_get(1)?,
            })
        });
        lines.collect()
    }

    async fn read_head(&mut self, log: &str) -> sqlx::Result<Option<String>> {
        let head = sqlx::query(HEAD)
            .bind(log)
            .fetch_optional(&mut self.0)
            .await?;
        head.map(|row| row.try_get(0)).transpose()
    }
}

impl<DB> AuditTable for SqlTable<DB>
where
    DB: Dialect<Arguments: IntoArguments<DB>>,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
    for<'q> &'q str: Encode<'q, DB> + Type<DB>,
    for<'q> i64: Encode<'q, DB> + Decode<'q, DB> + Type<DB>,
    for<'r> String: Decode<'r, DB> + Type<DB>,
    usize: ColumnIndex<DB::Row>,
{
    fn last<'t>(&'t mut self, log: &'t str) -> TableFuture<'t, i64> {
        boxed(async move {
            let row = sqlx::query(LAST).bind(log).fetch_one(&mut self.0).await?;
            row.try_get(0)
        })
    }

    fn append(&mut self, batch: Append) -> TableFuture<'_, i64> {
        boxed(async move {
            let mut transaction = self.0.begin_with(DB::BEGIN).await?;
            let taken = sqlx::query(RESERVE_POSITIONS)
                .bind(batch.log.as_str())
                .bind(batch.count)
                .fetch_one(&mut *transaction)
                .await?;
            let last: i64 = taken.try_get(0)?;
            if batch.may_be_written {
                let found = sqlx::query(FIND_LINE)
                    .bind(batch.log.as_str())
                    .bind(batch.after)
                    .bind(batch.newest.as_str())
                    .fetch_one(&mut *transaction)
                    .await?;
                if found.try_get::<i64, _>(0)? > 0 {
                    transaction.rollback().await?;
                    return Ok(last - batch.count);
                }
            }
            sqlx::query(DB::INSERT)
                .bind(batch.log.as_str())
                .bind(last - batch.count)
                .bind(batch.rows.as_str())
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
            Ok(last)
        })
    }

    fn newest<'t>(&'t mut self, log: &'t str) -> TableFuture<'t, (Vec<u8>, Option<String>)> {
        boxed(async move {
            let row = sqlx::query(LAST).bind(log).fetch_one(&mut self.0).await?;
            let last: i64 = row.try_get(0)?;
            let row = sqlx::query(BATCH_BEFORE)
                .bind(log)
                .bind(last - RESUME_LINES)
                .fetch_one(&mut self.0)
                .await?;
            let after: i64 = row.try_get(0)?;
            let after = after.max(last - MAX_RESUME_LINES);
            let rows = self.read_lines(log, after, MAX_RESUME_LINES).await?;
            let mut lines = Vec::new();
            for row in rows {
                lines.extend_from_slice(row.line.as_bytes());
                lines.push(b'\n');
            }
            let head = self.read_head(log).await?;
            Ok((lines, head))
        })
    }

    fn lines<'t>(
        &'t mut self,
        log: &'t str,
        after: i64,
        limit: i64,
    ) -> TableFuture<'t, Vec<StoredLine>> {
        boxed(self.read_lines(log, after, limit))
    }

    fn head<'t>(&'t mut self, log: &'t str) -> TableFuture<'t, Option<String>> {
        boxed(self.read_head(log))
    }

    fn begin_snapshot(&mut self) -> TableFuture<'_, ()> {
        boxed(async move {
            sqlx::query(DB::SNAPSHOT)
                .execute(&mut self.0)
                .await
                .map(drop)
        })
    }

    fn forget<'t>(
        &'t mut self,
        log: &'t str,
        lines: Vec<(StoredLine, String)>,
    ) -> TableFuture<'t, u64> {
        boxed(async move {
            let mut transaction = self.0.begin_with(DB::BEGIN).await?;
            let mut count = 0;
            for (stored, new) in &lines {
                let updated = sqlx::query(FORGET)
                    .bind(log)
                    .bind(stored.position)
                    .bind(stored.line.as_str())
                    .bind(new.as_str())
                    .fetch_optional(&mut *transaction)
                    .await?;
                count += u64::from(updated.is_some());
            }
            transaction.commit().await?;
            Ok(count)
        })
    }

    fn store_head<'t>(&'t mut self, log: &'t str, head: &'t str) -> TableFuture<'t, ()> {
        boxed(async move {
            let keep = sqlx::query(KEEP_HEAD).bind(log).bind(head);
            keep.execute(&mut self.0).await.map(drop)
        })
    }

    fn prune<'t>(&'t mut self, log: &'t str, before: i64, batches: i64) -> TableFuture<'t, ()> {
        boxed(async move {
            let prune = sqlx::query(DB::PRUNE).bind(log).bind(before).bind(batches);
            prune.execute(&mut self.0).await.map(drop)
        })
    }
}

/// Boxes a future, and converts its error.
fn boxed<'d, T>(work: impl Future<Output = sqlx::Result<T>> + 'd) -> TableFuture<'d, T> {
    Box::pin(async move {
        work.await
            .map_err(|error| error::io(error::unavailable(error)))
    })
}
