//! Cookies and sessions: M04 and M05.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::json;

use super::server::{PASSWORD, Server, values};

/// M04.
#[tokio::test]
async fn login_ignores_a_session_id_that_was_set_before() {
    let server = Server::with_users().await;
    let mut browser = server.browser(1);
    let planted = "stockade_admin=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    browser.cookie = Some(planted.to_owned());
    assert_eq!(
        browser.login("admin", PASSWORD).await.status,
        StatusCode::OK
    );
    assert_ne!(browser.cookie.as_deref(), Some(planted));
    let mut attacker = server.browser(2);
    attacker.cookie = Some(planted.to_owned());
    assert_eq!(
        attacker.get("/session").await.status,
        StatusCode::UNAUTHORIZED
    );
}

/// M04.
#[tokio::test]
async fn login_ends_the_previous_session_of_the_browser() {
    let server = Server::with_users().await;
    let old = server.logged_in("viewer").await;
    let mut browser = old.clone();
    assert_eq!(
        browser.login("admin", PASSWORD).await.status,
        StatusCode::OK
    );
    assert_ne!(browser.cookie, old.cookie);
    assert_ne!(browser.csrf, old.csrf);
    assert_eq!(old.get("/session").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(browser.get("/session").await.status, StatusCode::OK);
}

/// M04.
#[tokio::test]
async fn logout_ends_the_session_on_the_server() {
    let server = Server::with_users().await;
    let browser = server.logged_in("admin").await;
    let other = server.logged_in("admin").await;
    let answer = browser.delete("/session").await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    let cookie = values(&answer.headers, "set-cookie");
    assert!(cookie[0].starts_with("stockade_admin=; ") && cookie[0].contains("Max-Age=0"));
    assert_eq!(
        browser.get("/session").await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(other.get("/session").await.status, StatusCode::OK);
}

/// M05.
#[tokio::test]
async fn cookies_have_all_attributes() {
    let server = Server::with_users().await;
    let body = json!({ "username": "admin", "password": PASSWORD });
    for (host, name, secure) in [
        ("admin.example.com", "__Host-stockade_admin=", true),
        ("admin.example.com:443", "__Host-stockade_admin=", true),
        ("localhost:8001", "stockade_admin=", false),
        ("127.0.0.1:8001", "stockade_admin=", false),
        ("[::1]:8001", "stockade_admin=", false),
    ] {
        let headers = [("host", host)];
        let answer = server
            .browser(1)
            .send(Method::POST, "/session", Some(body.clone()), &headers)
            .await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(values(&answer.headers, "cache-control"), ["no-store"]);
        let cookies = values(&answer.headers, "set-cookie");
        let [cookie] = cookies[..] else {
            panic!("{cookies:?}");
        };
        let attributes: Vec<_> = cookie.split("; ").collect();
        assert!(attributes[0].starts_with(name), "{cookie}");
        for attribute in ["Path=/", "HttpOnly", "SameSite=Strict"] {
            assert!(attributes.contains(&attribute), "{cookie}");
        }
        assert_eq!(attributes.contains(&"Secure"), secure, "{cookie}");
        assert!(!cookie.contains("Domain"), "{cookie}");
    }
}

#[tokio::test]
async fn sessions_end_when_idle() {
    let server = Server::with_users().await;
    let browser = server.logged_in("admin").await;
    for _ in 0..3 {
        server.advance(Duration::from_secs(29 * 60));
        assert_eq!(browser.get("/session").await.status, StatusCode::OK);
    }
    server.advance(Duration::from_secs(30 * 60));
    assert_eq!(
        browser.get("/session").await.status,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn sessions_end_after_their_maximum() {
    let server = Server::with_users().await;
    let browser = server.logged_in("admin").await;
    for _ in 0..35 {
        server.advance(Duration::from_secs(20 * 60));
        assert_eq!(browser.get("/session").await.status, StatusCode::OK);
    }
    server.advance(Duration::from_secs(20 * 60));
    assert_eq!(
        browser.get("/session").await.status,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn lists_and_ends_own_sessions() {
    let server = Server::with_users().await;
    let (first, second) = (
        server.logged_in("admin").await,
        server.logged_in("admin").await,
    );
    let third = server.logged_in("admin").await;
    let foreign = server.logged_in("viewer").await;
    let list = first.get("/sessions").await.json();
    let sessions = list["data"].as_array().unwrap();
    assert_eq!(sessions.len(), 3, "{list}");
    let current: Vec<_> = sessions
        .iter()
        .filter(|one| one["current"] == true)
        .collect();
    assert_eq!(current.len(), 1);
    assert_eq!(current[0]["client"], "10.0.0.0");

    let path = format!("/sessions/{}", current[0]["id"].as_str().unwrap());
    assert_eq!(foreign.delete(&path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(second.delete(&path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(first.get("/session").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        second.delete("/sessions").await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(third.get("/session").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(second.get("/session").await.status, StatusCode::OK);
    assert_eq!(foreign.get("/session").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_user_has_50_sessions_at_most() {
    let server = Server::with_users().await;
    let first = server.logged_in("viewer").await;
    for _ in 0..49 {
        server.advance(Duration::from_secs(1));
        server.logged_in("viewer").await;
    }
    assert_eq!(first.get("/session").await.status, StatusCode::OK);
    server.advance(Duration::from_secs(1));
    let last = server.logged_in("viewer").await;
    assert_eq!(first.get("/session").await.status, StatusCode::UNAUTHORIZED);
    let sessions = last.get("/sessions").await.json();
    assert_eq!(sessions["data"].as_array().unwrap().len(), 50);
}
