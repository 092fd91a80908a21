//! Audit records in a SQLite file.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[allow(dead_code, reason = "the other tests use the rest")]
#[path = "support/audit.rs"]
mod audit;

use audit::{chained, event, event_during_outage, sink, verified};
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};
use stockade_audit::AuditLog;
use stockade_sqlx::SqlSink;
use tempfile::TempDir;

/// A new file.
struct File(TempDir);

impl File {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn url(&self) -> String {
        format!("sqlite:{}/audit.db", self.0.path().display())
    }

    async fn open(&self) -> SqliteConnection {
        SqliteConnection::connect(&self.url()).await.unwrap()
    }

    async fn ask(&self, sql: &'static str) -> Vec<String> {
        let mut connection = self.open().await;
        let values = sqlx::query_scalar(sql).fetch_all(&mut connection).await;
        values.unwrap()
    }

    async fn edit(&self, sql: &'static str) {
        sqlx::raw_sql(sql)
            .execute(&mut self.open().await)
            .await
            .unwrap();
    }
}

macro_rules! scenarios {
    ($($name:ident($($way:ident),*);)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                let file = File::new();
                audit::$name(&file.url(), $(async |sql| file.$way(sql).await),*).await;
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
async fn recovers_from_a_locked_file() {
    let file = File::new();
    let journal = chained(sink(&file.url())).start().unwrap();
    let log = AuditLog::new(journal.clone());
    event(&log, "before");
    let mut holder = file.open().await;
    let held = holder.begin_with("BEGIN IMMEDIATE").await.unwrap();
    event_during_outage(&journal, "meanwhile");
    let error = journal.stats().last_error.unwrap();
    assert!(error.contains("locked"), "{error}");
    held.rollback().await.unwrap();
    event(&log, "after");
    drop((log, journal));

    let subjects = "SELECT subject FROM stockade_audit WHERE subject IS NOT NULL ORDER BY position";
    assert_eq!(file.ask(subjects).await, ["before", "meanwhile", "after"]);
    let recovered = "SELECT line FROM stockade_audit WHERE event = 'sink_recovered'";
    assert!(file.ask(recovered).await[0].contains("locked"));
    assert!(verified(&async |sql| file.ask(sql).await).await.is_intact());
}

#[tokio::test]
async fn refuses_invalid_databases() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().display();
    for url in [
        "sqlite::memory:".to_owned(),
        format!("sqlite:{folder}/missing/audit.db"),
        "mysql://root:hunter2@db/x".to_owned(),
        "postgres://guest:hunter2@127.0.0.1:1/x".to_owned(),
    ] {
        let error = SqlSink::builder(&url).open().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        let shown = format!("{:?}", SqlSink::builder(&url));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

// The documentation recommends queries of these columns.
#[tokio::test]
async fn columns_match_the_line() {
    let file = File::new();
    let log = AuditLog::new(chained(sink(&file.url())).start().unwrap());
    event(&log, "team-core");
    drop(log);
    for column in ["level", "message", "event", "subject"] {
        let sql = format!(
            "SELECT count(*) FROM stockade_audit WHERE {column} IS NOT line->>'{column}' \
             OR at <> line->>'timestamp'"
        );
        let differ: i64 = sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_one(&mut file.open().await)
            .await
            .unwrap();
        assert_eq!(differ, 0, "{column}");
    }
}
