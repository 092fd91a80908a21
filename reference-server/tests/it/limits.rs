//! Limits, bans and records, as configured.

use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};
use stockade_testkit::poll::until_async;

use crate::test_server::{FULL_KEY, METRICS_KEY, TestServer, chat_body};

async fn code(response: reqwest::Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    (
        status,
        body["error"]["code"].as_str().unwrap_or("").to_owned(),
    )
}

#[tokio::test]
async fn reports_the_remaining_quota_and_the_retry_time() {
    let server =
        TestServer::start_with("[rate_limit]\nby_key = \"2/minute\"\nheaders = \"openai\"\n").await;
    let first = server.get("/v1/models").await;
    assert_eq!(first.status(), 200);
    assert_eq!(first.headers()["ratelimit-policy"], "\"key\";q=2;w=60");
    assert_eq!(first.headers()["x-ratelimit-remaining-requests"], "1");
    assert_eq!(server.get("/v1/models").await.status(), 200);
    let third = server.get("/v1/models").await;
    let wait: u64 = third.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=30).contains(&wait), "{wait}");
    assert_eq!(code(third).await, (429, "RATE_LIMITED".to_owned()));
    // Requests without a key have another quota.
    let health = server.request(Method::GET, "/health").send().await.unwrap();
    assert_eq!(health.status(), 200);
}

#[tokio::test]
async fn settles_a_token_budget_with_the_actual_usage() {
    const BUDGET: u64 = 200;
    let server =
        TestServer::start_with(&format!("[token_budget]\nby_key = \"{BUDGET}/day\"\n")).await;
    let mut used = 0;
    let refused = loop {
        let answer = server.chat_with(json!({})).await;
        if answer.status() != 200 {
            break answer;
        }
        let body: Value = answer.json().await.unwrap();
        used += body["usage"]["total_tokens"].as_u64().unwrap();
        assert!(used < 2 * BUDGET, "the budget does not count");
    };
    assert_eq!(code(refused).await, (429, "TOKEN_LIMIT".to_owned()));
    // The last chat may exceed the budget; none is charged more than it used.
    assert!(used > BUDGET - 60 && used < BUDGET + 60, "{used}");
}

#[tokio::test]
async fn bans_an_address_that_guesses_keys_but_serves_valid_keys() {
    let server = TestServer::start_with("[abuse]\nban_loopback = true\n").await;
    let guess = async |key: &str| {
        let request = server.request(Method::GET, "/v1/models").bearer_auth(key);
        code(request.send().await.unwrap()).await
    };
    for number in 0..5 {
        let answer = guess(&format!("guess-{number}")).await;
        assert_eq!(answer, (401, "AUTHENTICATION_FAILED".to_owned()));
    }
    assert_eq!(guess("guess-5").await, (403, "BANNED".to_owned()));
    assert_eq!(server.get("/v1/models").await.status(), 200);
}

// R10
#[tokio::test]
async fn holds_a_permit_until_the_stream_ends_or_its_client_disconnects() {
    let server = TestServer::start_with("[concurrency]\nper_key = 1\n").await;
    let stream = server
        .chat_with(json!({"stream": true, "max_tokens": 2_000}))
        .await;
    assert_eq!(stream.status(), 200);
    let second = server.get("/v1/models").await;
    assert_eq!(code(second).await, (429, "CONCURRENCY_LIMIT".to_owned()));
    drop(stream);
    until_async("the permit is released", async || {
        server.get("/v1/models").await.status() == 200
    })
    .await;
}

#[tokio::test]
async fn metrics_require_their_scope() {
    let server = TestServer::start().await;
    assert_eq!(server.get("/metrics").await.status(), 403);
    let request = server
        .request(Method::GET, "/metrics")
        .bearer_auth(METRICS_KEY);
    let text = request.send().await.unwrap().text().await.unwrap();
    for name in [
        "stockade_requests_total{",
        "stockade_refused_total{",
        "stockade_banned_clients",
        // FP08
        "stockade_model_running_chats",
        "stockade_model_waiting_chats",
    ] {
        assert!(text.contains(name), "{name} is not in\n{text}");
    }
}

fn records(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

// L05
#[tokio::test]
async fn writes_one_record_per_request_with_usage_and_outcome() {
    let server = TestServer::start_with(
        "[audit]\nfile = \"app.log\"\nsecurity_file = \"audit.log\"\non_overflow = \"drop\"\n",
    )
    .await;
    let answer = server.chat_with(json!({})).await.text().await.unwrap();
    assert!(answer.contains("usage"), "{answer}");
    let stream = server
        .chat_with(json!({"stream": true, "max_tokens": 2_000}))
        .await;
    drop(stream);
    let bad = server
        .request(Method::GET, "/v1/models")
        .bearer_auth("sk-secret-guess");
    assert_eq!(bad.send().await.unwrap().status(), 401);
    let secret = chat_body(json!("a secret prompt"), json!({"model": "other"}));
    assert_eq!(server.chat(&secret).await.status(), 404);

    let (all, security) = (server.file("app.log"), server.file("audit.log"));
    let requests = || {
        let records = records(&all).into_iter();
        records
            .filter(|record| record["method"].is_string())
            .collect::<Vec<_>>()
    };
    until_async("four records", async || requests().len() >= 4).await;
    let requests = requests();
    assert_eq!(requests.len(), 4, "{requests:#?}");
    let of = |outcome: &str, status: u64| {
        let mut found = requests
            .iter()
            .filter(|record| record["outcome"] == outcome && record["status"] == status);
        found
            .next()
            .unwrap_or_else(|| panic!("{outcome} {status}: {requests:#?}"))
    };
    let chat = of("completed", 200);
    assert_eq!(chat["user"], "full");
    assert_eq!(chat["model"], "tiny");
    assert!(chat["completion_tokens"].as_u64().unwrap() > 0, "{chat}");
    of("client_left", 200);
    of("completed", 401);
    of("completed", 404);
    // A thread of its own writes the records.
    until_async("the 401 is a security record", async || {
        let security = records(&security);
        security.iter().any(|record| record["status"] == 401)
    })
    .await;
    let text = std::fs::read_to_string(&all).unwrap();
    for secret in ["a secret prompt", "sk-secret-guess", FULL_KEY] {
        assert!(!text.contains(secret), "{secret} is in the log");
    }
}
