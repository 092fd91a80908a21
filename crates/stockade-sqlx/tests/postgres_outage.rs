//! Keys during an outage of PostgreSQL. A separate test binary, since it stops the server.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[allow(dead_code, reason = "the other tests use the rest")]
#[path = "support/server.rs"]
mod server;
#[allow(dead_code, reason = "the other tests use the rest")]
mod support;

use server::{Database, postgres};
use stockade_key_auth::{KeyChange, KeyStore, KeyStoreErrorKind};
use stockade_testkit::poll::until_async;

#[tokio::test]
async fn known_keys_stay_active_during_an_outage() {
    let database = Database::new().await;
    let (here, there) = (
        support::connect(database.url()).await,
        support::connect(database.url()).await,
    );
    let (key, other) = (
        support::issue(&here, "a").await,
        support::issue(&here, "b").await,
    );
    until_async("the keys are valid", async || {
        support::passes(&there, other.expose()).await
    })
    .await;

    postgres("kill");
    until_async("the outage is detected", async || there.health().stale).await;
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
            "an error leaves the keys unchanged"
        );
    }
    let seen = there.health();
    assert!(seen.failures >= 3, "{seen:?}");

    postgres("resume");
    let (id, change) = revoke("a");
    here.change(id, change).await.unwrap();
    until_async("the other store receives the change", async || {
        !support::passes(&there, key.expose()).await
    })
    .await;
    assert!(support::passes(&there, other.expose()).await);
    until_async("the store is healthy", async || !there.health().stale).await;
    assert!(there.health().last_success > seen.last_success);

    // The store has subscribed again, and not only reloaded once.
    let (id, change) = revoke("b");
    here.change(id, change).await.unwrap();
    until_async("the other store receives the next change", async || {
        !support::passes(&there, other.expose()).await
    })
    .await;
}
