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
const LINES: &str = "SELECT line FROM stockade_audit WHERE log = $1 AND position > $2 \
    ORDER BY position LIMIT $3";
const HEAD: &str = "SELECT head FROM stockade_audit_logs WHERE log = $1 AND head IS NOT NULL";
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

/// The interface between a sink and a database.
pub(super) trait AuditTable: Send {
    /// The number of records ever written to a log.
    fn last<'t>(&'t mut self, log: &'t str) -> TableFuture<'t, i64>;

    /// Writes a batch, and returns the new number of records in the log.
    fn append(&mut self, batch: Append) -> TableFuture<'_, i64>;

    /// The newest lines, from the start of a batch, and the head.
    fn newest<'t>(&'t mut self, log: &'t str) -> TableFuture<'t, (Vec<u8>, Option<String>)>;

    fn store_head<'t>(&'t mut self, log: &'t str, head: &'t str) -> TableFuture<'t, ()>;

    /// Removes up to `batches` batches that end before a time in seconds since 1970.
    fn prune<'t>(&'t mut self, log: &'t str, before: i64, batches: i64) -> TableFuture<'t, ()>;
}

/// A connection to a database with the table.
pub(super) struct SqlTable<DB>(pub(super) DB::Connection)
where
    DB: Dialect;

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
            let rows = sqlx::query(LINES)
                .bind(log)
                .bind(after.max(last - MAX_RESUME_LINES))
                .bind(MAX_RESUME_LINES)
                .fetch_all(&mut self.0)
                .await?;
            let mut lines = Vec::new();
            for row in rows {
                lines.extend_from_slice(row.try_get::<String, _>(0)?.as_bytes());
                lines.push(b'\n');
            }
            let head = sqlx::query(HEAD)
                .bind(log)
                .fetch_optional(&mut self.0)
                .await?;
            let head = head.map(|row| row.try_get(0)).transpose()?;
            Ok((lines, head))
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
