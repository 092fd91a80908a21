//! Clients of Inferno.

mod api_keys;
mod login;

use axum::{body::Body, extract::Request};
use http::{Method, StatusCode, header::CONTENT_TYPE};
use serde_json::{Value, json};

use super::server::{Browser, PASSWORD, Server};
use crate::{Compatibility, tests::support::Answer};

const LOGIN: &str = "/api/v1/auth/login";
const REFRESH: &str = "/api/v1/auth/refresh";
const LOGOUT: &str = "/api/v1/auth/logout";
const API_KEYS: &str = "/api/v1/auth/api-keys";

/// A server with users and these systems.
async fn server(systems: &[Compatibility]) -> Server {
    let server = Server::configured(|config, _| config.compatibility = systems.to_vec()).await;
    server.add_users().await;
    server
}

/// A client with the tokens of its login.
struct Client {
    browser: Browser,
    access: String,
    refresh: String,
}

impl Client {
    async fn log_in(server: &Server, user: &str) -> Self {
        let browser = server.browser(0);
        let body = json!({ "username": user, "password": PASSWORD });
        let answer = post(&browser, LOGIN, body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        let answer = answer.json();
        let text = |name: &str| answer[name].as_str().unwrap().to_owned();
        Self {
            access: text("access_token"),
            refresh: text("refresh_token"),
            browser,
        }
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let authorization = format!("Bearer {}", self.access);
        let headers = [("authorization", authorization.as_str())];
        send(&self.browser, method, path, body, &headers).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, Some(body)).await
    }

    async fn refresh(&self) -> Answer {
        let body = json!({ "refresh_token": self.refresh });
        post(&self.browser, REFRESH, body).await
    }

    /// Checks that neither token is accepted any more.
    async fn assert_ended(&self) {
        let answer = self.get(API_KEYS).await;
        answer.assert_error(401, "AUTHENTICATION_FAILED", None);
        let answer = self.refresh().await;
        answer.assert_error(401, "AUTHENTICATION_FAILED", None);
    }
}

async fn post(browser: &Browser, path: &str, body: Value) -> Answer {
    send(browser, Method::POST, path, Some(body), &[]).await
}

async fn send(
    browser: &Browser,
    method: Method,
    path: &str,
    body: Option<Value>,
    headers: &[(&str, &str)],
) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = match body {
        Some(body) => request
            .header(CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string())),
        None => request.body(Body::empty()),
    };
    browser.send_request(request.unwrap()).await
}
