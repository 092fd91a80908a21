//! One-time codes.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::json;

use super::{
    server::{Browser, PASSWORD, Server},
    users::patch,
};
use crate::{auth::totp, tests::support::Answer};

/// Sets up codes for the user of a browser, and returns their secret.
async fn set_up(server: &Server, browser: &Browser) -> String {
    let answer = begin(browser).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let secret = answer.json()["secret"].as_str().unwrap().to_owned();
    let answer = confirm(browser, "000000").await;
    answer.assert_error(400, "VALIDATION_ERROR", Some("code"));
    let answer = confirm(browser, &code(server, &secret)).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text);
    secret
}

async fn begin(browser: &Browser) -> Answer {
    browser.post("/totp", json!({ "password": PASSWORD })).await
}

async fn confirm(browser: &Browser, code: &str) -> Answer {
    let body = Some(json!({ "code": code }));
    browser.send(Method::PUT, "/totp", body, &[]).await
}

fn code(server: &Server, secret: &str) -> String {
    totp::code(secret, server.state().now())
}

async fn login(browser: &mut Browser, code: &str) -> Answer {
    let body = json!({ "username": "admin", "password": PASSWORD, "code": code });
    let answer = browser.post("/session", body).await;
    browser.keep(&answer);
    answer
}

#[tokio::test]
async fn logins_need_a_code_that_was_not_used() {
    let server = Server::with_users().await;
    let admin = server.logged_in("admin").await;
    let secret = set_up(&server, &admin).await;
    assert_eq!(admin.get("/session").await.json()["user"]["has_totp"], true);

    let mut browser = server.browser(1);
    let answer = browser.login("admin", PASSWORD).await;
    answer.assert_error(401, "CODE_REQUIRED", None);
    let answer = browser.login("admin", "wrong").await;
    answer.assert_error(401, "AUTHENTICATION_FAILED", None);
    // The code of the confirmation was used.
    let used = code(&server, &secret);
    login(&mut browser, &used)
        .await
        .assert_error(401, "CODE_REQUIRED", None);

    server.advance(Duration::from_secs(30));
    let next = code(&server, &secret);
    assert_eq!(login(&mut browser, &next).await.status, StatusCode::OK);
    let mut replay = server.browser(2);
    login(&mut replay, &next)
        .await
        .assert_error(401, "CODE_REQUIRED", None);
    login(&mut replay, &used)
        .await
        .assert_error(401, "CODE_REQUIRED", None);
    assert_eq!(
        replay.get("/session").await.status,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn a_code_is_used_once_by_parallel_logins() {
    let server = Server::with_users().await;
    let admin = server.logged_in("admin").await;
    let secret = set_up(&server, &admin).await;
    server.advance(Duration::from_secs(30));
    let code = code(&server, &secret);
    let logins = [1, 2, 3].map(|number| {
        let (mut browser, code) = (server.browser(number), code.clone());
        tokio::spawn(async move { login(&mut browser, &code).await.status.as_u16() })
    });
    let mut statuses = Vec::new();
    for login in logins {
        statuses.push(login.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401, 401]);
}

#[tokio::test]
async fn guesses_of_codes_are_throttled() {
    let server = Server::with_users().await;
    let admin = server.logged_in("admin").await;
    let secret = set_up(&server, &admin).await;
    server.advance(Duration::from_secs(30));
    let right = code(&server, &secret);
    let wrong = if right == "123456" {
        "123457"
    } else {
        "123456"
    };
    for number in 1..=5 {
        let answer = login(&mut server.browser(number), wrong).await;
        answer.assert_error(401, "CODE_REQUIRED", None);
    }
    let answer = login(&mut server.browser(6), &right).await;
    answer.assert_error(429, "RATE_LIMITED", None);
}

#[tokio::test]
async fn a_secret_without_confirmation_has_no_effect() {
    let server = Server::with_users().await;
    let admin = server.logged_in("admin").await;
    confirm(&admin, "123456")
        .await
        .assert_error(409, "CONFLICT", None);
    let stolen = admin
        .post("/totp", json!({ "password": "a guess of a thief" }))
        .await;
    stolen.assert_error(400, "VALIDATION_ERROR", Some("password"));
    assert_eq!(begin(&admin).await.status, StatusCode::OK);
    server.logged_in("admin").await;
    let secret = set_up(&server, &admin).await;
    // It must be removed first.
    begin(&admin).await.assert_error(409, "CONFLICT", None);
    confirm(&admin, &code(&server, &secret))
        .await
        .assert_error(409, "CONFLICT", None);
}

#[tokio::test]
async fn removal_needs_the_password_or_an_admin() {
    let server = Server::with_users().await;
    let admin = server.logged_in("admin").await;
    let viewer = server.logged_in("viewer").await;
    set_up(&server, &admin).await;
    set_up(&server, &viewer).await;
    for (password, status) in [("wrong", 400), (PASSWORD, 204)] {
        let body = Some(json!({ "password": password }));
        let answer = admin.send(Method::DELETE, "/totp", body, &[]).await;
        assert_eq!(answer.status, status, "{}", answer.text);
    }
    server.logged_in("admin").await;
    let mut browser = server.browser(1);
    let answer = browser.login("viewer", PASSWORD).await;
    answer.assert_error(401, "CODE_REQUIRED", None);
    patch(&admin, "viewer", json!({ "has_totp": false })).await;
    assert_eq!(
        browser.login("viewer", PASSWORD).await.status,
        StatusCode::OK
    );
}
