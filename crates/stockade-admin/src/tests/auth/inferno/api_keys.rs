//! API keys by the permission names of Inferno and SOLLOL.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{API_KEYS, Client, server};
use crate::Compatibility;

const INFERNO: &[Compatibility] = &[Compatibility::Inferno];

fn names(list: &Value) -> Vec<&str> {
    let list = list.as_array().unwrap().iter();
    list.map(|item| item["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn creates_lists_and_deletes_keys() {
    let server = server(INFERNO).await;
    let client = Client::log_in(&server, "operator").await;
    let body = json!({
        "name": "ci",
        "permissions": ["RunInference", "read_models", "UseStreaming", "ManageCache"],
        "expires_in_days": 36_500,
    });
    let created = client.post(API_KEYS, body).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.text);
    let created = created.json();
    assert!(created["api_key"].as_str().unwrap().starts_with("sk_"));
    assert_eq!(created["scopes"], json!(["chat:write", "models:read"]));
    assert_eq!(
        created["permissions"],
        json!(["ReadModels", "RunInference"])
    );
    assert_eq!(
        created["ignored_permissions"],
        json!(["UseStreaming", "ManageCache"])
    );
    assert_eq!(created["is_active"], true);
    assert!(created["expires_at"].is_string());

    let list = client.get(API_KEYS).await.json();
    assert_eq!(names(&list), ["ci"]);
    assert!(list[0].get("api_key").is_none());
    let path = format!("{API_KEYS}/{}", created["id"].as_str().unwrap());
    let deleted = client.call(Method::DELETE, &path, None).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT, "{}", deleted.text);
    assert_eq!(client.get(API_KEYS).await.json()[0]["is_active"], false);
    let missing = client.call(Method::DELETE, "/api/v1/auth/api-keys/other", None);
    missing.await.assert_error(404, "NOT_FOUND", None);

    let events = server.events();
    let changes = events
        .iter()
        .filter(|event| event["event"] == "key_changed");
    let changes: Vec<_> = changes
        .map(|event| {
            (
                event["user"].as_str().unwrap(),
                event["detail"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(changes.len(), 2);
    assert_eq!(changes[0].0, "operator");
    assert!(changes[0].1.starts_with("created:") && changes[1].1.starts_with("revoked"));
}

#[tokio::test]
async fn a_viewer_cannot_create_or_delete_keys() {
    let server = server(INFERNO).await;
    let viewer = Client::log_in(&server, "viewer").await;
    assert_eq!(viewer.get(API_KEYS).await.status, StatusCode::OK);
    let body = json!({ "name": "ci", "permissions": ["RunInference"] });
    let answer = viewer.post(API_KEYS, body).await;
    answer.assert_error(403, "PERMISSION_DENIED", None);
    let path = "/api/v1/auth/api-keys/key-1";
    let answer = viewer.call(Method::DELETE, path, None).await;
    answer.assert_error(403, "PERMISSION_DENIED", None);
}

#[tokio::test]
async fn no_user_grants_what_they_do_not_have() {
    let server = server(INFERNO).await;
    let token = json!({ "name": "users", "permissions": ["ManageUsers", "ReadMetrics"] });
    for user in ["viewer", "operator"] {
        let client = Client::log_in(&server, user).await;
        let answer = client.post(API_KEYS, token.clone()).await;
        answer.assert_error(403, "PERMISSION_DENIED", None);
    }
    let admin = Client::log_in(&server, "admin").await;
    let created = admin.post(API_KEYS, token).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.text);
    let created = created.json();
    let scopes = json!(["usage:read", "users:read", "users:write"]);
    assert_eq!(created["scopes"], scopes);
    let authorization = format!("Bearer {}", created["api_key"].as_str().unwrap());
    let headers = [("authorization", authorization.as_str())];
    let browser = server.browser(0);
    let users = browser.send(Method::GET, "/users", None, &headers).await;
    assert_eq!(users.status, StatusCode::OK, "{}", users.text);

    // A token cannot create another one, as in the API.
    let token = Client {
        access: created["api_key"].as_str().unwrap().to_owned(),
        ..admin
    };
    let body = json!({ "name": "next", "permissions": ["ManageUsers"] });
    let answer = token.post(API_KEYS, body).await;
    answer.assert_error(403, "PERMISSION_DENIED", None);
    let admin = Client::log_in(&server, "admin").await;
    assert_eq!(names(&admin.get(API_KEYS).await.json()), ["users"]);
    let path = format!("{API_KEYS}/{}", created["id"].as_str().unwrap());
    let deleted = admin.call(Method::DELETE, &path, None).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT, "{}", deleted.text);
    let users = browser.send(Method::GET, "/users", None, &headers).await;
    users.assert_error(401, "AUTHENTICATION_FAILED", None);
}

#[tokio::test]
async fn names_the_invalid_permission() {
    let server = server(INFERNO).await;
    let admin = Client::log_in(&server, "admin").await;
    for (permissions, param) in [
        (json!(["RunInference", "Fly"]), "permissions[1]"),
        // A name of SOLLOL, which is off.
        (json!(["chat"]), "permissions[0]"),
        (json!(["ManageCache"]), "permissions"),
        (json!([]), "permissions"),
        (json!(["RunInference", "ManageUsers"]), "permissions"),
    ] {
        let body = json!({ "name": "ci", "permissions": permissions });
        let answer = admin.post(API_KEYS, body).await;
        answer.assert_error(400, "VALIDATION_ERROR", Some(param));
    }
    let body = json!({ "name": "ci", "permissions": ["Fly"] });
    let message = admin.post(API_KEYS, body).await.json()["error"]["message"].to_string();
    assert!(
        message.contains("RunInference") && !message.contains("embed"),
        "{message}"
    );
    let body = json!({ "name": "a", "permissions": ["RunInference"], "expires_in_days": 0 });
    let answer = admin.post(API_KEYS, body).await;
    answer.assert_error(400, "VALIDATION_ERROR", Some("expires_in_days"));
}

#[tokio::test]
async fn accepts_the_permissions_of_sollol() {
    let server = server(&[Compatibility::Inferno, Compatibility::Sollol]).await;
    let admin = Client::log_in(&server, "admin").await;
    for (permissions, scopes, ignored) in [
        (
            json!(["chat", "embed", "health"]),
            json!(["chat:write"]),
            json!(["health"]),
        ),
        (
            json!(["stats", "batch", "chat"]),
            json!(["chat:write", "metrics:read"]),
            json!(["batch"]),
        ),
        (json!(["admin"]), json!(["*"]), json!([])),
    ] {
        let body = json!({ "name": "app", "permissions": permissions });
        let answer = admin.post(API_KEYS, body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        let created = answer.json();
        assert_eq!(created["scopes"], scopes);
        assert_eq!(created["ignored_permissions"], ignored);
    }
    for permissions in [
        json!(["batch", "health"]),
        json!(["Chat"]),
        json!(["stats", "ManageUsers"]),
    ] {
        let body = json!({ "name": "app", "permissions": permissions });
        let answer = admin.post(API_KEYS, body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text);
    }
}
