//! The compatibility routes of the administration, as scripts of older systems use them.

use std::process::Command;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    admin::{Administration, PASSWORD},
    test_server::{METRICS_KEY, write_files},
};

const LINES: &str = "[admin]\nlisten = \"127.0.0.1:0\"\n\
    compatibility = [\"inferno\", \"sollol\", \"cortex\", \"holo\"]\n\
    [abuse]\nban_loopback = false\n";

/// Sends a request with a bearer credential to the listener of the administration.
async fn send(
    admin: &Administration,
    method: Method,
    path: &str,
    bearer: &str,
    accept: &str,
    body: Option<Value>,
) -> (StatusCode, String) {
    let request = admin
        .client
        .request(method, format!("{}{path}", admin.base));
    let mut request = request.bearer_auth(bearer).header("accept", accept);
    if let Some(body) = body {
        request = request.json(&body);
    }
    let response = request.send().await.unwrap();
    (response.status(), response.text().await.unwrap())
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[tokio::test]
async fn serves_the_systems_of_the_setting() {
    let admin = Administration::start_with(LINES).await;
    let log = admin.server.wait_for_log("compatibility routes");
    assert_eq!(log["systems"], "inferno, sollol, cortex, holo");
    let json = "application/json";

    let body = json!({ "username": "root", "password": PASSWORD });
    let login = "/api/v1/auth/login";
    let (status, text) = send(&admin, Method::POST, login, "", json, Some(body)).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    let tokens = parse(&text);
    let access = tokens["access_token"].as_str().unwrap();

    let body = json!({ "name": "app", "permissions": ["ReadModels", "stats"] });
    let keys = "/api/v1/auth/api-keys";
    let (status, text) = send(&admin, Method::POST, keys, access, json, Some(body)).await;
    assert_eq!(status, StatusCode::CREATED, "{text}");
    let key = parse(&text);
    // The key is one of the guarded API.
    let key = key["api_key"].as_str().unwrap();
    let (status, text) = send(&admin, Method::GET, "/v1/models", key, json, None).await;
    assert_eq!(status, StatusCode::OK, "{text}");

    let (status, text) = send(&admin, Method::GET, "/admin/keys", access, json, None).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    assert!(text.contains("\"app\""), "{text}");

    // Figures as JSON for the administration, and for Prometheus as before.
    let (status, text) = send(&admin, Method::GET, "/metrics", access, json, None).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    assert!(
        parse(&text)["abuse_stats"]["window_seconds"].is_u64(),
        "{text}"
    );
    let (status, text) = send(&admin, Method::GET, "/metrics", METRICS_KEY, json, None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "{text}");
    let (status, text) = send(&admin, Method::GET, "/metrics", METRICS_KEY, "*/*", None).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    assert!(text.contains("# HELP"), "{text}");
}

#[test]
fn refuses_unknown_systems_with_the_known_ones() {
    let folder = tempfile::tempdir().unwrap();
    let lines = "[admin]\ncompatibility = [\"litellm\"]\n";
    let config = write_files(folder.path(), lines);
    let output = Command::new(env!("CARGO_BIN_EXE_stockade-server"))
        .args(["serve", "--config"])
        .arg(config)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("admin.compatibility"), "{text}");
    let known = "known are inferno, sollol, cortex, holo";
    assert!(text.contains(known), "{text}");
}
