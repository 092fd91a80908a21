//! The APIs of the server, over a scripted backend.

mod completions;
mod messages;
mod responses;

use reqwest::Response;
use serde_json::{Value, json};

use crate::{
    gateway::{Gateway, code, text},
    scripted_backend::ScriptedBackend,
};

/// The names and the data of a stream's events.
async fn events(response: Response) -> Vec<(String, Value)> {
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let stream = text(response).await;
    let events = stream.split("\n\n").filter(|event| !event.is_empty());
    events
        .map(|event| {
            let field = |name: &str| {
                let line = event.lines().find_map(|line| line.strip_prefix(name));
                line.unwrap_or_default().trim().to_owned()
            };
            let data = serde_json::from_str(&field("data:")).unwrap();
            (field("event:"), data)
        })
        .collect()
}

/// A request of each API, with a prompt of some tokens.
fn requests() -> [(&'static str, Value); 4] {
    let messages = json!([{"role": "user", "content": "Hello, how are you?"}]);
    [
        (
            "/v1/chat/completions",
            json!({"model": "small", "max_tokens": 90, "messages": messages}),
        ),
        (
            "/v1/completions",
            json!({"model": "small", "max_tokens": 90, "prompt": "Hello, how are you?"}),
        ),
        (
            "/v1/responses",
            json!({"model": "small", "max_output_tokens": 90, "input": "Hello, how are you?"}),
        ),
        (
            "/v1/messages",
            json!({"model": "small", "max_tokens": 90, "messages": messages}),
        ),
    ]
}

// FC01
#[tokio::test]
async fn each_api_reserves_the_tokens_of_its_prompt() {
    for (budget, expected) in [(90, 400), (1_000, 200)] {
        let backend = ScriptedBackend::text("hi");
        let lines = format!("[token_budget]\nby_key = [\"{budget}/minute\"]\n");
        for (path, body) in requests() {
            let gateway = Gateway::over(&backend, &lines).await;
            let response = gateway.post(path, &body).send().await.unwrap();
            assert_eq!(response.status(), expected, "{path} {budget}");
            if expected == 400 {
                let refused = code(response).await;
                assert_eq!(refused.1, "TOKENS_EXCEED_QUOTA", "{path}");
            }
        }
    }
}

#[tokio::test]
async fn an_unsupported_field_has_the_name_of_the_api_and_models_that_support_it() {
    let small = ScriptedBackend::refusing("reasoning_effort");
    let gateway = Gateway::over_two(&small, &ScriptedBackend::text("hi")).await;
    let params = [
        "reasoning_effort",
        "reasoning_effort",
        "reasoning.effort",
        "output_config.effort",
    ];
    for ((path, body), param) in requests().into_iter().zip(params) {
        let response = gateway.post(path, &body).send().await.unwrap();
        assert_eq!(response.status(), 400, "{path}");
        let body: Value = response.json().await.unwrap();
        let error = &body["error"];
        assert_eq!(error["code"], "UNSUPPORTED_PARAMETER", "{body}");
        assert_eq!(error["param"], param, "{body}");
        let text = format!("this model does not support `{param}`: use `large`");
        assert_eq!(error["message"], text);
    }
}

/// The body of a successful response.
async fn success(response: Response) -> Value {
    let status = response.status();
    let body: Value = response.json().await.unwrap();
    assert_eq!(status, 200, "{body}");
    body
}
