//! The differences between the databases.

use std::io;

use super::table::{AuditTable, SqlTable};
use crate::error;

/// Statements that depend on the database.
pub(super) trait Dialect: sqlx::Database {
    /// Begins a write transaction.
    const BEGIN: &'static str;

    /// Begins a transaction that sees one state of the tables.
    const SNAPSHOT: &'static str;

    /// Inserts the rows of a batch. Parameters: log, position before the first row, JSON array.
    const INSERT: &'static str;

    /// Removes the oldest batches of a log. Parameters: log, end time in seconds, maximum number.
    const PRUNE: &'static str;
}

/// The columns that are copied from a batch.
macro_rules! columns {
    () => {
        "ends_batch, at, level, message, event, request_id, method, path, ip, user_id, status, \
         outcome, guard, code, reason, subject, model, prompt_tokens, completion_tokens, \
         bytes_in, bytes_out, latency_ms, line"
    };
}

/// The statement for [`Dialect::PRUNE`]; `$before` is the expression for the end time.
macro_rules! prune {
    ($before:literal) => {
        concat!(
            "DELETE FROM stockade_audit WHERE log = $1 AND position <= (SELECT max(position) FROM \
             (SELECT position, at FROM stockade_audit WHERE log = $1 AND ends_batch \
             ORDER BY position LIMIT $3) AS oldest WHERE at < ",
            $before,
            // The newest batch is kept: the chain continues from it.
            " AND position < (SELECT last FROM stockade_audit_logs WHERE log = $1))"
        )
    };
}

#[cfg(feature = "sqlite")]
impl Dialect for sqlx::Sqlite {
    const BEGIN: &'static str = "BEGIN IMMEDIATE";
    // The first statement fixes the state.
    const SNAPSHOT: &'static str = "BEGIN";
    const INSERT: &'static str = concat!(
        "INSERT INTO stockade_audit (log, position, ",
        columns!(),
        ") SELECT $1, $2 + (value->>'number'), value->>'ends_batch', value->>'at', \
         value->>'level', value->>'message', value->>'event', value->>'request_id', \
         value->>'method', value->>'path', value->>'ip', value->>'user_id', value->>'status', \
         value->>'outcome', value->>'guard', value->>'code', value->>'reason', \
         value->>'subject', value->>'model', value->>'prompt_tokens', \
         value->>'completion_tokens', value->>'bytes_in', value->>'bytes_out', \
         value->>'latency_ms', value->>'line' FROM json_each($3)",
    );
    const PRUNE: &'static str = prune!("strftime('%Y-%m-%dT%H:%M:%S', $2, 'unixepoch')");
}

#[cfg(feature = "postgres")]
impl Dialect for sqlx::Postgres {
    const BEGIN: &'static str = "BEGIN";
    const SNAPSHOT: &'static str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    const INSERT: &'static str = concat!(
        "INSERT INTO stockade_audit (log, position, ",
        columns!(),
        ") SELECT $1, $2 + number, ",
        columns!(),
        " FROM json_to_recordset($3::json) AS batch (number bigint, ends_batch boolean, \
         at timestamptz, level text, message text, event text, request_id text, method text, \
         path text, ip text, user_id text, status integer, outcome text, guard text, code text, \
         reason text, subject text, model text, prompt_tokens bigint, \
         completion_tokens bigint, bytes_in bigint, bytes_out bigint, \
         latency_ms double precision, line text)",
    );
    const PRUNE: &'static str = prune!("to_timestamp($2)");
}

/// A write fails if another transaction holds a lock longer than this, or if a statement takes
/// too long.
#[cfg(feature = "postgres")]
const LIMITS: &str = "SET lock_timeout = '5s'; SET statement_timeout = '12s'";

/// Connects to the database of a URL, and creates or migrates its tables.
pub(super) async fn connect(url: &str) -> io::Result<Box<dyn AuditTable>> {
    #[cfg(feature = "sqlite")]
    if url.starts_with("sqlite:") {
        use crate::{migrations::SQLITE_AUDIT, sqlite};

        if sqlite::path(url).map_err(error::io)? == ":memory:" {
            return Err(io::Error::other(
                "audit records cannot be stored in memory; use sqlite:PATH",
            ));
        }
        let mut connection = sqlite::connect(url).await.map_err(error::io)?;
        let migrated = sqlite::migrate(&mut connection, &SQLITE_AUDIT).await;
        migrated
            .map_err(error::unavailable)
            .flatten()
            .map_err(error::io)?;
        return Ok(Box::new(SqlTable::<sqlx::Sqlite>(connection)));
    }
    #[cfg(feature = "postgres")]
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        use crate::{migrations::POSTGRES_AUDIT, postgres};

        let unavailable = |error| error::io(error::unavailable(error));
        let options = postgres::options(url).map_err(error::io)?;
        let connected = postgres::connect(&options).await;
        let mut connection = connected.map_err(error::io)?;
        let migrated = postgres::migrate(&mut connection, &POSTGRES_AUDIT).await;
        migrated
            .map_err(error::unavailable)
            .flatten()
            .map_err(error::io)?;
        let limited = sqlx::raw_sql(LIMITS).execute(&mut connection).await;
        limited.map_err(unavailable)?;
        return Ok(Box::new(SqlTable::<sqlx::Postgres>(connection)));
    }
    Err(error::io(error::unsupported_scheme()))
}
