//! Keys in a real PostgreSQL; see `scripts/postgres`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[allow(dead_code, reason = "the other tests use the rest")]
#[path = "support/server.rs"]
mod server;
mod support;

use server::Database;
use stockade_key_auth::{KeyChange, KeyStore, KeyStoreErrorKind};
use stockade_sqlx::SqlKeyStore;

#[tokio::test]
async fn it_upholds_the_suite_and_keeps_what_it_did() {
    support::upholds_the_suite_and_keeps_what_it_did(Database::new().await.url()).await;
}

#[tokio::test]
async fn a_change_is_seen_by_another_store() {
    support::a_change_is_seen_by_another_store(Database::new().await.url()).await;
}

#[tokio::test]
async fn a_change_comes_into_force_when_its_caller_has_left() {
    let database = Database::new().await;
    support::a_change_comes_into_force_when_its_caller_has_left(database.url()).await;
}

#[tokio::test]
async fn hostile_texts_are_texts() {
    support::hostile_texts_are_texts(Database::new().await.url()).await;
}

#[tokio::test]
async fn refuses_what_it_cannot_keep() {
    support::refuses_what_it_cannot_keep(Database::new().await.url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_hash_is_taken_twice() {
    support::no_hash_is_taken_twice(Database::new().await.url()).await;
}

#[tokio::test]
async fn a_row_that_is_not_valid_opens_nothing() {
    let database = Database::new().await;
    support::a_row_that_is_not_valid_opens_nothing(database.url(), async |sql| {
        database.edit(sql).await;
    })
    .await;
}

#[tokio::test]
async fn two_rows_with_one_hash_keep_no_other_change_back() {
    let database = Database::new().await;
    support::two_rows_with_one_hash_keep_no_other_change_back(database.url(), async |sql| {
        database.edit(sql).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_can_start_at_once() {
    support::many_can_start_at_once(Database::new().await.url()).await;
}

#[tokio::test]
async fn tables_of_a_newer_release_are_left_alone() {
    let database = Database::new().await;
    support::tables_of_a_newer_release_are_left_alone(database.url(), async |sql| {
        database.edit(sql).await;
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_is_cut_is_made_again_and_nothing_is_missed() {
    let database = Database::new().await;
    let (here, there) = (
        support::connect(database.url()).await,
        support::connect(database.url()).await,
    );
    let key = support::issue(&here, "a").await;
    support::comes_true("the key passes", async || {
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
    support::comes_true("the key is refused", async || {
        !support::passes(&there, key.expose()).await && !there.health().stale
    })
    .await;
}

#[tokio::test]
async fn a_table_that_somebody_holds_makes_a_change_fail_and_not_wait() {
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
async fn a_role_with_few_rights_is_enough_once_the_tables_are_made() {
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
async fn shows_no_password() {
    let database = Database::new().await;
    let store = support::connect(&database.url_of("stockade:hunter2")).await;
    let shown = format!("{store:?}");
    assert!(
        shown.contains("postgres://") && !shown.contains("hunter2"),
        "{shown}"
    );

    for url in [
        database.url_of("nobody:hunter2"),
        "postgres://nobody:hunter2@127.0.0.1:1/x".to_owned(),
        "postgres://nobody:hunter2@localhost:port/x".to_owned(),
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
async fn noting_use_tells_nobody() {
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
    // Notifications come in the order of their transactions.
    sqlx::raw_sql("NOTIFY stockade_keys, 'end'")
        .execute(&mut listener)
        .await
        .unwrap();
    assert_eq!(listener.recv().await.unwrap().payload(), "end");
}
