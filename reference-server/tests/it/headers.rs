//! Security headers for browsers.

use reqwest::Method;
use serde_json::json;

use crate::test_server::{FULL_KEY, TestServer};

const ALWAYS: [(&str, &str); 4] = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("content-security-policy", "frame-ancestors 'none'"),
    ("referrer-policy", "no-referrer"),
];
const HSTS: &str = "strict-transport-security";

// FH02
#[tokio::test]
async fn every_response_has_security_headers_and_hsts_only_over_tls() {
    let server = TestServer::start().await;
    let get = |path: &str| server.request(Method::GET, path);
    let chat = server.chat_with(json!({})).await;
    let answers = [
        chat,
        get("/health").send().await.unwrap(),
        get("/v1/models")
            .bearer_auth(FULL_KEY)
            .send()
            .await
            .unwrap(),
        get("/v1/models").send().await.unwrap(),
        get("/v1/none").bearer_auth(FULL_KEY).send().await.unwrap(),
    ];
    for answer in answers {
        for (name, value) in ALWAYS {
            assert_eq!(answer.headers()[name], value, "{answer:?}");
        }
        assert_eq!(answer.headers()["cache-control"], "no-store", "{answer:?}");
        assert!(!answer.headers().contains_key(HSTS));
    }
    // A handler's own header is kept.
    let stream = server.chat_with(json!({"stream": true})).await;
    assert_eq!(stream.headers().get_all("cache-control").iter().count(), 1);
    assert_eq!(stream.headers()["x-frame-options"], "DENY");
}
