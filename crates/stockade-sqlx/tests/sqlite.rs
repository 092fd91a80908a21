//! Keys in SQLite, in a file and in memory.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use sqlx::{Connection, SqliteConnection};
use stockade_key_auth::{KeyStore, KeyStoreErrorKind};
use stockade_sqlx::SqlKeyStore;
use stockade_testkit::key_store;
use tempfile::TempDir;

/// A new file.
struct File(TempDir);

impl File {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn url(&self) -> String {
        format!("sqlite:{}/keys%20of%20all.db", self.0.path().display())
    }

    /// Edits the file with SQL.
    async fn edit(&self, sql: &'static str) {
        let mut connection = SqliteConnection::connect(&self.url()).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_file_passes_the_store_tests_and_persists() {
    support::passes_the_store_tests_and_persists(&File::new().url()).await;
}

#[tokio::test]
async fn memory_passes_the_store_tests() {
    let store = support::connect("sqlite::memory:").await;
    key_store::uphold(&store).await;
    let another = support::connect("sqlite::memory:").await;
    assert!(
        another.list().await.unwrap().is_empty(),
        "each store has its own database"
    );
}

#[tokio::test]
async fn another_store_receives_changes() {
    support::another_store_receives_changes(&File::new().url()).await;
}

#[tokio::test]
async fn a_dropped_change_completes() {
    support::a_dropped_change_completes(&File::new().url()).await;
}

#[tokio::test]
async fn stores_hostile_text_unchanged() {
    support::stores_hostile_text_unchanged(&File::new().url()).await;
}

#[tokio::test]
async fn refuses_values_that_cannot_be_stored() {
    support::refuses_values_that_cannot_be_stored(&File::new().url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn refuses_duplicate_hashes() {
    support::refuses_duplicate_hashes(&File::new().url()).await;
}

#[tokio::test]
async fn an_invalid_row_grants_no_access() {
    let file = File::new();
    support::an_invalid_row_grants_no_access(&file.url(), async |sql| file.edit(sql).await).await;
}

#[tokio::test]
async fn rows_with_the_same_hash_do_not_block_other_changes() {
    let file = File::new();
    let edit = async |sql| file.edit(sql).await;
    support::rows_with_the_same_hash_do_not_block_other_changes(&file.url(), edit).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn supports_concurrent_starts() {
    support::supports_concurrent_starts(&File::new().url()).await;
}

#[tokio::test]
async fn refuses_tables_of_a_newer_release() {
    let file = File::new();
    support::refuses_tables_of_a_newer_release(&file.url(), async |sql| {
        file.edit(sql).await;
    })
    .await;
}

#[cfg(unix)]
#[tokio::test]
async fn files_are_private() {
    use std::os::unix::fs::PermissionsExt;

    let file = File::new();
    let store = support::connect(&file.url()).await;
    support::issue(&store, "a").await;
    let mut names = Vec::new();
    for entry in std::fs::read_dir(file.0.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{entry:?}");
        names.push(entry.file_name());
    }
    names.sort();
    assert_eq!(
        names,
        ["keys of all.db", "keys of all.db-shm", "keys of all.db-wal"]
    );
}

// A23
#[tokio::test]
async fn refuses_invalid_files() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().display();
    std::fs::write(format!("{folder}/text"), "keys:\n".repeat(1_000)).unwrap();
    for path in [
        format!("{folder}/text"),
        format!("{folder}/missing/keys.db"),
        format!("{folder}"),
        format!("{folder}/keys.db?mode=memory"),
        String::new(),
    ] {
        let error = SqlKeyStore::connect(&format!("sqlite:{path}"))
            .await
            .unwrap_err();
        assert_eq!(
            error.kind(),
            KeyStoreErrorKind::Unavailable,
            "{path}: {error}"
        );
    }
    let error = SqlKeyStore::connect("mysql://root:hunter2@db/x")
        .await
        .unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
}
