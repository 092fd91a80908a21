//! Embeddings of a model in mistral.rs.

use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use stockade_server::tiny_model;
use stockade_testkit::poll::until_async;

use crate::{
    records::requests,
    test_server::{FULL_KEY, TestServer},
};

const MODELS: &str = "[[models]]\nname = \"chat\"\nsource = \"./chat\"\n\
    [[models]]\nname = \"embed\"\nsource = \"./embed\"\nengine = \"mistralrs\"\n";
const AUDIT: &str =
    "[audit]\nfile = \"app.log\"\nsecurity_file = \"audit.log\"\non_overflow = \"drop\"\n";
/// A budget that does not refill during a test.
const BUDGET: &str =
    "[token_budget]\nby_key = \"3000/day\"\n[rate_limit]\nheaders = [\"openai\"]\n";

async fn server(lines: &str) -> TestServer {
    let lines = format!("{MODELS}{lines}");
    TestServer::with_models(&lines, |folder| {
        tiny_model::write_text(&folder.join("chat"), 1).unwrap();
        tiny_model::write_embedding(&folder.join("embed"), 1).unwrap();
    })
    .await
}

async fn post(server: &TestServer, path: &str, body: &Value) -> Response {
    let request = server.request(Method::POST, path).json(body);
    request.bearer_auth(FULL_KEY).send().await.unwrap()
}

async fn embed(server: &TestServer, fields: Value) -> Response {
    let mut body = json!({"model": "embed", "input": "Hello"});
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    post(server, "/v1/embeddings", &body).await
}

fn floats(embedding: &Value) -> Vec<f32> {
    serde_json::from_value(embedding.clone()).unwrap()
}

/// The record of the embeddings request with this status.
async fn record(server: &TestServer, status: u16) -> Value {
    let find = || {
        let all = requests(server, "app.log").into_iter();
        let mut all = all.filter(|record| record["route"] == "/v1/embeddings");
        all.find(|record| record["status"] == status)
    };
    until_async("a record", async || find().is_some()).await;
    find().unwrap()
}

#[tokio::test]
async fn embeds_all_forms_of_the_input_in_both_formats() {
    let server = server("").await;
    let body = json!({"model": "embed", "prompt": "Hello"});
    let response = post(&server, "/tokenize", &body).await;
    let tokens: Value = response.json().await.unwrap();
    let ids = &tokens["tokens"];
    assert_eq!(tokens["count"], 6);

    let response = embed(&server, json!({"user": "u"})).await;
    assert_eq!(response.status(), 200);
    let single: Value = response.json().await.unwrap();
    assert_eq!(
        (&single["object"], &single["model"]),
        (&json!("list"), &json!("embed"))
    );
    assert_eq!(
        single["usage"],
        json!({"prompt_tokens": 6, "total_tokens": 6})
    );
    let vector = floats(&single["data"][0]["embedding"]);
    assert_eq!(vector.len(), 64);

    for (input, count) in [
        (json!(["Hello", "Hello"]), 2),
        (ids.clone(), 1),
        (json!([ids, ids, ids]), 3),
    ] {
        let fields = json!({"input": input, "encoding_format": "base64"});
        let answer: Value = embed(&server, fields).await.json().await.unwrap();
        assert_eq!(answer["usage"]["prompt_tokens"], 6 * count);
        let data = answer["data"].as_array().unwrap();
        assert_eq!(data.len(), count);
        for (index, entry) in data.iter().enumerate() {
            assert_eq!(entry["index"], index);
            let bytes = BASE64_STANDARD.decode(entry["embedding"].as_str().unwrap());
            let bytes = bytes.unwrap();
            let numbers = bytes.chunks_exact(4);
            let numbers = numbers.map(|x| f32::from_le_bytes(x.try_into().unwrap()));
            assert_eq!(numbers.collect::<Vec<_>>(), vector);
        }
    }
    let cut: Value = embed(&server, json!({"dimensions": 32}))
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(floats(&cut["data"][0]["embedding"]).len(), 32);
}

#[tokio::test]
async fn refuses_by_field_and_names_the_model_that_has_the_api() {
    let server = server("").await;
    for (fields, param, text) in [
        (
            json!({"dimensions": 65}),
            "dimensions",
            "32 to 64 dimensions",
        ),
        (json!({"input": ["a", ""]}), "input[1]", "empty"),
        (
            json!({"input": [[1, 2], [1, 999]]}),
            "input[1][1]",
            "end at 271",
        ),
        (
            json!({"input": "a".repeat(4_200)}),
            "input",
            "supports 4096",
        ),
        (json!({"model": "chat"}), "model", "use `embed`"),
    ] {
        let response = embed(&server, fields.clone()).await;
        assert_eq!(response.status(), 400, "{fields}");
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["error"]["param"], param, "{body}");
        assert_eq!(body["error"]["type"], "invalid_request_error", "{body}");
        let message = body["error"]["message"].as_str().unwrap();
        assert!(message.contains(text), "{body}");
    }
    let chat = json!({"model": "embed", "max_tokens": 8,
        "messages": [{"role": "user", "content": "Hello"}]});
    let response = json!({"model": "embed", "input": "Hello"});
    for (path, body) in [
        ("/v1/chat/completions", &chat),
        ("/v1/messages", &chat),
        ("/v1/messages/count_tokens", &chat),
        ("/v1/responses", &response),
    ] {
        let response = post(&server, path, body).await;
        assert_eq!(response.status(), 400, "{path}");
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["error"]["param"], "model", "{body}");
        let message = body["error"]["message"].as_str().unwrap();
        assert!(message.ends_with("use `chat`"), "{body}");
    }
}

// FC01
#[tokio::test]
async fn charges_and_records_the_tokens() {
    let server = server(&format!("{AUDIT}{BUDGET}")).await;
    let left = async || {
        let answer = embed(&server, json!({"model": "other"})).await;
        assert_eq!(answer.status(), 404);
        let left = answer.headers()["x-ratelimit-remaining-tokens"].to_str();
        left.unwrap().parse::<i64>().unwrap()
    };
    let before = left().await;
    let inputs = json!({"input": ["Hello", "Hello, world"]});
    assert_eq!(embed(&server, inputs).await.status(), 200);
    assert_eq!(embed(&server, json!({"dimensions": 1})).await.status(), 400);
    assert_eq!(before - left().await, 6 + 13);
    let record = record(&server, 200).await;
    assert_eq!(record["prompt_tokens"], 19, "{record}");
    assert_eq!(record["completion_tokens"], 0, "{record}");
}

#[tokio::test]
async fn a_request_that_times_out_is_stopped_and_charged() {
    let lines = "[body]\nprompt_chars = 200000\n[server]\nrequest_timeout_secs = 1\n";
    let server = server(&format!("{AUDIT}{lines}")).await;
    let (long, count) = ("a".repeat(1_000), 160);
    let fields = json!({"input": vec![&long; count]});
    let response = embed(&server, fields).await;
    assert_eq!(response.status(), 504);
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["error"]["code"], "MODEL_TIMEOUT");
    let record = record(&server, 504).await;
    let charged = record["prompt_tokens"].as_u64().unwrap();
    assert!(charged > 0 && charged < 1_001 * count as u64, "{record}");
    // The slot is free after the current input.
    until_async("the model is free", async || {
        embed(&server, json!({})).await.status() == 200
    })
    .await;
}
