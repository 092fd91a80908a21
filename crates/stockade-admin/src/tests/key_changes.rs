//! Changes of keys, and repeated requests.

use std::time::Duration;

use http::{Method, Request, StatusCode, header::ETAG};
use serde_json::{Value, json};

use super::{
    keys::create,
    support::{App, texts},
};
use crate::Permissions;

#[tokio::test]
async fn updates_a_key_that_is_unchanged_since_it_was_read() {
    let app = App::new().await;
    let body = json!({
        "id": "a", "scopes": ["chat:write"], "team": "core", "metadata": { "ticket": "1" },
        "owner": "ops", "expires_at": "2100-01-01T00:00:00Z",
    });
    app.post("/admin/v1/keys", body).await;
    let path = "/admin/v1/keys/a";
    let one = app.send(Method::GET, path, None).await;
    let etag = one.headers[ETAG].to_str().unwrap().to_owned();
    let patch = |body: Value, etag: Option<&str>| {
        let request = Request::patch(path).header("content-type", "application/json");
        let request = match etag {
            Some(etag) => request.header("if-match", etag),
            None => request,
        };
        app.request(
            "admin",
            Permissions::all(),
            request.body(body.to_string().into()).unwrap(),
        )
    };
    let change = json!({
        "name": "=cmd", "owner": null, "scopes": ["models:read"], "models": ["qwen"],
        "networks": ["10.0.0.0/8"], "quotas": { "concurrency": 2 }, "expires_at": null,
        "team": "other",
    });
    patch(change.clone(), None)
        .await
        .assert_error(428, "PRECONDITION_REQUIRED", None);
    let updated = patch(change.clone(), Some(&etag)).await;
    assert_eq!(updated.status, StatusCode::OK, "{}", updated.text);
    let key = updated.json();
    for (field, value) in change.as_object().unwrap() {
        assert_eq!(&key[field], value, "{field}");
    }
    assert_eq!(key["metadata"], json!({ "ticket": "1" }));
    assert_eq!(app.get(path).await, key);
    let new = updated.headers[ETAG].to_str().unwrap();
    patch(json!({ "name": "b" }), Some(&etag))
        .await
        .assert_error(412, "PRECONDITION_FAILED", None);
    for (body, param) in [
        (json!({ "scopes": ["a b"] }), "scopes[0]"),
        (json!({ "id": "b" }), "id"),
        (json!({ "scopes": null, "hash": "" }), "hash"),
        (json!({ "expires_at": "yesterday" }), "expires_at"),
    ] {
        let answer = patch(body, Some(new)).await;
        answer.assert_error(400, "VALIDATION_ERROR", Some(param));
    }
    app.audit.flush(Duration::from_secs(10)).unwrap();
    let events = app.get("/admin/v1/audit?event=key_changed&subject=a").await;
    let details = texts(&events, "detail");
    let expected = r#"scopes: "chat:write" → "models:read""#;
    assert!(details.contains(&expected), "{details:?}");
    assert_eq!(details.len(), 8 + 1, "{details:?}");
}

#[tokio::test]
async fn creates_a_key_once_for_each_idempotency_key() {
    let app = App::new().await;
    let post = |body: Value, key: &str| {
        let request = Request::post("/admin/v1/keys")
            .header("content-type", "application/json")
            .header("idempotency-key", key);
        app.request(
            "admin",
            Permissions::all(),
            request.body(body.to_string().into()).unwrap(),
        )
    };
    for body in [
        json!({ "scopes": [] }),
        json!({ "scopes": [], "id": "explicit" }),
    ] {
        let key = body.to_string();
        let made = post(body.clone(), &key).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
        let made = made.json();
        let id = made["key"]["id"].as_str().unwrap();
        let again = post(body.clone(), &key).await;
        again.assert_error(409, "IDEMPOTENT_REPLAY", None);
        assert_eq!(again.headers["location"], format!("/admin/v1/keys/{id}"));
        assert!(!again.text.contains(made["secret"].as_str().unwrap()));
        let other = post(json!({ "scopes": ["a:b"] }), &key).await;
        other.assert_error(422, "IDEMPOTENCY_KEY_REUSED", None);
    }
    // There is no secret that a repetition could lose.
    let agent = json!({ "scopes": [], "certificate": "spiffe://example.org/agent" });
    let made = post(agent.clone(), "agent").await;
    let again = post(agent, "agent").await;
    assert_eq!(again.status, StatusCode::CREATED, "{}", again.text);
    assert_eq!(again.json(), made.json());
    assert_eq!(
        app.get("/admin/v1/keys").await["data"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    post(json!({ "scopes": [] }), "").await.assert_error(
        400,
        "VALIDATION_ERROR",
        Some("idempotency-key"),
    );
}

#[tokio::test]
async fn rotates_several_keys() {
    let app = App::new().await;
    for id in ["a", "b"] {
        create(&app, id).await;
    }
    let body = json!({ "ids": ["a", "other", "b"], "grace_secs": 0 });
    let results = app.post("/admin/v1/keys/rotate", body).await.json();
    assert!(results["data"][0]["secret"].is_string() && results["data"][2]["secret"].is_string());
    assert_eq!(results["data"][1]["error"]["code"], "NOT_FOUND");
    for (ids, param) in [(json!([]), "ids"), (json!(["a", "a"]), "ids[1]")] {
        let answer = app
            .post("/admin/v1/keys/rotate", json!({ "ids": ids }))
            .await;
        answer.assert_error(400, "VALIDATION_ERROR", Some(param));
    }
}
