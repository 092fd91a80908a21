//! The export, and the description of the API.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};
use stockade_key_auth::{KeyHash, KeyRecord, MemoryKeyStore};

use super::{
    keys::create,
    support::{App, texts},
};
use crate::{Permission, Permissions};

// M09
#[tokio::test]
async fn exports_no_secrets() {
    let app = App::new().await;
    let made = app
        .post(
            "/admin/v1/keys",
            json!({ "id": "a", "scopes": ["chat:write"] }),
        )
        .await;
    let secret = made.json()["secret"].as_str().unwrap().to_owned();
    let ban = json!({ "target": "192.0.2.1", "duration_secs": null, "reason": "scan" });
    app.post("/admin/v1/bans", ban).await;
    let answer = app.send(Method::GET, "/admin/v1/export", None).await;
    for hidden in ["sha256", "argon2", &secret] {
        assert!(!answer.text.contains(hidden), "{}", answer.text);
    }
    assert_eq!(answer.headers["cache-control"], "no-store");
    let export = answer.json();
    assert_eq!(export["keys"][0]["secret"], "[not exported]");
    assert_eq!(export["keys"][0]["scopes"], json!(["chat:write"]));
    assert_eq!(export["bans"][0]["target"], "192.0.2.1");
    let viewer: Permissions = [Permission::ConfigRead].into_iter().collect();
    let answer = app
        .send_as("viewer", viewer, Method::GET, "/admin/v1/export", None)
        .await;
    answer.assert_error(403, "PERMISSION_DENIED", None);
}

#[tokio::test]
async fn imports_an_export() {
    let (from, to) = (App::new().await, App::new().await);
    let role = json!({ "permissions": ["keys:read", "bans:write"] });
    from.send(Method::PUT, "/admin/v1/roles/support", Some(role))
        .await;
    let user =
        json!({ "username": "eve", "password": "a rather long password", "role": "support" });
    let made = from.post("/admin/v1/users", user).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let ban = json!({ "target": "192.0.2.1", "duration_secs": 600, "reason": "scan" });
    from.post("/admin/v1/bans", ban).await;
    let export = from.get("/admin/v1/export").await;

    let dry = to
        .post("/admin/v1/import?dry_run=true", export.clone())
        .await
        .json();
    assert_eq!(dry["roles"]["created"], json!(["support"]));
    assert!(to.detector.bans().is_empty());
    assert_eq!(to.get("/admin/v1/users").await["data"], json!([]));

    let done = to.post("/admin/v1/import", export.clone()).await.json();
    for part in ["roles", "users", "bans"] {
        assert_eq!(done[part], dry[part], "{part}");
    }
    let users = to.get("/admin/v1/users").await;
    assert_eq!(
        (&users["data"][0]["username"], &users["data"][0]["disabled"]),
        (&json!("eve"), &json!(true))
    );
    assert_eq!(to.detector.bans().len(), 1);
    let again = to.post("/admin/v1/import", export.clone()).await.json();
    assert_eq!(again["users"], json!({ "created": [], "skipped": ["eve"] }));

    // Actors cannot grant what they do not have.
    let weak: Permissions = [
        Permission::ConfigWrite,
        Permission::UsersWrite,
        Permission::BansWrite,
    ]
    .into_iter()
    .collect();
    let other = App::new().await;
    let answer = other
        .send_as("weak", weak, Method::POST, "/admin/v1/import", Some(export))
        .await;
    answer.assert_error(403, "PERMISSION_DENIED", None);
    assert_eq!(other.get("/admin/v1/users").await["data"], json!([]));
}

#[tokio::test]
async fn imported_keys_have_new_secrets() {
    let (from, to) = (App::new().await, App::new().await);
    let key = json!({
        "id": "a", "name": "A", "owner": "ops", "team": "core", "scopes": ["chat:write"],
        "models": ["qwen"], "networks": ["10.0.0.0/8"], "quotas": { "concurrency": 2 },
        "expires_at": "2100-01-01T00:00:00Z", "metadata": { "ticket": "1" },
    });
    let made = from.post("/admin/v1/keys", key).await.json();
    for id in ["b", "gone"] {
        create(&from, id).await;
    }
    from.post("/admin/v1/keys/gone/revoke", json!({})).await;
    create(&to, "b").await;
    let mut export = from.get("/admin/v1/export").await;
    let mut expired = export["keys"][0].clone();
    expired["id"] = json!("old");
    expired["expires_at"] = json!("2001-01-01T00:00:00Z");
    export["keys"].as_array_mut().unwrap().push(expired);

    let path = "/admin/v1/import?dry_run=true";
    let dry = to.post(path, export.clone()).await.json();
    let expected = json!({
        "created": ["a"], "skipped": ["b"], "revoked": ["gone"], "expired": ["old"],
        "secrets": {}, "failed": {},
    });
    assert_eq!(dry["keys"], expected);
    assert_eq!(texts(&to.get("/admin/v1/keys").await, "id"), ["b"]);

    let done = to.post("/admin/v1/import", export.clone()).await;
    let mut keys = done.json()["keys"].clone();
    let secrets = keys["secrets"].take();
    keys["secrets"] = json!({});
    assert_eq!(keys, expected);
    let secret = secrets["a"].as_str().unwrap();
    assert!(secret.starts_with("sk_a_"), "{}", done.text);
    assert_ne!(secret, made["secret"]);

    // All but the times of creation is equal.
    let without_times = |export: &Value| {
        let mut key = export["keys"][0].clone();
        key["created_at"].take();
        key
    };
    let again = to.get("/admin/v1/export").await;
    assert_eq!(without_times(&again), without_times(&export));

    let weak: Permissions = [Permission::ConfigWrite].into_iter().collect();
    let answer = to
        .send_as("weak", weak, Method::POST, "/admin/v1/import", Some(export))
        .await;
    answer.assert_error(403, "PERMISSION_DENIED", None);
}

#[tokio::test]
async fn imported_certificates_have_no_secret() {
    const AGENT: &str = "spiffe://example.org/agent";
    let keys = Arc::new(MemoryKeyStore::new());
    let agent = KeyHash::certificate(AGENT.parse().unwrap());
    let agent = KeyRecord::new("agent".parse().unwrap(), agent);
    keys.insert(agent).unwrap();
    let (from, to) = (App::with(keys).await, App::new().await);
    let mut export = from.get("/admin/v1/export").await;
    let done = to.post("/admin/v1/import", export.clone()).await.json();
    assert_eq!(done["keys"]["created"], json!(["agent"]));
    assert_eq!(done["keys"]["secrets"], json!({}));
    let imported = to.get("/admin/v1/keys/agent").await;
    assert_eq!(imported["certificate"], AGENT);

    export["keys"][0]["id"] = json!("other");
    export["keys"][0]["certificate"] = json!("example.org");
    let answer = to.post("/admin/v1/import", export).await;
    answer.assert_error(400, "VALIDATION_ERROR", Some("keys[0].certificate"));
}

#[tokio::test]
async fn imports_budgets_and_revocations() {
    let from = App::configured(|config| config.revoke_tokens = true).await;
    let to = App::configured(|config| config.revoke_tokens = true).await;
    let month = json!({
        "subject": { "kind": "team", "name": "core" }, "model": "priced", "unit": "money",
        "limit": 12.5, "window": "month",
    });
    let prepaid = json!({ "subject": { "kind": "all" }, "unit": "requests", "limit": 3 });
    for budget in [&month, &prepaid] {
        let made = from.post("/admin/v1/budgets", budget.clone()).await;
        assert_eq!(made.status, 201, "{}", made.text);
    }
    for token in [
        json!({ "jti": "short", "expires_at": "2999-01-01T00:00:00Z" }),
        json!({ "jti": "ever" }),
    ] {
        let revoked = from.post("/admin/v1/revocations", token).await;
        assert_eq!(revoked.status, 204, "{}", revoked.text);
    }
    let mut export = from.get("/admin/v1/export").await;
    let expected = json!([
        { "jti": "ever", "expires_at": null },
        { "jti": "short", "expires_at": "2999-01-01T00:00:00Z" },
    ]);
    assert_eq!(export["revocations"], expected);
    for budget in export["budgets"].as_array_mut().unwrap() {
        budget["spent"] = json!(2.0);
    }
    let expired = json!({ "jti": "over", "expires_at": "2001-01-01T00:00:00Z" });
    export["revocations"].as_array_mut().unwrap().push(expired);

    let path = "/admin/v1/import?dry_run=true";
    let dry = to.post(path, export.clone()).await.json();
    let tokens = json!({ "created": ["ever", "short"], "skipped": ["over"] });
    assert_eq!(dry["revocations"], tokens);
    assert_eq!(dry["budgets"]["created"].as_array().unwrap().len(), 2);
    assert_eq!(to.get("/admin/v1/budgets").await["data"], json!([]));
    assert_eq!(to.get("/admin/v1/revocations").await["revoked"], 0);

    let done = to.post("/admin/v1/import", export.clone()).await.json();
    assert_eq!(done["revocations"], tokens);
    assert_eq!(to.get("/admin/v1/revocations").await["revoked"], 2);
    // All but the ids and the times of creation is equal.
    let comparable = |export: &Value| {
        let mut budgets = export["budgets"].as_array().unwrap().clone();
        for budget in &mut budgets {
            budget["id"].take();
            budget["created_at"].take();
        }
        budgets.sort_by_key(Value::to_string);
        budgets
    };
    let after = to.get("/admin/v1/export").await;
    assert_eq!(comparable(&after), comparable(&export));
    assert_eq!(after["revocations"], expected);

    let again = to.post("/admin/v1/import", export.clone()).await.json();
    for part in ["budgets", "revocations"] {
        assert_eq!(again[part]["created"], json!([]), "{part}");
    }
    let other = App::new().await;
    let skipped = other.post("/admin/v1/import", export.clone()).await.json();
    assert_eq!(
        skipped["revocations"]["skipped"].as_array().unwrap().len(),
        3
    );

    for (part, permission) in [
        ("budgets", Permission::KeysWrite),
        ("revocations", Permission::BudgetsWrite),
    ] {
        let weak = [Permission::ConfigWrite, permission].into_iter().collect();
        let import = json!({ "format": 1, part: export[part] });
        let answer = other
            .send_as("weak", weak, Method::POST, "/admin/v1/import", Some(import))
            .await;
        answer.assert_error(403, "PERMISSION_DENIED", None);
    }
}

#[tokio::test]
async fn names_the_invalid_part_of_an_import() {
    let app = App::configured(|config| config.revoke_tokens = true).await;
    let budget = |change: Value| {
        let mut budget = json!({
            "subject": { "kind": "all" }, "unit": "tokens", "limit": 3, "window": "day",
        });
        let fields = budget.as_object_mut().unwrap();
        fields.extend(change.as_object().unwrap().clone());
        json!({ "format": 1, "budgets": [budget] })
    };
    let tokens = |token: Value| json!({ "format": 1, "revocations": [token] });
    for (import, param) in [
        (budget(json!({ "limit": 0 })), "budgets[0].limit"),
        (budget(json!({ "spent": -1 })), "budgets[0].spent"),
        (
            budget(json!({ "spent": 1, "window_start": "x" })),
            "budgets[0].window_start",
        ),
        (
            budget(json!({ "subject": { "kind": "key" } })),
            "budgets[0].subject.name",
        ),
        (tokens(json!({ "jti": "" })), "revocations[0].jti"),
        (
            tokens(json!({ "jti": "a", "expires_at": "x" })),
            "revocations[0].expires_at",
        ),
    ] {
        let answer = app.post("/admin/v1/import", import).await;
        answer.assert_error(400, "VALIDATION_ERROR", Some(param));
    }
    assert_eq!(app.get("/admin/v1/budgets").await["data"], json!([]));
}

#[tokio::test]
async fn an_invalid_key_prevents_the_import() {
    let app = App::new().await;
    let ban = json!({ "target": "192.0.2.1", "until": null, "reason": "scan" });
    let keys = json!([{ "id": "a", "scopes": [] }, { "id": "b", "scopes": ["a b"] }]);
    let import = json!({ "format": 1, "bans": [ban], "keys": keys });
    let answer = app.post("/admin/v1/import", import).await;
    answer.assert_error(400, "VALIDATION_ERROR", Some("keys[1].scopes[0]"));
    assert_eq!(app.get("/admin/v1/keys").await["data"], json!([]));
    assert!(app.detector.bans().is_empty());
}

#[tokio::test]
async fn describes_the_api() {
    let app = App::new().await;
    let document = app.get("/admin/v1/openapi.json").await;
    let create = &document["paths"]["/keys"]["post"];
    assert_eq!(create["description"], "Needs the permission `keys:write`.");
    let body = &create["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(body["required"], json!(["scopes"]));
}
