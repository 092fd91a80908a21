//! Audit records in PostgreSQL; see `scripts/postgres`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[allow(dead_code, reason = "the other tests use the rest")]
#[path = "support/audit.rs"]
mod audit;
#[path = "support/proxy.rs"]
mod proxy;
#[allow(dead_code, reason = "the other tests use the rest")]
#[path = "support/server.rs"]
mod server;

use audit::{chained, event, sink, verified};
use proxy::Proxy;
use server::Database;
use sqlx::{Connection, PgConnection};
use stockade_audit::AuditLog;

async fn ask(database: &Database, sql: &'static str) -> Vec<String> {
    let mut connection = PgConnection::connect(database.url()).await.unwrap();
    let values = sqlx::query_scalar(sql).fetch_all(&mut connection).await;
    values.unwrap()
}

async fn edit(database: &Database, sql: &'static str) {
    database.edit(sql).await;
}

macro_rules! scenarios {
    ($($name:ident($($way:ident),*);)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                let database = Database::new().await;
                audit::$name(database.url(), $(async |sql| $way(&database, sql).await),*).await;
            }
        )*
    };
}

scenarios! {
    resumes_a_chain(ask);
    forgets_records_of_a_log_in_use(ask);
    reads_a_log_of_many_chunks(ask);
    detects_altered_and_deleted_rows(ask, edit);
    stores_hostile_text_unchanged(ask);
    removes_old_batches_and_keeps_the_chain_valid(ask);
    separates_logs_in_one_table(ask);
    replicas_share_a_log_without_a_chain(ask);
    refuses_invalid_log_names();
    refuses_tables_of_a_newer_release(edit);
}

#[tokio::test]
async fn reconnects_without_losing_or_duplicating_records() {
    let database = Database::new().await;
    let log = AuditLog::new(chained(sink(database.url())).start().unwrap());
    for number in 0..5 {
        event(&log, &number.to_string());
        database
            .edit(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )
            .await;
    }
    event(&log, "last");
    drop(log);
    let subjects = "SELECT subject FROM stockade_audit WHERE subject IS NOT NULL ORDER BY position";
    assert_eq!(
        ask(&database, subjects).await,
        ["0", "1", "2", "3", "4", "last"]
    );
    let report = verified(&async |sql| ask(&database, sql).await).await;
    assert!(report.is_intact(), "{report:?}");
    assert!(
        !ask(
            &database,
            "SELECT line FROM stockade_audit WHERE event = 'sink_recovered'"
        )
        .await
        .is_empty()
    );
}

#[tokio::test]
async fn does_not_repeat_a_commit_without_a_response() {
    let database = Database::new().await;
    let proxy = Proxy::new();
    let log = AuditLog::new(chained(sink(&proxy.url(database.url()))).start().unwrap());
    event(&log, "before");
    proxy.drop_next_response();
    event(&log, "once");
    assert!(proxy.has_dropped());
    event(&log, "after");
    drop(log);
    let subjects = "SELECT subject FROM stockade_audit WHERE subject IS NOT NULL ORDER BY position";
    assert_eq!(ask(&database, subjects).await, ["before", "once", "after"]);
    let report = verified(&async |sql| ask(&database, sql).await).await;
    assert!(report.is_intact(), "{report:?}");
}

#[tokio::test]
async fn works_with_minimal_rights_on_existing_tables() {
    let database = Database::new().await;
    drop(sink(database.url()));
    database
        .edit(
            "CREATE ROLE writer LOGIN; \
             GRANT SELECT, INSERT ON stockade_audit TO writer; \
             GRANT SELECT, INSERT, UPDATE ON stockade_audit_logs TO writer; \
             GRANT SELECT ON stockade_audit_migrations TO writer",
        )
        .await;
    let log = AuditLog::new(chained(sink(&database.url_of("writer"))).start().unwrap());
    event(&log, "a");
    drop(log);
    assert!(
        verified(&async |sql| ask(&database, sql).await)
            .await
            .is_intact()
    );
}

#[tokio::test]
async fn a_locked_log_fails_the_write() {
    let database = Database::new().await;
    let journal = chained(sink(database.url())).start().unwrap();
    let log = AuditLog::new(journal.clone());
    event(&log, "before");
    let mut holder = PgConnection::connect(database.url()).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE stockade_audit IN EXCLUSIVE MODE")
        .execute(&mut holder)
        .await
        .unwrap();
    audit::event_during_outage(&journal, "meanwhile");
    let error = journal.stats().last_error.unwrap();
    assert!(error.contains("lock timeout"), "{error}");
    holder.close().await.unwrap();
    event(&log, "after");
    drop((log, journal));
    let subjects = "SELECT subject FROM stockade_audit WHERE subject IS NOT NULL ORDER BY position";
    assert_eq!(
        ask(&database, subjects).await,
        ["before", "meanwhile", "after"]
    );
}
