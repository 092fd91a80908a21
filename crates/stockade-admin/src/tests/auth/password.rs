//! The change of the own password: M04.

use http::StatusCode;
use serde_json::json;

use super::server::{PASSWORD, Server};

const NEW: &str = "another kettle over the bridge";

/// M04.
#[tokio::test]
async fn a_change_ends_all_other_sessions_and_the_old_cookie() {
    let server = Server::with_users().await;
    let mut browser = server.logged_in("admin").await;
    let (old, other) = (browser.clone(), server.logged_in("admin").await);
    let body = json!({ "current": PASSWORD, "new": NEW });
    let answer = browser.post("/password", body).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text);
    let cookie = answer.headers["set-cookie"].to_str().unwrap();
    browser.cookie = cookie.split(';').next().map(str::to_owned);
    assert_ne!(browser.cookie, old.cookie);
    assert_eq!(old.get("/session").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(other.get("/session").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(browser.get("/session").await.status, StatusCode::OK);

    let mut next = server.browser(2);
    let answer = next.login("admin", PASSWORD).await;
    answer.assert_error(401, "AUTHENTICATION_FAILED", None);
    assert_eq!(next.login("admin", NEW).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_change_needs_the_current_password() {
    let server = Server::with_users().await;
    let browser = server.logged_in("admin").await;
    for (current, new, param) in [
        ("wrong", NEW, "current"),
        (PASSWORD, PASSWORD, "new"),
        (PASSWORD, "short", "new"),
    ] {
        let body = json!({ "current": current, "new": new });
        let answer = browser.post("/password", body).await;
        answer.assert_error(400, "VALIDATION_ERROR", Some(param));
    }
    assert_eq!(browser.get("/session").await.status, StatusCode::OK);
}

#[tokio::test]
async fn guesses_of_a_stolen_session_are_throttled() {
    let server = Server::with_users().await;
    let browser = server.logged_in("admin").await;
    let body = json!({ "current": "wrong", "new": NEW });
    for _ in 0..10 {
        let answer = browser.post("/password", body.clone()).await;
        answer.assert_error(400, "VALIDATION_ERROR", Some("current"));
    }
    let answer = browser.post("/password", body).await;
    answer.assert_error(429, "RATE_LIMITED", None);
}
