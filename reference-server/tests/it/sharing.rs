//! Clients share the engine.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use stockade_testkit::poll::until_async;

use crate::test_server::{METRICS_KEY, OTHER_KEY, TestServer, chat_body};

/// The chats of the busy client.
const BUSY: usize = 12;

/// The state of the model in `/health/details`.
async fn model(server: &TestServer) -> Value {
    let request = server.request(Method::GET, "/health/details");
    let response = request.bearer_auth(METRICS_KEY).send().await.unwrap();
    let health: Value = response.json().await.unwrap();
    health["models"][0].clone()
}

// FC07
#[tokio::test]
async fn a_short_chat_does_not_wait_for_the_queue_of_another_client() {
    let server = Arc::new(TestServer::with_model("max_running = 1\nqueue_wait_secs = 300\n").await);
    let done = Arc::new(AtomicUsize::new(0));
    let busy: Vec<_> = (0..BUSY)
        .map(|_| {
            let (server, done) = (server.clone(), done.clone());
            tokio::spawn(async move {
                let response = server.chat_with(json!({"max_tokens": 60})).await;
                done.fetch_add(1, Ordering::SeqCst);
                response.status()
            })
        })
        .collect();
    until_async("all other chats wait", async || {
        let model = model(&server).await;
        model["waiting"].as_u64() > Some(3)
    })
    .await;
    let before = done.load(Ordering::SeqCst);
    let short = server
        .request(Method::POST, "/v1/chat/completions")
        .bearer_auth(OTHER_KEY)
        .json(&chat_body(json!("hello"), json!({"max_tokens": 2})));
    let short = short.send().await.unwrap();
    assert_eq!(short.status(), StatusCode::OK);
    // The one that ran, and at most one that ended before the short chat arrived.
    let meanwhile = done.load(Ordering::SeqCst) - before;
    assert!(
        meanwhile <= 2,
        "{meanwhile} chats of the other client went first"
    );
    for chat in busy {
        assert_eq!(chat.await.unwrap(), StatusCode::OK);
    }
}

// FA18
#[tokio::test]
async fn a_request_that_takes_too_long_is_refused_with_its_estimate() {
    let server = TestServer::with_model("max_cost_secs = 1\n").await;
    let response = server.chat_with(json!({"max_tokens": 4_000, "n": 4})).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["error"]["code"], "REQUEST_TOO_COSTLY");
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.contains("the limit is 1 s"), "{message}");
    let small = server.chat_with(json!({"max_tokens": 2})).await;
    assert_eq!(small.status(), StatusCode::OK);
}

#[tokio::test]
async fn metrics_describe_the_engine() {
    let server = TestServer::with_model("").await;
    assert_eq!(server.chat_with(json!({})).await.status(), StatusCode::OK);
    let request = server.request(Method::GET, "/metrics");
    let metrics = request.bearer_auth(METRICS_KEY).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    for (name, labels) in [
        ("stockade_model_generated_tokens_total", r#"model="tiny""#),
        ("stockade_model_prompt_tokens_total", r#"model="tiny""#),
        ("stockade_model_engine_seconds_count", r#"model="tiny""#),
        ("stockade_model_cost_ratio_count", r#"model="tiny""#),
        (
            "stockade_model_queue_wait_seconds_count",
            r#"model="tiny",outcome="admitted""#,
        ),
        (
            "gen_ai_server_time_to_first_token_seconds_count",
            r#"gen_ai_request_model="tiny""#,
        ),
        (
            "gen_ai_server_time_per_output_token_seconds_count",
            r#"gen_ai_request_model="tiny""#,
        ),
        (
            "gen_ai_server_request_duration_seconds_count",
            r#"gen_ai_request_model="tiny""#,
        ),
    ] {
        let mut lines = metrics.lines();
        let line = lines.find(|line| line.starts_with(name) && line.contains(labels));
        let line = line.unwrap_or_else(|| panic!("no {name} with {labels} in {metrics}"));
        assert!(!line.ends_with(" 0"), "{line}");
    }
}
