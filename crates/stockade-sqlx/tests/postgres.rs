//! Keys in PostgreSQL; see `scripts/postgres`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[allow(dead_code, reason = "the other tests use the rest")]
#[path = "support/server.rs"]
mod server;
mod support;

use server::Database;
use stockade_key_auth::{KeyChange, KeyStore, KeyStoreErrorKind};
use stockade_sqlx::SqlKeyStore;
use stockade_testkit::poll::until_async;

#[tokio::test]
async fn passes_the_store_tests_and_persists() {
    support::passes_the_store_tests_and_persists(Database::new().await.url()).await;
}

#[tokio::test]
async fn another_store_receives_changes() {
    support::another_store_receives_changes(Database::new().await.url()).await;
}

#[tokio::test]
async fn a_dropped_change_completes() {
    let database = Database::new().await;
    support::a_dropped_change_completes(database.url()).await;
}

#[tokio::test]
async fn stores_hostile_text_unchanged() {
    support::stores_hostile_text_unchanged(Database::new().await.url()).await;
}

#[tokio::test]
async fn refuses_values_that_cannot_be_stored() {
    support::refuses_values_that_cannot_be_stored(Database::new().await.url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn refuses_duplicate_hashes() {
    support::refuses_duplicate_hashes(Database::new().await.url()).await;
}

#[tokio::test]
async fn an_invalid_row_grants_no_access() {
    let database = Database::new().await;
    support::an_invalid_row_grants_no_access(database.url(), async |sql| {
        database.edit(sql).await;
    })
    .await;
}

#[tokio::test]
async fn rows_with_the_same_hash_do_not_block_other_changes() {
    let database = Database::new().await;
    support::rows_with_the_same_hash_do_not_block_other_changes(database.url(), async |sql| {
        database.edit(sql).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn supports_concurrent_starts() {
    support::supports_concurrent_starts(Database::new().await.url()).await;
}

#[tokio::test]
async fn refuses_tables_of_a_newer_release() {
    let database = Database::new().await;
    support::refuses_tables_of_a_newer_release(database.url(), async |sql| {
        database.edit(sql).await;
    })
    .await;
}

#[tokio::test]
async fn reconnects_without_missing_changes() {
    let database = Database::new().await;
    let (here, there) = (
        support::connect(database.url()).await,
        support::connect(database.url()).await,
    );
    let key = support::issue(&here, "a").await;
    until_async("the key passes", async || {
        support::passes(&there, key.expose()).await
    })
    .await;
    database
        .edit(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid(); \
             UPDATE stockade_keys SET revoked = 1 WHERE id = 'a'",
        )
        .await;
    until_async("the key is refused", async || {
        !support::passes(&there, key.expose()).await && !there.health().stale
    })
    .await;
}

#[tokio::test]
async fn a_locked_table_fails_the_change() {
    use sqlx::{Connection, PgConnection};

    let database = Database::new().await;
    let store = support::connect(database.url()).await;
    let key = support::issue(&store, "a").await;
    let mut holder = PgConnection::connect(database.url()).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE stockade_keys IN EXCLUSIVE MODE")
        .execute(&mut holder)
        .await
        .unwrap();
    let revoke = KeyChange::Revoke { at: support::at(1) };
    let error = store
        .change(support::id("a"), revoke.clone())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), KeyStoreErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("lock timeout"), "{error}");
    assert!(support::passes(&store, key.expose()).await);
    assert_eq!(store.health().failures, 1);

    holder.close().await.unwrap();
    store.change(support::id("a"), revoke).await.unwrap();
    assert!(!support::passes(&store, key.expose()).await);
}

#[tokio::test]
async fn a_slow_database_delays_no_request() {
    use sqlx::{Connection, PgConnection};

    let database = Database::new().await;
    let store = support::connect(database.url()).await;
    let (key, other) = (
        support::issue(&store, "a").await,
        support::issue(&store, "b").await,
    );
    let mut holder = PgConnection::connect(database.url()).await.unwrap();
    // Readers wait for the end of the transaction.
    sqlx::raw_sql(
        "BEGIN; LOCK TABLE stockade_keys IN ACCESS EXCLUSIVE MODE; \
         UPDATE stockade_keys SET revoked = 1 WHERE id = 'a'",
    )
    .execute(&mut holder)
    .await
    .unwrap();
    let reload = tokio::spawn({
        let store = store.clone();
        async move { store.reload().await }
    });
    until_async("the reload waits", async || {
        let waiting = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity \
             WHERE datname = current_database() AND wait_event_type = 'Lock'",
        );
        let waiting: i64 = waiting.fetch_one(&mut holder).await.unwrap();
        waiting > 0
    })
    .await;
    assert!(support::passes(&store, key.expose()).await);
    assert!(!reload.is_finished());

    sqlx::raw_sql("COMMIT").execute(&mut holder).await.unwrap();
    reload.await.unwrap().unwrap();
    assert!(!support::passes(&store, key.expose()).await);
    assert!(support::passes(&store, other.expose()).await);
    assert!(!store.health().stale);
}

#[tokio::test]
async fn works_with_minimal_rights_on_existing_tables() {
    let database = Database::new().await;
    support::connect(database.url()).await;
    database
        .edit(
            "CREATE ROLE few LOGIN; \
             GRANT SELECT, INSERT, UPDATE ON stockade_keys TO few; \
             GRANT SELECT ON stockade_migrations TO few",
        )
        .await;
    let store = support::connect(&database.url_of("few")).await;
    let key = support::issue(&store, "a").await;
    store
        .change(support::id("a"), KeyChange::Revoke { at: support::at(1) })
        .await
        .unwrap();
    assert!(!support::passes(&store, key.expose()).await);
}

#[tokio::test]
async fn hides_passwords() {
    let database = Database::new().await;
    let store = support::connect(&database.url_of("stockade:hunter2")).await;
    let shown = format!("{store:?}");
    assert!(
        shown.contains("postgres://") && !shown.contains("hunter2"),
        "{shown}"
    );

    for url in [
        database.url_of("guest:hunter2"),
        "postgres://guest:hunter2@127.0.0.1:1/x".to_owned(),
        "postgres://guest:hunter2@localhost:port/x".to_owned(),
    ] {
        let error = SqlKeyStore::connect(&url).await.unwrap_err();
        assert_eq!(error.kind(), KeyStoreErrorKind::Unavailable, "{error}");
        assert!(
            !format!("{error} {error:?}").contains("hunter2"),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn recording_use_sends_no_notification() {
    let database = Database::new().await;
    let store = support::connect(database.url()).await;
    support::issue(&store, "a").await;
    let mut listener = sqlx::postgres::PgListener::connect(database.url())
        .await
        .unwrap();
    listener.listen("stockade_keys").await.unwrap();
    store
        .record_use(vec![support::id("a")], support::at(5))
        .await
        .unwrap();
    // Notifications arrive in the order of their transactions.
    sqlx::raw_sql("NOTIFY stockade_keys, 'end'")
        .execute(&mut listener)
        .await
        .unwrap();
    assert_eq!(listener.recv().await.unwrap().payload(), "end");
}
