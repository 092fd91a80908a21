//! Tokens for automation.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    server::{Browser, Server},
    users::patch,
};
use crate::{tests::support::Answer, time};

/// Creates a token, and returns it and its authorization.
async fn create(browser: &Browser, permissions: &[&str]) -> (Value, String) {
    let body = json!({ "name": "backup", "permissions": permissions });
    let answer = browser.post("/tokens", body).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    let json = answer.json();
    let authorization = format!("Bearer {}", json["secret"].as_str().unwrap());
    (json["token"].clone(), authorization)
}

async fn send(server: &Server, method: Method, path: &str, authorization: &str) -> Answer {
    let body = (method != Method::GET).then(|| json!({}));
    let headers = [("authorization", authorization)];
    server.browser(3).send(method, path, body, &headers).await
}

#[tokio::test]
async fn tokens_have_their_own_permissions_only() {
    let server = Server::with_users().await;
    let admin = server.logged_in("admin").await;
    let (token, authorization) = create(&admin, &["users:read"]).await;
    assert_eq!(token["permissions"], json!(["users:read"]));
    let answer = send(&server, Method::GET, "/users", &authorization).await;
    assert_eq!(answer.status, StatusCode::OK);
    let answer = send(&server, Method::GET, "/config", &authorization).await;
    assert_ne!(answer.status, StatusCode::OK);
    // Without a cookie, no CSRF token is needed.
    let answer = send(&server, Method::POST, "/users", &authorization).await;
    answer.assert_error(403, "PERMISSION_DENIED", None);
    let list = admin.get("/tokens").await;
    assert!(!list.text.contains("sat_"), "{}", list.text);
    assert!(list.json()["data"][0]["last_used_at"].is_string());
}

#[tokio::test]
async fn tokens_cannot_have_more_than_their_user() {
    let server = Server::with_users().await;
    let admin = server.logged_in("admin").await;
    let viewer = server.logged_in("viewer").await;
    let body = json!({ "name": "evil", "permissions": ["keys:write"] });
    viewer
        .post("/tokens", body)
        .await
        .assert_error(403, "PERMISSION_DENIED", None);

    // And lose what their user loses.
    patch(&admin, "operator", json!({ "role": "admin" })).await;
    let operator = server.logged_in("operator").await;
    let (_, authorization) = create(&operator, &["users:read", "models:read"]).await;
    let users = || send(&server, Method::GET, "/users", &authorization);
    assert_eq!(users().await.status, StatusCode::OK);
    patch(&admin, "operator", json!({ "role": "viewer" })).await;
    users().await.assert_error(403, "PERMISSION_DENIED", None);
    let answer = send(&server, Method::GET, "/models", &authorization).await;
    assert_eq!(answer.status, StatusCode::OK);
    patch(&admin, "operator", json!({ "disabled": true })).await;
    users()
        .await
        .assert_error(401, "AUTHENTICATION_FAILED", None);
}

#[tokio::test]
async fn tokens_expire_and_are_revoked() {
    let server = Server::with_users().await;
    let admin = server.logged_in("admin").await;
    let expires = time::rfc3339(server.state().now() + 60_000);
    let body = json!({ "name": "short", "permissions": [], "expires_at": expires });
    let answer = admin.post("/tokens", body).await.json();
    let authorization = format!("Bearer {}", answer["secret"].as_str().unwrap());
    let permissions = || send(&server, Method::GET, "/permissions", &authorization);
    assert_eq!(permissions().await.status, StatusCode::OK);
    server.advance(Duration::from_secs(60));
    assert_eq!(permissions().await.status, StatusCode::UNAUTHORIZED);

    let (token, authorization) = create(&admin, &[]).await;
    let path = format!("/tokens/{}", token["id"].as_str().unwrap());
    let viewer = server.logged_in("viewer").await;
    assert_eq!(viewer.delete(&path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(admin.delete(&path).await.status, StatusCode::NO_CONTENT);
    let answer = send(&server, Method::GET, "/permissions", &authorization).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn tokens_cannot_manage_the_account() {
    let server = Server::with_users().await;
    let admin = server.logged_in("admin").await;
    let (_, authorization) = create(&admin, &["users:read", "users:write"]).await;
    for (method, path) in [
        (Method::GET, "/session"),
        (Method::DELETE, "/session"),
        (Method::GET, "/sessions"),
        (Method::DELETE, "/sessions"),
        (Method::GET, "/tokens"),
        (Method::DELETE, "/tokens/tok_1"),
    ] {
        let answer = send(&server, method, path, &authorization).await;
        answer.assert_error(403, "PERMISSION_DENIED", None);
    }
    let headers = [("authorization", authorization.as_str())];
    let body = json!({ "name": "next", "permissions": [] });
    let answer = server
        .browser(3)
        .send(Method::POST, "/tokens", Some(body), &headers)
        .await;
    answer.assert_error(403, "PERMISSION_DENIED", None);
}

#[tokio::test]
async fn names_the_invalid_field() {
    let server = Server::with_users().await;
    let admin = server.logged_in("admin").await;
    for (body, param) in [
        (json!({ "name": "", "permissions": [] }), "name"),
        (
            json!({ "name": "a", "permissions": ["x"] }),
            "permissions[0]",
        ),
        (
            json!({ "name": "a", "permissions": [], "expires_at": "soon" }),
            "expires_at",
        ),
        (
            json!({ "name": "a", "permissions": [], "expires_at": "2001-01-01T00:00:00Z" }),
            "expires_at",
        ),
    ] {
        let answer = admin.post("/tokens", body).await;
        answer.assert_error(400, "VALIDATION_ERROR", Some(param));
    }
}

#[tokio::test]
async fn a_repeated_creation_names_the_token_without_its_secret() {
    let server = Server::with_users().await;
    let admin = server.logged_in("admin").await;
    let send = async |name: &str| {
        let body = json!({ "name": name, "permissions": [] });
        let headers = [("idempotency-key", "k")];
        admin
            .send(Method::POST, "/tokens", Some(body), &headers)
            .await
    };
    let made = send("backup").await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let again = send("backup").await;
    again.assert_error(409, "IDEMPOTENT_REPLAY", None);
    let made = made.json();
    assert!(again.text.contains(made["token"]["id"].as_str().unwrap()));
    assert!(!again.text.contains(made["secret"].as_str().unwrap()));
    let reused = send("other").await;
    reused.assert_error(422, "IDEMPOTENCY_KEY_REUSED", None);
    let tokens = admin.get("/tokens").await.json();
    assert_eq!(tokens["data"].as_array().unwrap().len(), 1);
}
