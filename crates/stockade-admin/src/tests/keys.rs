//! Keys.

use std::{sync::Arc, time::Duration};

use http::{
    Method, StatusCode,
    header::{CACHE_CONTROL, ETAG},
};
use serde_json::{Value, json};
use stockade_key_auth::{KeyHash, KeyRecord, KeyStore as _, MemoryKeyStore};
use stockade_sqlx::SqlKeyStore;

use super::support::{App, texts};
use crate::{Permission, Permissions};

pub(super) async fn create(app: &App, id: &str) -> Value {
    let body = json!({ "id": id, "scopes": ["chat:write"] });
    let answer = app.post("/admin/v1/keys", body).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    answer.json()
}

#[tokio::test]
async fn creates_rotates_and_revokes_a_key() {
    let app = App::new().await;
    let made = app
        .post(
            "/admin/v1/keys",
            json!({
                "id": "team-core", "name": "<script>alert(1)</script>", "owner": "ops@example.com",
                "team": "core", "scopes": ["chat:write", "models:read"], "models": ["qwen"],
                "networks": ["10.1.2.3/8"], "quotas": { "requests_per_minute": 60 },
                "expires_at": "2100-01-01T00:00:00Z", "metadata": { "ticket": "4711" },
            }),
        )
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let made = made.json();
    let secret = made["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("sk_team-core_"));
    let key = &made["key"];
    // Stored text stays data.
    assert_eq!(key["name"], "<script>alert(1)</script>");
    assert_eq!(key["networks"], json!(["10.0.0.0/8"]));
    assert_eq!(key["quotas"], json!({ "requests_per_minute": 60 }));
    assert_eq!(
        (&key["team"], &key["state"]),
        (&json!("core"), &json!("active"))
    );
    assert_eq!(key["metadata"], json!({ "ticket": "4711" }));

    let rotated = app
        .post(
            "/admin/v1/keys/team-core/rotate",
            json!({ "grace_secs": 60 }),
        )
        .await
        .json();
    assert_ne!(rotated["secret"], made["secret"]);
    assert!(rotated["key"]["rotating_until"].is_string());

    let revoked = app
        .post(
            "/admin/v1/keys/team-core/revoke",
            json!({ "reason": "leaked" }),
        )
        .await
        .json();
    assert_eq!(revoked["state"], "revoked");
    let again = app.post("/admin/v1/keys/team-core/rotate", json!({})).await;
    again.assert_error(409, "CONFLICT", None);
}

#[tokio::test]
async fn shows_a_certificate_and_refuses_to_rotate_it() {
    const AGENT: &str = "spiffe://example.org/agent";
    let keys = Arc::new(MemoryKeyStore::new());
    let agent = KeyHash::certificate(AGENT.parse().unwrap());
    let agent = KeyRecord::new("agent".parse().unwrap(), agent);
    keys.insert(agent).unwrap();
    let app = App::with(keys).await;
    create(&app, "with-secret").await;
    let listed = app.get("/admin/v1/keys").await;
    assert_eq!(listed["data"][0]["certificate"], AGENT);
    assert_eq!(listed["data"][1]["certificate"], Value::Null);
    let one = app.get("/admin/v1/keys/agent").await;
    assert_eq!(one["certificate"], AGENT);

    let rotated = app.post("/admin/v1/keys/agent/rotate", json!({})).await;
    rotated.assert_error(409, "CONFLICT", None);
    assert!(rotated.text.contains("no secret"), "{}", rotated.text);
    let revoked = app.post("/admin/v1/keys/agent/revoke", json!({})).await;
    assert_eq!(revoked.json()["state"], "revoked");
}

#[tokio::test]
async fn creates_a_key_with_a_certificate_and_without_a_secret() {
    const AGENT: &str = "spiffe://example.org/agent";
    let app = App::new().await;
    let body = json!({ "id": "agent", "scopes": ["chat:write"], "certificate": AGENT });
    let made = app.post("/admin/v1/keys", body.clone()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let made = made.json();
    assert_eq!(made["key"]["certificate"], AGENT);
    assert_eq!(made["secret"], Value::Null);

    let other = |certificate| json!({ "id": "b", "scopes": [], "certificate": certificate });
    let answer = app.post("/admin/v1/keys", other(AGENT)).await;
    answer.assert_error(409, "CONFLICT", None);
    let answer = app.post("/admin/v1/keys", other("example.org")).await;
    answer.assert_error(400, "VALIDATION_ERROR", Some("certificate"));
}

// M09
#[tokio::test]
async fn shows_neither_hash_nor_secret() {
    let app = App::new().await;
    let made = create(&app, "a").await;
    let secret = made["secret"].as_str().unwrap();
    for path in ["/admin/v1/keys", "/admin/v1/keys/a"] {
        let answer = app.send(Method::GET, path, None).await;
        assert_eq!(answer.headers[CACHE_CONTROL], "no-store");
        for hidden in ["hash", "sha256", secret] {
            assert!(!answer.text.contains(hidden), "{path}: {}", answer.text);
        }
    }
    let one = app.send(Method::GET, "/admin/v1/keys/a", None).await;
    let before = one.headers[ETAG].clone();
    app.post("/admin/v1/keys/a/revoke", json!({})).await;
    let one = app.send(Method::GET, "/admin/v1/keys/a", None).await;
    assert_ne!(one.headers[ETAG], before);
}

#[tokio::test]
async fn pages_are_stable_while_keys_are_added() {
    let app = App::new().await;
    for id in ["b", "d", "f", "h", "j"] {
        create(&app, id).await;
    }
    let mut seen = Vec::new();
    let mut path = "/admin/v1/keys?limit=2".to_owned();
    loop {
        let page = app.get(&path).await;
        seen.extend(texts(&page, "id").into_iter().map(str::to_owned));
        // Before and after the position.
        create(&app, &format!("a{}", seen.len())).await;
        create(&app, &format!("z{}", seen.len())).await;
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/admin/v1/keys?limit=2&cursor={cursor}");
    }
    let old: Vec<_> = seen.iter().filter(|id| id.len() == 1).collect();
    assert_eq!(old, ["b", "d", "f", "h", "j"]);
    let mut distinct = seen.clone();
    distinct.dedup();
    assert_eq!(seen, distinct);
}

#[tokio::test]
async fn searches_and_filters() {
    let app = App::new().await;
    for (id, owner) in [("alpha", "Ops Team"), ("beta", "dev"), ("gamma", "dev")] {
        let body = json!({ "id": id, "scopes": [], "owner": owner });
        app.post("/admin/v1/keys", body).await;
    }
    app.post("/admin/v1/keys/gamma/revoke", json!({})).await;
    for (query, ids) in [
        ("search=OPS", vec!["alpha"]),
        ("search=a", vec!["alpha", "beta", "gamma"]),
        ("owner=dev", vec!["beta", "gamma"]),
        ("owner=dev&state=active", vec!["beta"]),
        ("state=revoked", vec!["gamma"]),
        ("state=expired", vec![]),
    ] {
        let list = app.get(&format!("/admin/v1/keys?{query}")).await;
        assert_eq!(texts(&list, "id"), ids, "{query}");
    }
    for (query, param) in [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=-1", "limit"),
        ("cursor=%25", "cursor"),
        ("state=other", "state"),
    ] {
        let path = format!("/admin/v1/keys?{query}");
        let answer = app.send(Method::GET, &path, None).await;
        answer.assert_error(400, "VALIDATION_ERROR", Some(param));
    }
}

#[tokio::test]
async fn names_the_invalid_field() {
    let app = App::new().await;
    create(&app, "taken").await;
    for (body, param) in [
        (json!({ "scopes": ["chat write"] }), "scopes[0]"),
        (json!({ "scopes": [], "id": "../a" }), "id"),
        (json!({ "scopes": [], "name": "a\u{0}b" }), "name"),
        (
            json!({ "scopes": [], "networks": ["::", "10.0.0.0/33"] }),
            "networks[1]",
        ),
        (json!({ "scopes": [], "models": ["a", ""] }), "models[1]"),
        (
            json!({ "scopes": [], "expires_at": "2001-01-01T00:00:00Z" }),
            "expires_at",
        ),
        (
            json!({ "scopes": [], "expires_at": "9999-01-01T00:00:00Z" }),
            "expires_at",
        ),
        (
            json!({ "scopes": [], "quotas": { "per_hour": 1 } }),
            "quotas.per_hour",
        ),
        (
            json!({ "scopes": [], "metadata": { "team": "a" } }),
            "metadata.team",
        ),
        (json!({ "scopes": [], "hash": "sha256:00" }), "hash"),
    ] {
        let answer = app.post("/admin/v1/keys", body).await;
        answer.assert_error(400, "VALIDATION_ERROR", Some(param));
    }
    let taken = json!({ "id": "taken", "scopes": [] });
    let answer = app.post("/admin/v1/keys", taken).await;
    answer.assert_error(409, "CONFLICT", Some("id"));
    for path in [
        "/admin/v1/keys/other/rotate",
        "/admin/v1/keys/%2e%2e/revoke",
    ] {
        let answer = app.post(path, json!({})).await;
        answer.assert_error(404, "NOT_FOUND", None);
    }
}

// M01
#[tokio::test]
async fn needs_the_permission_to_write() {
    let app = App::new().await;
    create(&app, "a").await;
    let reader: Permissions = [Permission::KeysRead].into_iter().collect();
    for path in ["", "/rotate", "/a/rotate", "/a/revoke"] {
        let path = format!("/admin/v1/keys{path}");
        let body = Some(json!({ "scopes": [] }));
        let answer = app
            .send_as("reader", reader, Method::POST, &path, body)
            .await;
        answer.assert_error(403, "PERMISSION_DENIED", None);
    }
    let answer = app
        .send_as("reader", reader, Method::GET, "/admin/v1/keys", None)
        .await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn processes_see_each_others_changes() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/keys.db", folder.path().display());
    let (one, two) = (
        SqlKeyStore::connect(&url).await.unwrap(),
        SqlKeyStore::connect(&url).await.unwrap(),
    );
    assert!(two.keys().current().is_empty());
    let (one, two) = (
        App::with(Arc::new(one)).await,
        App::with(Arc::new(two)).await,
    );
    two.get("/admin/v1/keys").await;
    create(&one, "shared").await;
    assert_eq!(texts(&one.get("/admin/v1/keys").await, "id"), ["shared"]);
    let seen = tokio::time::timeout(Duration::from_secs(5), async {
        while texts(&two.get("/admin/v1/keys").await, "id") != ["shared"] {
            // Sleeps: the other process polls the file.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    seen.await.expect("the key is seen");
}
