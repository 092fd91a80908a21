//! Requests of other sites: M02.

use axum::{body::Body, extract::Request};
use http::{Method, StatusCode};
use serde_json::json;

use super::server::{Browser, PASSWORD, Server};
use crate::tests::support::Answer;

const OWN: &str = "http://localhost:8001";

/// Creates a role, as `text/plain` if it is a form.
async fn post(browser: &Browser, headers: &[(&str, &str)]) -> Answer {
    let request = Request::builder()
        .method(Method::PUT)
        .uri("/admin/v1/roles/evil");
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    });
    let body = Body::from(r#"{"permissions":["keys:read"]}"#);
    browser.send_request(request.body(body).unwrap()).await
}

/// M02.
#[tokio::test]
async fn refuses_requests_of_other_sites() {
    let server = Server::with_users().await;
    let admin = server.logged_in("admin").await;
    let csrf = admin.csrf.clone().unwrap();
    let token = ("x-csrf-token", csrf.as_str());
    let text = ("content-type", "text/plain");
    let json = ("content-type", "application/json");
    for headers in [
        // A form of another site, which cannot send the token.
        &[
            text,
            ("origin", "https://evil.test"),
            ("sec-fetch-site", "cross-site"),
        ][..],
        &[text, ("origin", "https://evil.test")],
        &[text, ("origin", "null")],
        &[text, ("sec-fetch-site", "cross-site")],
        &[text, ("sec-fetch-site", "same-site")],
        &[text],
        &[json],
        // Even with the token.
        &[json, token, ("origin", "https://evil.test")],
        &[json, token, ("origin", "null")],
        &[json, token, ("origin", "http://localhost:3000")],
        &[json, token, ("sec-fetch-site", "cross-site")],
        &[
            json,
            token,
            ("sec-fetch-site", "same-site"),
            ("origin", OWN),
        ],
        // The own page, without the token or with a wrong one.
        &[json, ("origin", OWN), ("sec-fetch-site", "same-origin")],
        &[json, ("x-csrf-token", ""), ("origin", OWN)],
        &[json, ("x-csrf-token", "wrong"), ("origin", OWN)],
    ] {
        let mut browser = admin.clone();
        browser.csrf = None;
        let answer = post(&browser, headers).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{headers:?}");
        let code = answer.json()["error"]["code"].clone();
        assert!(code == "CROSS_SITE" || code == "CSRF_TOKEN", "{code}");
    }
    assert_eq!(
        admin.get("/roles").await.json()["data"]
            .as_array()
            .unwrap()
            .len(),
        3
    );

    let own = [
        json,
        token,
        ("origin", OWN),
        ("sec-fetch-site", "same-origin"),
    ];
    assert_eq!(post(&admin, &own).await.status, StatusCode::OK);
    let unsupported = post(&admin, &[text, token, ("origin", OWN)]).await;
    assert_eq!(unsupported.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

/// M02.
#[tokio::test]
async fn the_token_belongs_to_the_session() {
    let server = Server::with_users().await;
    let mut admin = server.logged_in("admin").await;
    let other = server.logged_in("admin").await;
    admin.csrf = other.csrf;
    admin
        .delete("/session")
        .await
        .assert_error(403, "CSRF_TOKEN", None);
    // A new page reads the token.
    let csrf = admin.get("/session").await.json()["csrf_token"].clone();
    admin.csrf = csrf.as_str().map(str::to_owned);
    assert_eq!(
        admin.delete("/session").await.status,
        StatusCode::NO_CONTENT
    );
}

/// M02.
#[tokio::test]
async fn other_sites_cannot_log_a_browser_in() {
    let server = Server::with_users().await;
    let browser = server.browser(1);
    let body = json!({ "username": "viewer", "password": PASSWORD });
    for headers in [
        [("origin", "https://evil.test")],
        [("origin", "null")],
        [("sec-fetch-site", "cross-site")],
    ] {
        let answer = browser
            .send(Method::POST, "/session", Some(body.clone()), &headers)
            .await;
        answer.assert_error(403, "CROSS_SITE", None);
        assert!(!answer.headers.contains_key("set-cookie"));
    }
}

/// DNS rebinding.
#[tokio::test]
async fn refuses_unknown_hosts() {
    let server = Server::with_users().await;
    let mut admin = server.logged_in("admin").await;
    admin.cookie = admin
        .cookie
        .map(|cookie| format!("{cookie}; __Host-{cookie}"));
    for (host, allowed) in [
        ("localhost", true),
        ("127.0.0.1:9", true),
        ("admin.example.com", true),
        ("evil.test", false),
        ("evil.test:8001", false),
        ("10.0.0.1:8001", false),
        ("localhost.evil.test", false),
        ("localhost@evil.test", false),
        ("", false),
    ] {
        let headers = [("host", host)];
        for path in ["/status", "/session", "/unknown"] {
            let answer = admin.send(Method::GET, path, None, &headers).await;
            let refused = answer.status == StatusCode::MISDIRECTED_REQUEST;
            assert_eq!(refused, !allowed, "{host:?} {path}: {}", answer.status);
        }
    }
}
