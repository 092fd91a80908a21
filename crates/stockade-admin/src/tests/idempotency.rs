//! Requests that are sent again.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::Row as _;

use super::support::{Answer, App};

const PASSWORD: &str = "a rather long password";

async fn send(app: &App, (method, path): (&Method, &str), key: &str, body: &Value) -> Answer {
    let path = format!("/admin/v1{path}");
    let headers = [("idempotency-key", key)];
    app.send_with(method.clone(), &path, &headers, body).await
}

/// Creations with another valid body each.
fn creations(budget: &str) -> Vec<(Method, String, Value, Value)> {
    let user = |name: &str| json!({ "username": name, "password": PASSWORD, "role": "viewer" });
    let role = |name: &str| json!({ "permissions": [name] });
    let ban =
        |reason: &str| json!({ "target": "192.0.2.1", "duration_secs": 60, "reason": reason });
    let amount = |amount: u64| json!({ "amount": amount });
    let revocation = |jti: &str| json!({ "jti": jti });
    let top_up = format!("/budgets/{budget}/top-up");
    vec![
        (Method::POST, "/users".into(), user("eve"), user("bob")),
        (
            Method::PUT,
            "/roles/own".into(),
            role("keys:read"),
            role("bans:read"),
        ),
        (Method::POST, "/bans".into(), ban("scan"), ban("other")),
        (Method::POST, "/budgets".into(), prepaid(10), prepaid(20)),
        (Method::POST, top_up, amount(5), amount(6)),
        (
            Method::POST,
            "/revocations".into(),
            revocation("a"),
            revocation("b"),
        ),
    ]
}

fn prepaid(limit: u64) -> Value {
    let subject = json!({ "kind": "key", "name": "a" });
    json!({ "subject": subject, "unit": "tokens", "limit": limit })
}

#[tokio::test]
async fn a_repeated_creation_has_the_same_response_and_no_effect() {
    let app = App::configured(|config| config.revoke_tokens = true).await;
    let budget = app.post("/admin/v1/budgets", prepaid(1)).await.json();
    let budget = budget["id"].as_str().unwrap();
    for (method, path, body, other) in creations(budget) {
        let route = (&method, &*path);
        let first = send(&app, route, &path, &body).await;
        assert!(first.status.is_success(), "{path}: {}", first.text);
        let again = send(&app, route, &path, &body).await;
        assert_eq!(
            (again.status, &again.text),
            (first.status, &first.text),
            "{path}"
        );
        let reused = send(&app, route, &path, &other).await;
        reused.assert_error(422, "IDEMPOTENCY_KEY_REUSED", None);
    }
    let budgets = app.get("/admin/v1/budgets").await;
    assert_eq!(budgets["data"].as_array().unwrap().len(), 2);
    let path = format!("/admin/v1/budgets/{budget}");
    assert_eq!(app.get(&path).await["limit"], 6.0, "topped up once");
    assert_eq!(app.get("/admin/v1/revocations").await["revoked"], 1);
}

#[tokio::test]
async fn a_repeated_ban_does_not_ban_again() {
    let app = App::new().await;
    let body = json!({ "target": "192.0.2.1", "duration_secs": null, "reason": "scan" });
    let route = (&Method::POST, "/bans");
    let first = send(&app, route, "k", &body).await;
    app.send(Method::DELETE, "/admin/v1/bans/192.0.2.1", None)
        .await;
    assert_eq!(send(&app, route, "k", &body).await.text, first.text);
    assert!(app.detector.bans().is_empty());
}

#[tokio::test]
async fn a_failed_creation_can_be_repeated() {
    let app = App::new().await;
    let body = json!({ "username": "eve", "password": PASSWORD, "role": "own" });
    let route = (&Method::POST, "/users");
    let failed = send(&app, route, "k", &body).await;
    failed.assert_error(400, "VALIDATION_ERROR", Some("role"));
    let role = json!({ "permissions": [] });
    app.send(Method::PUT, "/admin/v1/roles/own", Some(role))
        .await;
    let made = send(&app, route, "k", &body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
}

#[tokio::test]
async fn the_key_of_one_route_is_another_request_on_others() {
    let app = App::new().await;
    let mut paths = Vec::new();
    for _ in 0..2 {
        let made = app.post("/admin/v1/budgets", prepaid(1)).await.json();
        paths.push(format!("/budgets/{}/top-up", made["id"].as_str().unwrap()));
    }
    let body = json!({ "amount": 1 });
    let first = send(&app, (&Method::POST, &paths[0]), "k", &body).await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.text);
    let other = send(&app, (&Method::POST, &paths[1]), "k", &body).await;
    other.assert_error(422, "IDEMPOTENCY_KEY_REUSED", None);
}

#[tokio::test]
async fn concurrent_requests_create_once() {
    let app = App::new().await;
    let (method, body) = (Method::POST, prepaid(10));
    let post = || send(&app, (&method, "/budgets"), "k", &body);
    let (a, b, c) = tokio::join!(post(), post(), post());
    assert_eq!(a.status, StatusCode::CREATED, "{}", a.text);
    assert_eq!((&a.text, &a.text), (&b.text, &c.text));
    let budgets = app.get("/admin/v1/budgets").await;
    assert_eq!(budgets["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn stores_neither_secrets_nor_the_key() {
    let app = App::new().await;
    let user = json!({ "username": "eve", "password": PASSWORD, "role": "viewer" });
    send(&app, (&Method::POST, "/users"), "key-of-user", &user).await;
    let key = send(
        &app,
        (&Method::POST, "/keys"),
        "key-of-key",
        &json!({ "scopes": [] }),
    )
    .await;
    let secret = key.json()["secret"].as_str().unwrap().to_owned();
    let rows = sqlx::query("SELECT key, request, response FROM stockade_admin_idempotency")
        .fetch_all(app.admin.state().database().pool())
        .await
        .unwrap();
    assert_eq!(rows.len(), 2);
    for row in rows {
        for column in ["key", "request", "response"] {
            let text: String = row.try_get(column).unwrap();
            for hidden in [PASSWORD, &secret, "key-of-user", "key-of-key"] {
                assert!(!text.contains(hidden), "{column}");
            }
            // A password could be guessed by this digest.
            assert_ne!(text, crate::id::digest(&user.to_string()));
        }
    }
}
