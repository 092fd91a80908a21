//! With PostgreSQL, which all other tests use, too, with the feature `postgres-tests`; see
//! `scripts/postgres`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use http::Method;
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use stockade_jwt::{RevocationStatus, RevocationStore as _};
use stockade_key_auth::MemoryKeyStore;
use stockade_sqlx::SqlKeyStore;
use stockade_testkit::poll::until_async;

use super::{
    budgets::{self, Service},
    records,
    support::{App, texts},
};
use crate::budget::{BudgetKind, BudgetUnit};

#[path = "../../../stockade-sqlx/tests/support/cluster.rs"]
mod cluster;

use cluster::Cluster;

/// The URL of a new database.
pub(crate) async fn database() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);

    let url = std::env::var("STOCKADE_TEST_POSTGRES_URL")
        .expect("run these tests with `scripts/postgres run -- cargo test …`");
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("admin_{}_{number}", std::process::id());
    let mut connection = PgConnection::connect(&url).await.unwrap();
    // A constant and numbers.
    sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}")))
        .execute(&mut connection)
        .await
        .unwrap();
    url.replace("/postgres?", &format!("/{name}?"))
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_events_of_two_processes() {
    records::writes_events_of_two_processes(&database().await).await;
}

#[tokio::test]
async fn processes_see_each_others_keys_and_records() {
    let url = database().await;
    let open = async || {
        let keys = SqlKeyStore::connect(&url).await.unwrap();
        App::start(Arc::new(keys), |config| {
            config.database = url.as_str().into()
        })
        .await
    };
    let (one, two) = (open().await, open().await);
    assert!(texts(&two.get("/admin/v1/keys").await, "id").is_empty());
    one.post("/admin/v1/keys", json!({ "id": "shared", "scopes": [] }))
        .await;
    let seen = tokio::time::timeout(Duration::from_secs(5), async {
        while texts(&two.get("/admin/v1/keys").await, "id") != ["shared"] {
            tokio::task::yield_now().await;
        }
    });
    seen.await.expect("the key is seen");
    one.audit.flush(Duration::from_secs(10)).unwrap();
    let events = two.get("/admin/v1/audit?event=key_changed").await;
    assert_eq!(texts(&events, "subject"), ["shared"]);
}

#[tokio::test]
async fn budgets_and_revocations_apply_while_the_database_fails() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let is_failing = async |value: u8| {
        until_async(&format!("failing: {value}"), async || {
            let metrics = recorder.handle().render();
            ["budgets", "revocations"].iter().all(|name| {
                let line = format!("stockade_{name}_failing {value}");
                metrics.lines().any(|one| one == line)
            })
        })
        .await;
    };
    let cluster = Cluster::start();
    let store = budgets::store(cluster.url()).await;
    let tokens = store.revocations().unwrap();
    tokens.add("revoked", None).await.unwrap();
    let team = budgets::budget("team", BudgetKind::Team, "red", BudgetUnit::Tokens, 1_500);
    budgets::create(&store, &team).await;
    let chats = async || {
        let status = budgets::chat(&store, "a", Service::Uses(100, 50)).await;
        status.status().as_u16()
    };
    is_failing(0).await;

    let mut holder = None;
    for (fault, statuses) in [
        ("kill", &[200, 200][..]),
        ("freeze", &[200, 200]),
        // Up to 500 tokens may be used, and 450 are left.
        ("lock", &[200, 200, 200, 429]),
    ] {
        if fault == "lock" {
            let mut connection = PgConnection::connect(cluster.url()).await.unwrap();
            let lock = "BEGIN; LOCK TABLE stockade_admin_budgets, stockade_admin_revocations";
            sqlx::raw_sql(lock).execute(&mut connection).await.unwrap();
            holder = Some(connection);
        } else {
            cluster.run(fault);
        }
        is_failing(1).await;
        for (number, status) in statuses.iter().enumerate() {
            assert_eq!(chats().await, *status, "{fault}: chat {number}");
        }
        let status = tokens.status("revoked");
        assert!(matches!(status, RevocationStatus::Revoked), "{fault}");

        match fault {
            "kill" => cluster.run("resume"),
            "freeze" => cluster.run("thaw"),
            _ => holder.take().unwrap().close().await.unwrap(),
        }
        is_failing(0).await;
        // Written exactly once.
        let other = budgets::store(cluster.url()).await;
        let used = budgets::spent(&store, "team");
        until_async("the usage is written", async || {
            budgets::spent(&other, "team") == used
        })
        .await;
    }
    assert_eq!(budgets::spent(&store, "team"), 7 * 150);
}

#[tokio::test]
async fn the_api_refuses_requests_while_the_database_fails() {
    let cluster = Cluster::start();
    let app = App::start(Arc::new(MemoryKeyStore::new()), |config| {
        config.database = cluster.url().into();
    })
    .await;
    for (fault, end) in [("kill", "resume"), ("freeze", "thaw")] {
        cluster.run(fault);
        let refused = app.send(Method::GET, "/admin/v1/users", None).await;
        refused.assert_error(503, "STORE_UNAVAILABLE", None);
        cluster.run(end);
        until_async("the database is used again", async || {
            let answer = app.send(Method::GET, "/admin/v1/users", None).await;
            answer.status == 200
        })
        .await;
    }
}
