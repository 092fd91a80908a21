//! Keys and audit records while PostgreSQL keeps its connections and does not reply.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[allow(dead_code, reason = "the other tests use the rest")]
#[path = "support/audit.rs"]
mod audit;
#[path = "support/cluster.rs"]
mod cluster;
#[allow(dead_code, reason = "the other tests use the rest")]
mod support;

use audit::{chained, event, event_during_outage, kept_all, sink};
use cluster::Cluster;
use sqlx::{Connection, PgConnection};
use stockade_audit::AuditLog;
use stockade_key_auth::{KeyChange, KeyStore, KeyStoreErrorKind};
use stockade_testkit::poll::until_async;

#[tokio::test]
async fn known_keys_stay_active_while_the_database_hangs() {
    let cluster = Cluster::start();
    let (here, there) = (
        support::connect(cluster.url()).await,
        support::connect(cluster.url()).await,
    );
    let key = support::issue(&here, "a").await;
    until_async("the key is valid", async || {
        support::passes(&there, key.expose()).await
    })
    .await;

    cluster.run("freeze");
    let revoke = || (support::id("a"), KeyChange::Revoke { at: support::at(1) });
    let (id, change) = revoke();
    // Fails in time.
    let error = here.change(id, change).await.unwrap_err();
    assert_eq!(error.kind(), KeyStoreErrorKind::Unavailable, "{error}");
    until_async("the hang is detected", async || there.health().stale).await;
    let status = there.source().status();
    assert!(
        status.is_failing() && status.last_error.is_some(),
        "{status:?}"
    );
    for store in [&here, &there] {
        assert!(support::passes(store, key.expose()).await);
    }

    cluster.run("thaw");
    until_async("the store is healthy", async || !there.health().stale).await;
    let (id, change) = revoke();
    here.change(id, change).await.unwrap();
    until_async("the other store receives the change", async || {
        !support::passes(&there, key.expose()).await
    })
    .await;
}

// L04
#[tokio::test]
async fn keeps_records_while_the_database_hangs() {
    let cluster = Cluster::start();
    let journal = chained(sink(cluster.url())).start().unwrap();
    let log = AuditLog::new(journal.clone());
    event(&log, "before");

    cluster.run("freeze");
    event_during_outage(&journal, "meanwhile");
    let error = journal.stats().last_error.unwrap();
    assert!(error.contains("does not respond"), "{error}");
    cluster.run("thaw");
    event(&log, "after");
    drop((log, journal));

    let ask = async |sql: &'static str| {
        let mut connection = PgConnection::connect(cluster.url()).await.unwrap();
        let values = sqlx::query_scalar(sql).fetch_all(&mut connection).await;
        let values: Vec<String> = values.unwrap();
        values
    };
    kept_all(ask).await;
}
