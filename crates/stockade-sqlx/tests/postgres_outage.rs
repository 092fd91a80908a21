//! A PostgreSQL that crashes. In a program of its own, since it stops the server for all.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[allow(dead_code, reason = "the other tests use the rest")]
#[path = "support/server.rs"]
mod server;
#[allow(dead_code, reason = "the other tests use the rest")]
mod support;

use server::{Database, postgres};
use stockade_key_auth::{KeyChange, KeyStore, KeyStoreErrorKind};

#[tokio::test]
async fn known_keys_stay_in_force_while_the_server_is_down() {
    let database = Database::new().await;
    let (here, there) = (
        support::connect(database.url()).await,
        support::connect(database.url()).await,
    );
    let (key, other) = (
        support::issue(&here, "a").await,
        support::issue(&here, "b").await,
    );
    support::comes_true("the keys pass", async || {
        support::passes(&there, other.expose()).await
    })
    .await;

    postgres("kill");
    support::comes_true("the outage is seen", async || there.health().stale).await;
    let revoke = |name| (support::id(name), KeyChange::Revoke { at: support::at(1) });
    for store in [&here, &there] {
        assert!(support::passes(store, key.expose()).await);
        let (id, change) = revoke("a");
        let error = store.change(id, change).await.unwrap_err();
        assert_eq!(error.kind(), KeyStoreErrorKind::Unavailable, "{error}");
        let error = store.reload().await.unwrap_err();
        assert_eq!(error.kind(), KeyStoreErrorKind::Unavailable, "{error}");
        assert!(
            support::passes(store, key.expose()).await,
            "as if nothing had happened"
        );
    }
    let seen = there.health();
    assert!(seen.failures >= 3, "{seen:?}");

    postgres("resume");
    let (id, change) = revoke("a");
    here.change(id, change).await.unwrap();
    support::comes_true("the change is seen elsewhere", async || {
        !support::passes(&there, key.expose()).await
    })
    .await;
    assert!(support::passes(&there, other.expose()).await);
    support::comes_true("all is well", async || !there.health().stale).await;
    assert!(there.health().last_success > seen.last_success);

    // It listens again, and does not only read once.
    let (id, change) = revoke("b");
    here.change(id, change).await.unwrap();
    support::comes_true("the next change is seen, too", async || {
        !support::passes(&there, other.expose()).await
    })
    .await;
}
