//! Keys in SQLite: in a file, and in memory.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use sqlx::{Connection, SqliteConnection};
use stockade_key_auth::{KeyStore, KeyStoreErrorKind};
use stockade_sqlx::SqlKeyStore;
use stockade_testkit::key_store;
use tempfile::TempDir;

/// A file that is not there yet.
struct File(TempDir);

impl File {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn url(&self) -> String {
        format!("sqlite:{}/keys%20of%20all.db", self.0.path().display())
    }

    /// Edits the file by hand.
    async fn edit(&self, sql: &'static str) {
        let mut connection = SqliteConnection::connect(&self.url()).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_file_upholds_the_suite_and_keeps_what_it_did() {
    support::upholds_the_suite_and_keeps_what_it_did(&File::new().url()).await;
}

#[tokio::test]
async fn memory_upholds_the_suite() {
    let store = support::connect("sqlite::memory:").await;
    key_store::uphold(&store).await;
    let another = support::connect("sqlite::memory:").await;
    assert!(another.list().await.unwrap().is_empty(), "one for each");
}

#[tokio::test]
async fn a_change_is_seen_by_another_store() {
    support::a_change_is_seen_by_another_store(&File::new().url()).await;
}

#[tokio::test]
async fn a_change_comes_into_force_when_its_caller_has_left() {
    support::a_change_comes_into_force_when_its_caller_has_left(&File::new().url()).await;
}

#[tokio::test]
async fn hostile_texts_are_texts() {
    support::hostile_texts_are_texts(&File::new().url()).await;
}

#[tokio::test]
async fn refuses_what_it_cannot_keep() {
    support::refuses_what_it_cannot_keep(&File::new().url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_hash_is_taken_twice() {
    support::no_hash_is_taken_twice(&File::new().url()).await;
}

#[tokio::test]
async fn a_row_that_is_not_valid_opens_nothing() {
    let file = File::new();
    support::a_row_that_is_not_valid_opens_nothing(&file.url(), async |sql| file.edit(sql).await)
        .await;
}

#[tokio::test]
async fn two_rows_with_one_hash_keep_no_other_change_back() {
    let file = File::new();
    let edit = async |sql| file.edit(sql).await;
    support::two_rows_with_one_hash_keep_no_other_change_back(&file.url(), edit).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_can_start_at_once() {
    support::many_can_start_at_once(&File::new().url()).await;
}

#[tokio::test]
async fn tables_of_a_newer_release_are_left_alone() {
    let file = File::new();
    support::tables_of_a_newer_release_are_left_alone(&file.url(), async |sql| {
        file.edit(sql).await;
    })
    .await;
}

#[cfg(unix)]
#[tokio::test]
async fn its_files_are_for_their_owner_only() {
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
async fn refuses_to_start_with_what_is_no_database() {
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
