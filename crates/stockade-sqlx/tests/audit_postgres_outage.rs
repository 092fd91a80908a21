//! A PostgreSQL that crashes under a log. In a program of its own, since it stops the server
//! for all.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[allow(dead_code, reason = "the other tests use the rest")]
#[path = "support/audit.rs"]
mod audit;
#[allow(dead_code, reason = "the other tests use the rest")]
#[path = "support/server.rs"]
mod server;

use audit::{chained, event, event_in_vain, sink, verified};
use server::{Database, postgres};
use sqlx::{Connection, PgConnection};
use stockade_audit::AuditLog;
use stockade_sqlx::SqlSink;

// L04
#[tokio::test]
async fn records_wait_while_the_server_is_down_and_none_is_lost_or_doubled() {
    let database = Database::new().await;
    let journal = chained(sink(database.url())).start().unwrap();
    let log = AuditLog::new(journal.clone());
    event(&log, "before");

    postgres("kill");
    event_in_vain(&journal, "meanwhile");
    assert!(SqlSink::builder(database.url()).open().is_err());
    postgres("resume");
    event(&log, "after");
    drop((log, journal));

    let ask = async |sql: &'static str| {
        let mut connection = PgConnection::connect(database.url()).await.unwrap();
        let texts = sqlx::query_scalar(sql).fetch_all(&mut connection).await;
        let texts: Vec<String> = texts.unwrap();
        texts
    };
    let subjects = "SELECT subject FROM stockade_audit WHERE subject IS NOT NULL ORDER BY position";
    assert_eq!(ask(subjects).await, ["before", "meanwhile", "after"]);
    let recovered = "SELECT line FROM stockade_audit WHERE event = 'sink_recovered'";
    assert_eq!(ask(recovered).await.len(), 1);
    let report = verified(&ask).await;
    assert!(report.is_intact(), "{report:?}");
}
