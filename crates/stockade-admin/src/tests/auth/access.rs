//! The access of all routes: M01.

use std::time::Duration;

use http::{Method, StatusCode, header::AUTHORIZATION};
use serde_json::json;

use super::server::{Browser, Server};
use crate::{
    Permissions,
    api::{
        self,
        routes::{Access, Route},
    },
    auth::role,
    tests::support::Answer,
};

/// All routes that are not public, with example parameters.
fn guarded() -> Vec<(Route, String)> {
    let routes = api::routes();
    let guarded = routes
        .table()
        .iter()
        .filter(|route| route.access != Access::Public);
    let example = |path: &str| {
        let segments = path.split('/').map(|part| match part.starts_with('{') {
            true => "example",
            false => part,
        });
        segments.collect::<Vec<_>>().join("/")
    };
    guarded
        .map(|route| (route.clone(), example(route.path)))
        .collect()
}

async fn call(browser: &Browser, method: &Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    let body = (*method != Method::GET).then(|| json!({}));
    browser.send(method.clone(), path, body, headers).await
}

#[tokio::test]
async fn only_the_login_is_public() {
    let routes = api::routes();
    let public = routes
        .table()
        .iter()
        .filter(|route| route.access == Access::Public);
    let mut public: Vec<_> = public
        .map(|route| (route.method.as_str(), route.path))
        .collect();
    public.sort_unstable();
    assert_eq!(
        public,
        [("GET", "/status"), ("POST", "/session"), ("POST", "/setup")]
    );
    assert!(guarded().len() > 25, "{}", guarded().len());
}

/// M01.
#[tokio::test]
async fn every_route_refuses_requests_without_a_valid_credential() {
    let server = Server::with_users().await;
    let expired = server.logged_in("admin").await;
    server.advance(Duration::from_secs(31 * 60));
    let client = server.browser(1);
    let chat_key = format!("Bearer sk_{}", "a".repeat(43));
    let token = format!("Bearer sat_{}", "a".repeat(43));
    for (route, path) in guarded() {
        for (browser, headers) in [
            (&client, vec![]),
            (&client, vec![("authorization", chat_key.as_str())]),
            (&client, vec![("authorization", token.as_str())]),
            (&client, vec![("authorization", "Basic YWRtaW46YWRtaW4=")]),
            (&client, vec![("x-api-key", chat_key.as_str())]),
            (&expired, vec![]),
        ] {
            let answer = call(browser, &route.method, &path, &headers).await;
            answer.assert_error(401, "AUTHENTICATION_FAILED", None);
        }
    }
}

/// M01.
#[tokio::test]
async fn every_route_needs_its_permission() {
    let server = Server::with_users().await;
    let viewer = server.logged_in("viewer").await;
    let permissions = role::built_in("viewer").unwrap();
    let mut refused = 0;
    for (route, path) in guarded() {
        let Access::Needs(permission) = route.access else {
            continue;
        };
        if !permissions.contains(permission) {
            let answer = call(&viewer, &route.method, &path, &[]).await;
            answer.assert_error(403, "PERMISSION_DENIED", None);
            refused += 1;
        }
    }
    assert!(refused > 10, "{refused}");
    let answer = viewer.get("/permissions").await.json();
    let all: Vec<_> = Permissions::all().iter().map(|one| one.name()).collect();
    assert_eq!(answer["permissions"], json!(all));
}

/// M01.
#[tokio::test]
async fn other_methods_and_paths_are_refused() {
    let server = Server::with_users().await;
    let admin = server.logged_in("admin").await;
    for path in [
        "/keys",
        "//keys",
        "/keys/../keys",
        "/%6beys",
        "/keys/",
        "/unknown",
    ] {
        let answer = server.browser(1).get(path).await;
        let status = answer.status.as_u16();
        assert!([401, 404].contains(&status), "{path}: {status}");
    }
    for method in [Method::PUT, Method::TRACE, Method::CONNECT] {
        let answer = call(&admin, &method, "/keys", &[]).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
    }
}

#[tokio::test]
async fn refuses_several_authorization_headers() {
    let server = Server::with_users().await;
    let admin = server.logged_in("admin").await;
    let headers = [
        (AUTHORIZATION.as_str(), "Bearer sat_a"),
        (AUTHORIZATION.as_str(), "Bearer b"),
    ];
    let answer = admin.send(Method::GET, "/session", None, &headers).await;
    answer.assert_error(401, "AUTHENTICATION_FAILED", None);
}
