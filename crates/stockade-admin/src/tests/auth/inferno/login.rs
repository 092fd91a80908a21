//! Logins, tokens and sessions.

use std::time::Duration;

use http::{Method, StatusCode, header::SET_COOKIE};
use serde_json::json;

use super::{API_KEYS, Client, LOGIN, LOGOUT, PASSWORD, REFRESH, post, send, server};
use crate::{
    Compatibility, auth::totp, compat, tests::auth::server::Server, tests::auth::users::patch,
};

const INFERNO: &[Compatibility] = &[Compatibility::Inferno];

#[tokio::test]
async fn logs_in_refreshes_and_logs_out() {
    let server = server(INFERNO).await;
    let body = json!({ "username": "admin", "password": PASSWORD });
    let answer = post(&server.browser(0), LOGIN, body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert!(!answer.headers.contains_key(SET_COOKIE));
    let body = answer.json();
    assert_eq!(
        (&body["token_type"], &body["expires_in"]),
        (&json!("Bearer"), &json!(900))
    );
    assert_eq!(body["user"]["username"], "admin");
    assert!(
        body["user"]["permissions"]
            .as_array()
            .unwrap()
            .contains(&json!("ManageUsers"))
    );
    assert_eq!(body["access_token"].as_str().unwrap().split('.').count(), 3);

    let client = Client::log_in(&server, "admin").await;
    assert_eq!(client.get(API_KEYS).await.status, StatusCode::OK);
    let next = client.refresh().await;
    assert_eq!(next.status, StatusCode::OK, "{}", next.text);
    let next = Client {
        access: next.json()["access_token"].as_str().unwrap().to_owned(),
        refresh: next.json()["refresh_token"].as_str().unwrap().to_owned(),
        ..client
    };
    assert_eq!(next.get(API_KEYS).await.status, StatusCode::OK);
    let out = next.call(Method::POST, LOGOUT, None).await;
    assert_eq!(out.status, StatusCode::NO_CONTENT, "{}", out.text);
    next.assert_ended().await;
    let events = server.events();
    let of = |kind: &str| events.iter().filter(|event| event["event"] == kind).count();
    assert_eq!((of("login"), of("logout")), (2, 1));
}

#[tokio::test]
async fn wrong_passwords_are_refused_recorded_and_throttled() {
    let server = server(INFERNO).await;
    let body = json!({ "username": "admin", "password": "wrong" });
    for _ in 0..5 {
        let answer = post(&server.browser(1), LOGIN, body.clone()).await;
        answer.assert_error(401, "AUTHENTICATION_FAILED", None);
    }
    let answer = post(&server.browser(1), LOGIN, body).await;
    answer.assert_error(429, "RATE_LIMITED", None);
    assert!(answer.headers.contains_key("retry-after"));
    // The login of the page counts in the same way.
    let answer = server.browser(1).login("admin", PASSWORD).await;
    answer.assert_error(429, "RATE_LIMITED", None);
    assert_eq!(server.verifications(), 5);
    let events = server.events();
    let failed = events
        .iter()
        .filter(|event| event["event"] == "login_failed");
    assert_eq!(failed.count(), 5);
}

#[tokio::test]
async fn users_with_one_time_codes_need_one() {
    let server = server(INFERNO).await;
    let admin = server.logged_in("admin").await;
    let secret = admin.post("/totp", json!({ "password": PASSWORD })).await;
    let secret = secret.json()["secret"].as_str().unwrap().to_owned();
    let code = totp::code(&secret, server.state().now());
    let body = Some(json!({ "code": code }));
    let answer = admin.send(Method::PUT, "/totp", body, &[]).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text);

    server.advance(Duration::from_secs(60));
    let browser = server.browser(0);
    let body = json!({ "username": "admin", "password": PASSWORD });
    let answer = post(&browser, LOGIN, body.clone()).await;
    answer.assert_error(401, "CODE_REQUIRED", None);
    let mut body = body;
    body["totp_code"] = json!(totp::code(&secret, server.state().now()));
    let answer = post(&browser, LOGIN, body.clone()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let answer = post(&browser, LOGIN, body).await;
    answer.assert_error(401, "CODE_REQUIRED", None);
}

#[tokio::test]
async fn disabled_users_lose_their_tokens_at_once() {
    let server = server(INFERNO).await;
    let admin = server.logged_in("admin").await;
    let client = Client::log_in(&server, "operator").await;
    assert_eq!(client.get(API_KEYS).await.status, StatusCode::OK);
    patch(&admin, "operator", json!({ "disabled": true })).await;
    client.assert_ended().await;
    patch(&admin, "operator", json!({ "disabled": false })).await;
    client.assert_ended().await;
}

#[tokio::test]
async fn new_passwords_and_roles_take_effect_at_once() {
    let server = server(INFERNO).await;
    let admin = server.logged_in("admin").await;
    let client = Client::log_in(&server, "operator").await;
    let body = json!({ "name": "ci", "permissions": ["RunInference"] });
    let answer = client.post(API_KEYS, body.clone()).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    patch(&admin, "operator", json!({ "role": "viewer" })).await;
    let answer = client.post(API_KEYS, body).await;
    answer.assert_error(403, "PERMISSION_DENIED", None);
    let password = json!({ "password": "another kettle under the bridge" });
    patch(&admin, "operator", password).await;
    client.assert_ended().await;
}

#[tokio::test]
async fn a_refresh_token_that_is_used_twice_ends_its_session() {
    let server = server(INFERNO).await;
    let client = Client::log_in(&server, "viewer").await;
    let other = Client::log_in(&server, "viewer").await;
    let next = client.refresh().await;
    assert_eq!(next.status, StatusCode::OK, "{}", next.text);
    let answer = client.refresh().await;
    answer.assert_error(401, "AUTHENTICATION_FAILED", None);
    let next = Client {
        access: next.json()["access_token"].as_str().unwrap().to_owned(),
        refresh: next.json()["refresh_token"].as_str().unwrap().to_owned(),
        ..client
    };
    next.assert_ended().await;
    assert_eq!(other.get(API_KEYS).await.status, StatusCode::OK);
    let events = server.events();
    let ended = events.iter().find(|event| event["event"] == "logout");
    let detail = ended.unwrap()["detail"].as_str().unwrap();
    assert!(detail.contains("used twice"), "{detail}");
}

#[tokio::test]
async fn invalid_refresh_tokens_are_refused() {
    let server = server(INFERNO).await;
    let client = Client::log_in(&server, "viewer").await;
    let [sid, once] = client.refresh["srt_".len()..]
        .split('.')
        .collect::<Vec<_>>()[..]
    else {
        panic!("{}", client.refresh);
    };
    for token in [
        String::new(),
        "srt_".to_owned(),
        "srt_.".to_owned(),
        format!("{sid}.{once}"),
        format!("srt_{once}.{sid}"),
        client.access.clone(),
    ] {
        let body = json!({ "refresh_token": token });
        let answer = post(&client.browser, REFRESH, body).await;
        answer.assert_error(401, "AUTHENTICATION_FAILED", None);
    }
    assert_eq!(client.refresh().await.status, StatusCode::OK);
}

#[tokio::test]
async fn access_tokens_expire_and_sessions_end_when_they_are_idle() {
    let server = server(INFERNO).await;
    let client = Client::log_in(&server, "viewer").await;
    server.advance(Duration::from_secs(15 * 60));
    let answer = client.get(API_KEYS).await;
    answer.assert_error(401, "AUTHENTICATION_FAILED", None);
    let next = client.refresh().await;
    assert_eq!(next.status, StatusCode::OK, "{}", next.text);
    let next = Client {
        access: next.json()["access_token"].as_str().unwrap().to_owned(),
        refresh: next.json()["refresh_token"].as_str().unwrap().to_owned(),
        ..client
    };
    assert_eq!(next.get(API_KEYS).await.status, StatusCode::OK);
    server.advance(Duration::from_secs(30 * 60));
    next.assert_ended().await;
}

/// M02.
#[tokio::test]
async fn cookies_and_tokens_are_not_mixed() {
    let server = server(INFERNO).await;
    let admin = server.logged_in("admin").await;
    let csrf = admin.csrf.clone().unwrap();
    let answer = send(
        &admin,
        Method::GET,
        API_KEYS,
        None,
        &[("x-csrf-token", csrf.as_str())],
    )
    .await;
    answer.assert_error(401, "AUTHENTICATION_FAILED", None);

    let client = Client::log_in(&server, "admin").await;
    let answer = client.get("/admin/v1/keys").await;
    answer.assert_error(401, "AUTHENTICATION_FAILED", None);
    for secret in [
        &client.access,
        &client.refresh,
        &client.refresh[4..].to_owned(),
    ] {
        let mut browser = server.browser(0);
        browser.cookie = Some(format!("stockade_admin={secret}"));
        let answer = browser.get("/keys").await;
        answer.assert_error(401, "AUTHENTICATION_FAILED", None);
    }
}

/// M02.
#[tokio::test]
async fn other_sites_and_hosts_are_refused() {
    let server = server(INFERNO).await;
    let browser = server.browser(0);
    let body = json!({ "username": "admin", "password": PASSWORD });
    for (headers, status, code) in [
        (("origin", "https://evil.test"), 403, "CROSS_SITE"),
        (("sec-fetch-site", "cross-site"), 403, "CROSS_SITE"),
        (("host", "evil.test"), 421, "HOST_NOT_ALLOWED"),
    ] {
        let body = Some(body.clone());
        let answer = send(&browser, Method::POST, LOGIN, body, &[headers]).await;
        answer.assert_error(status, code, None);
    }
    assert_eq!(server.verifications(), 0);
}

/// M01.
#[tokio::test]
async fn every_route_refuses_requests_without_a_valid_credential() {
    let server = server(Compatibility::ALL).await;
    let browser = server.browser(1);
    let forged = "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.";
    let token = format!("Bearer sat_{}", "a".repeat(43));
    let mut guarded = 0;
    for system in compat::systems(Compatibility::ALL) {
        for route in system.routes.table() {
            if matches!(route.path, "/login" | "/refresh") {
                continue;
            }
            guarded += 1;
            let path = format!("{}{}", system.path, route.path.replace("{id}", "example"));
            for authorization in ["", forged, &token, "Basic YWRtaW46YWRtaW4="] {
                let headers = [("authorization", authorization)];
                let body = (route.method != Method::GET).then(|| json!({}));
                let method = route.method.clone();
                let answer = send(&browser, method, &path, body, &headers).await;
                answer.assert_error(401, "AUTHENTICATION_FAILED", None);
            }
        }
    }
    assert_eq!(guarded, 8);
}

#[tokio::test]
async fn there_are_no_routes_by_default() {
    let server = Server::with_users().await;
    let browser = server.browser(0);
    let body = json!({ "username": "admin", "password": PASSWORD });
    assert_eq!(
        post(&browser, LOGIN, body).await.status,
        StatusCode::NOT_FOUND
    );
    for path in [API_KEYS, "/admin/keys", "/metrics"] {
        let answer = send(&browser, Method::GET, path, None, &[]).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
    let admin = server.logged_in("admin").await;
    let document = admin.get("/openapi.json").await.json();
    let paths = document["paths"].as_object().unwrap();
    assert!(
        paths.keys().all(|path| !path.contains("/api/v1/auth")),
        "{paths:?}"
    );
    assert!(!paths.contains_key("/admin/keys") && !paths.contains_key("/metrics"));
}
