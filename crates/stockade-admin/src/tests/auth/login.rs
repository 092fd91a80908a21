//! Logins: M06.

use std::time::Duration;

use axum::{body::Body, extract::Request};
use http::{StatusCode, header::CONTENT_TYPE};
use serde_json::json;
use stockade_core::{client::ClientIp, context::RequestContext};

use super::server::{PASSWORD, Server};

#[tokio::test]
async fn all_failures_have_one_error() {
    let server = Server::with_users().await;
    let mut texts = Vec::new();
    for (number, name) in [(1, "admin"), (2, "unknown"), (3, "' OR 1=1 --"), (4, "a\0")] {
        let answer = server.browser(number).login(name, "wrong").await;
        answer.assert_error(401, "AUTHENTICATION_FAILED", None);
        texts.push(answer.text);
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert_eq!(server.verifications(), 4);
}

/// M06.
#[tokio::test]
async fn a_flood_of_logins_is_throttled_and_the_admin_can_log_in() {
    let server = Server::with_users().await;
    let mut admin = server.browser(0);
    assert_eq!(admin.login("admin", PASSWORD).await.status, StatusCode::OK);

    // Each name is refused after the same number of verifications: unknown users take the same
    // work.
    for (name, first) in [("admin", 1000), ("unknown", 2000)] {
        let before = server.verifications();
        let mut refused = 0;
        for number in 0..500 {
            let answer = server
                .browser(first + number % 250)
                .login(name, "wrong")
                .await;
            match answer.status {
                StatusCode::UNAUTHORIZED => {}
                _ => {
                    answer.assert_error(429, "RATE_LIMITED", None);
                    assert!(answer.headers.contains_key("retry-after"));
                    refused += 1;
                }
            }
        }
        assert_eq!(
            (server.verifications() - before, refused),
            (10, 490),
            "{name}"
        );
    }

    // From a network that the admin has used before: at once.
    assert_eq!(admin.login("admin", PASSWORD).await.status, StatusCode::OK);
    // From a new network: after a bounded wait.
    let mut travelling = server.browser(9);
    let answer = travelling.login("admin", PASSWORD).await;
    answer.assert_error(429, "RATE_LIMITED", None);
    let wait = answer.headers["retry-after"].to_str().unwrap();
    let wait = Duration::from_secs(wait.parse().unwrap());
    assert!(wait <= Duration::from_secs(8), "{wait:?}");
    server.advance(wait);
    assert_eq!(
        travelling.login("admin", PASSWORD).await.status,
        StatusCode::OK
    );
}

/// M06.
#[tokio::test]
async fn a_network_is_throttled_for_all_names() {
    let server = Server::with_users().await;
    let mut attacker = server.browser(1);
    for number in 0..5 {
        let answer = attacker.login(&format!("user{number}"), "wrong").await;
        answer.assert_error(401, "AUTHENTICATION_FAILED", None);
    }
    let answer = attacker.login("admin", PASSWORD).await;
    answer.assert_error(429, "RATE_LIMITED", None);
    let mut admin = server.browser(2);
    assert_eq!(admin.login("admin", PASSWORD).await.status, StatusCode::OK);
}

/// Behind a proxy, the client is the one of a context layer, and not one of a header.
#[tokio::test]
async fn clients_are_those_of_the_context() {
    let server = Server::with_users().await;
    let login = |client: Option<ClientIp>, header: &'static str| {
        let body = json!({ "username": "admin", "password": "wrong" });
        let mut request = Request::post("/admin/v1/session")
            .header(CONTENT_TYPE, "application/json")
            .header("x-forwarded-for", header)
            .body(Body::from(body.to_string()))
            .unwrap();
        if let Some(client) = client {
            let context = RequestContext::builder().client(client);
            request.extensions_mut().insert(context.build());
        }
        let browser = server.browser(1);
        async move { browser.send_request(request).await.status }
    };
    let address = |text: &str| Some(ClientIp::Ip(text.parse().unwrap()));
    for client in ["203.0.113.1", "203.0.113.2", "2001:db8::1"] {
        let status = login(address(client), "198.51.100.1").await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    }
    let headers = ["198.51.100.2", "198.51.100.3", "198.51.100.4"];
    for header in headers {
        assert_eq!(login(None, header).await, StatusCode::UNAUTHORIZED);
    }
    let events = server.events();
    let clients: Vec<_> = events.iter().map(|event| event["ip"].as_str()).collect();
    let proxies = ["203.0.113.1", "203.0.113.2", "2001:db8::1"].map(Some);
    assert_eq!(clients, [proxies, [Some("10.0.0.1"); 3]].concat());
}
