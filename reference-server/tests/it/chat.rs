//! Successful chats.

use serde_json::{Value, json};

use crate::test_server::{FULL_KEY, METRICS_KEY, TestServer, chat_body, events, png};
use reqwest::Method;

async fn text(server: &TestServer, body: &Value) -> String {
    let answer: Value = server.chat(body).await.json().await.unwrap();
    let text = answer["choices"][0]["message"]["content"].as_str();
    text.unwrap_or_else(|| panic!("{answer}")).to_owned()
}

#[tokio::test]
async fn returns_a_completion_object() {
    let server = TestServer::start().await;
    let response = server.chat_with(json!({})).await;
    assert_eq!(response.status(), 200);
    let id = response.headers()["x-request-id"]
        .to_str()
        .unwrap()
        .to_owned();
    let answer: Value = response.json().await.unwrap();
    assert_eq!(answer["object"], "chat.completion");
    assert_eq!(answer["id"], format!("chatcmpl-{id}"));
    assert_eq!(answer["model"], "tiny");
    assert_eq!(answer["choices"][0]["message"]["role"], "assistant");
    assert_eq!(answer["choices"][0]["finish_reason"], "length");
    let usage = &answer["usage"];
    assert_eq!(usage["completion_tokens"], 8);
    assert_eq!(
        usage["total_tokens"].as_u64().unwrap(),
        usage["prompt_tokens"].as_u64().unwrap() + 8
    );
}

#[tokio::test]
async fn streams_role_content_finish_reason_usage_and_done() {
    let server = TestServer::start().await;
    let whole = text(&server, &chat_body(json!("hello"), json!({}))).await;
    let fields = json!({"stream": true, "stream_options": {"include_usage": true}});
    let response = server.chat_with(fields).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let stream = response.text().await.unwrap();
    let events = events(&stream);
    let (done, chunks) = events.split_last().unwrap();
    assert_eq!(*done, "[DONE]");
    let chunks: Vec<Value> = chunks
        .iter()
        .map(|chunk| serde_json::from_str(chunk).unwrap())
        .collect();

    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    let streamed: String = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(streamed, whole);
    let [.., last, usage] = &chunks[..] else {
        panic!("{stream}")
    };
    assert_eq!(last["choices"][0]["finish_reason"], "length");
    assert_eq!(last["choices"][0]["delta"], json!({}));
    assert_eq!(last["usage"], Value::Null);
    assert_eq!(usage["choices"], json!([]));
    assert_eq!(usage["usage"]["completion_tokens"], 8);
}

#[tokio::test]
async fn a_stream_without_usage_has_none() {
    let server = TestServer::start().await;
    let stream = server
        .chat_with(json!({"stream": true}))
        .await
        .text()
        .await
        .unwrap();
    assert!(!stream.contains("usage"), "{stream}");
    assert!(stream.ends_with("data: [DONE]\n\n"), "{stream}");
}

#[tokio::test]
async fn accepts_images_as_url_and_base64() {
    let server = TestServer::start().await;
    let ask = |part: Value| {
        // Not greedy, because the tiny model's most likely tokens are often the same.
        let fields = json!({"temperature": 1, "seed": 1, "max_tokens": 32});
        chat_body(json!([{"type": "text", "text": "what?"}, part]), fields)
    };
    let url = |colour| {
        let url = format!("data:image/png;base64,{}", png(colour));
        ask(json!({"type": "image_url", "image_url": {"url": url}}))
    };
    let red = text(&server, &url([255, 0, 0])).await;
    let inline = ask(json!({"type": "image", "image": {"b64": png([255, 0, 0])}}));
    assert_eq!(text(&server, &inline).await, red);
    assert_ne!(text(&server, &url([0, 0, 255])).await, red);
}

#[tokio::test]
async fn a_seed_repeats_the_completion() {
    let server = TestServer::start().await;
    let ask = |seed: i64| {
        let fields = json!({"temperature": 1, "seed": seed, "max_tokens": 24});
        chat_body(json!("hello"), fields)
    };
    let first = text(&server, &ask(7)).await;
    assert_eq!(text(&server, &ask(7)).await, first);
    assert_ne!(text(&server, &ask(8)).await, first);
}

#[tokio::test]
async fn ends_before_a_stop_sequence() {
    let server = TestServer::start().await;
    let whole = text(&server, &chat_body(json!("hello"), json!({}))).await;
    let stop = &whole[3..5];
    let answer: Value = server
        .chat_with(json!({"stop": stop}))
        .await
        .json()
        .await
        .unwrap();
    let choice = &answer["choices"][0];
    let end = whole.find(stop).unwrap();
    assert_eq!(choice["message"]["content"], &whole[..end]);
    assert_eq!(choice["finish_reason"], "stop");
    assert_eq!(choice["stop_reason"], stop);
}

#[tokio::test]
async fn a_message_names_its_stop_sequence() {
    let server = TestServer::start().await;
    let ask = async |fields: Value| {
        let mut body = chat_body(json!("hello"), fields);
        body["max_tokens"] = json!(8);
        let request = server.request(Method::POST, "/v1/messages").json(&body);
        let response = request.bearer_auth(FULL_KEY).send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.text().await.unwrap()
    };
    let whole: Value = serde_json::from_str(&ask(json!({})).await).unwrap();
    let stop = &whole["content"][0]["text"].as_str().unwrap()[3..5];
    assert_eq!(whole["stop_reason"], "max_tokens");
    assert_eq!(whole["stop_sequence"], Value::Null);

    let cut: Value = serde_json::from_str(&ask(json!({"stop_sequences": [stop]})).await).unwrap();
    let stream = ask(json!({"stop_sequences": [stop], "stream": true})).await;
    let events = events(&stream);
    let delta: Value = serde_json::from_str(events[events.len() - 2]).unwrap();
    assert_eq!(delta["type"], "message_delta");
    for body in [&cut, &delta["delta"]] {
        assert_eq!(body["stop_reason"], "stop_sequence");
        assert_eq!(body["stop_sequence"], stop);
    }
}

#[tokio::test]
async fn lists_the_served_model() {
    let server = TestServer::start().await;
    let list: Value = server.get("/v1/models").await.json().await.unwrap();
    assert_eq!(list["data"][0]["id"], "tiny");
    let one: Value = server.get("/v1/models/tiny").await.json().await.unwrap();
    assert_eq!(one, list["data"][0]);
    let request = server
        .request(Method::GET, "/health/details")
        .bearer_auth(METRICS_KEY);
    let health: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(health["status"], "ready");
    let model = &health["models"][0];
    assert_eq!(
        (&model["name"], &model["status"]),
        (&json!("tiny"), &json!("ready"))
    );
    assert_eq!(model["device"], "cpu");
}
