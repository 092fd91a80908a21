//! Copies of databases in use.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use sqlx::{Connection, Row, SqliteConnection};
use stockade_sqlx::{snapshot_sqlite, sqlite_faults};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Two rows of one transaction, which a copy has both or neither of.
const PAIR: &str = "INSERT INTO pairs (half) VALUES (1), (2)";

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn url(&self) -> String {
        format!("sqlite:{}/pairs%20of%20rows.db", self.0.path().display())
    }

    async fn open(&self) -> SqliteConnection {
        let url = format!("{}?mode=rwc", self.url());
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        let schema = "PRAGMA journal_mode = WAL; CREATE TABLE IF NOT EXISTS pairs (half INTEGER)";
        sqlx::raw_sql(schema)
            .execute(&mut connection)
            .await
            .unwrap();
        connection
    }
}

async fn count(path: &Path) -> i64 {
    let url = format!("sqlite:{}", path.display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let row = sqlx::query("SELECT count(*) FROM pairs")
        .fetch_one(&mut connection)
        .await;
    row.unwrap().get(0)
}

/// Ends the writer, also if the test fails.
struct Stop<'s>(&'s AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn runtime() -> Runtime {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap()
}

#[test]
fn a_copy_has_whole_transactions_of_a_database_in_use() {
    let folder = Folder::new();
    let mut connection = runtime().block_on(folder.open());
    runtime().block_on(async { sqlx::query(PAIR).execute(&mut connection).await.unwrap() });
    let stopped = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stop = Stop(&stopped);
        scope.spawn(|| {
            runtime().block_on(async {
                while !stopped.load(Ordering::Relaxed) {
                    sqlx::query(PAIR).execute(&mut connection).await.unwrap();
                }
            });
        });
        runtime().block_on(async {
            let mut last = 0;
            for copy in ["1", "2", "3"].map(|name| folder.path(name)) {
                snapshot_sqlite(&folder.url(), &copy).await.unwrap();
                assert!(sqlite_faults(&copy).await.unwrap().is_empty());
                let rows = count(&copy).await;
                assert!(rows > 0 && rows % 2 == 0 && rows >= last, "{rows}");
                last = rows;
            }
        });
    });
}

#[tokio::test]
async fn refuses_a_missing_database_and_an_existing_copy() {
    let folder = Folder::new();
    let copy = folder.path("copy");
    assert!(snapshot_sqlite(&folder.url(), &copy).await.is_err());
    assert!(!copy.exists(), "a missing database is not created");
    folder.open().await.close().await.unwrap();
    fs::write(&copy, "something else").unwrap();
    assert!(snapshot_sqlite(&folder.url(), &copy).await.is_err());
    assert_eq!(fs::read_to_string(&copy).unwrap(), "something else");
}

#[tokio::test]
async fn finds_damaged_files() {
    let folder = Folder::new();
    let mut connection = folder.open().await;
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) \
                INSERT INTO pairs SELECT i FROM n";
    sqlx::query(many).execute(&mut connection).await.unwrap();
    let copy = folder.path("copy");
    snapshot_sqlite(&folder.url(), &copy).await.unwrap();
    assert!(sqlite_faults(&copy).await.unwrap().is_empty());
    let bytes = fs::read(&copy).unwrap();
    for damaged in [
        [&bytes[..8_192], &[0x55; 4_096][..], &bytes[12_288..]].concat(),
        b"not a database".repeat(100),
    ] {
        fs::write(&copy, damaged).unwrap();
        assert!(!sqlite_faults(&copy).await.unwrap().is_empty());
    }
}
