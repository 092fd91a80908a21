//! Audit records during an outage of PostgreSQL. A separate test binary, since it stops the
//! server.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[allow(dead_code, reason = "the other tests use the rest")]
#[path = "support/audit.rs"]
mod audit;
#[allow(dead_code, reason = "the other tests use the rest")]
#[path = "support/server.rs"]
mod server;

use audit::{chained, event, event_during_outage, kept_all, sink};
use server::{Database, postgres};
use sqlx::{Connection, PgConnection};
use stockade_audit::AuditLog;
use stockade_sqlx::SqlSink;

// L04
#[tokio::test]
async fn keeps_records_during_an_outage() {
    let database = Database::new().await;
    let journal = chained(sink(database.url())).start().unwrap();
    let log = AuditLog::new(journal.clone());
    event(&log, "before");

    postgres("kill");
    event_during_outage(&journal, "meanwhile");
    assert!(SqlSink::builder(database.url()).open().is_err());
    postgres("resume");
    event(&log, "after");
    drop((log, journal));

    let ask = async |sql: &'static str| {
        let mut connection = PgConnection::connect(database.url()).await.unwrap();
        let values = sqlx::query_scalar(sql).fetch_all(&mut connection).await;
        let values: Vec<String> = values.unwrap();
        values
    };
    kept_all(ask).await;
}
