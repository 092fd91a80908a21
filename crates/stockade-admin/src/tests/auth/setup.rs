//! The first user.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use super::server::{PASSWORD, Server};

fn body(token: &str) -> Value {
    json!({ "token": token, "username": "Root", "password": PASSWORD })
}

#[tokio::test]
async fn creates_the_first_user_once() {
    let server = Server::new().await;
    let token = server.admin.setup_token().await.unwrap().unwrap();
    let mut browser = server.browser(1);
    let status = browser.get("/status").await.json();
    assert_eq!(status["setup_required"], true);
    let answer = browser.post("/setup", body(&token)).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    browser.keep(&answer);
    let user = &answer.json()["user"];
    assert_eq!(
        (&user["username"], &user["role"]),
        (&json!("root"), &json!("admin"))
    );
    assert_eq!(browser.get("/session").await.status, StatusCode::OK);

    assert_eq!(browser.get("/status").await.json()["setup_required"], false);
    assert_eq!(server.admin.setup_token().await.unwrap(), None);
    let again = server.browser(2).post("/setup", body(&token)).await;
    again.assert_error(401, "AUTHENTICATION_FAILED", Some("token"));
    let mut other = server.browser(3);
    assert_eq!(other.login("rooT", PASSWORD).await.status, StatusCode::OK);
}

#[tokio::test]
async fn refuses_wrong_replaced_and_expired_tokens() {
    let server = Server::new().await;
    let browser = server.browser(1);
    let first = server.admin.setup_token().await.unwrap().unwrap();
    let second = server.admin.setup_token().await.unwrap().unwrap();
    for token in ["", "wrong", &first] {
        let answer = browser.post("/setup", body(token)).await;
        answer.assert_error(401, "AUTHENTICATION_FAILED", Some("token"));
    }
    server.advance(Duration::from_secs(24 * 3600));
    let answer = browser.post("/setup", body(&second)).await;
    answer.assert_error(401, "AUTHENTICATION_FAILED", Some("token"));
    assert_eq!(browser.get("/status").await.json()["setup_required"], true);
}

#[tokio::test]
async fn a_token_is_used_once_by_parallel_requests() {
    let server = Server::new().await;
    let token = server.admin.setup_token().await.unwrap().unwrap();
    let requests = ["a", "b", "c"].map(|name| {
        let browser = server.browser(1);
        let body = json!({ "token": &token, "username": name, "password": PASSWORD });
        tokio::spawn(async move { browser.post("/setup", body).await.status.as_u16() })
    });
    let mut statuses = Vec::new();
    for request in requests {
        statuses.push(request.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 401, 401]);
}

#[tokio::test]
async fn checks_the_name_and_the_password() {
    let server = Server::new().await;
    let token = server.admin.setup_token().await.unwrap().unwrap();
    let browser = server.browser(1);
    for (name, password, param) in [
        ("", PASSWORD, "username"),
        ("a b", PASSWORD, "username"),
        ("root", "short", "password"),
        ("root", "Password12345!", "password"),
        ("operations", "operations-1", "password"),
    ] {
        let body = json!({ "token": &token, "username": name, "password": password });
        let answer = browser.post("/setup", body).await;
        answer.assert_error(400, "VALIDATION_ERROR", Some(param));
    }
}
