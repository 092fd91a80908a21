//! Anthropic's API.

use serde_json::{Value, json};
use stockade_server::chat::Role;
use stockade_testkit::scripted_upstream::{Answer, ScriptedUpstream};

use super::{events, success};
use crate::{
    gateway::{Gateway, KEY},
    scripted_backend::ScriptedBackend,
};

const PATH: &str = "/v1/messages";

fn body(fields: Value) -> Value {
    let mut body = json!({
        "model": "small",
        "max_tokens": 16,
        "messages": [{"role": "user", "content": "Hello"}],
        "tools": [{"name": "click", "input_schema": {"type": "object"}}],
    });
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

#[tokio::test]
async fn answers_with_a_message() {
    let backend = ScriptedBackend::call();
    let gateway = Gateway::over(&backend, "").await;
    // As Anthropic's SDKs send it.
    let request = gateway.anonymous(PATH, &body(json!({"system": "be brief"})));
    let request = request
        .header("x-api-key", KEY)
        .header("anthropic-version", "2026-10-21");
    let answer = success(request.send().await.unwrap()).await;
    assert_eq!(answer["type"], "message");
    assert_eq!(answer["stop_reason"], "tool_use");
    assert_eq!(
        answer["content"],
        json!([{"type": "tool_use", "id": "call_1", "name": "click", "input": {"x": 1}}])
    );
    assert_eq!(answer["usage"]["input_tokens"], 3);
    let chat = backend.chat();
    let roles: Vec<_> = chat.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::System, Role::User]);
    assert_eq!(chat.tools[0].name, "click");
    let record = gateway.record().await;
    assert_eq!(
        (&record["prompt_tokens"], &record["completion_tokens"]),
        (&json!(3), &json!(5))
    );
}

#[tokio::test]
async fn streams_the_events_of_a_message() {
    let gateway = Gateway::over(&ScriptedBackend::text("hi"), "").await;
    let request = gateway.post(PATH, &body(json!({"stream": true})));
    let events = events(request.send().await.unwrap()).await;
    let names: Vec<_> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "message_start",
            "ping",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop"
        ]
    );
    assert_eq!(events[3].1["delta"]["text"], "hi");
    assert_eq!(events[5].1["usage"]["output_tokens"], 5);
}

#[tokio::test]
async fn names_the_stop_sequence_that_an_upstream_reports() {
    let upstream = ScriptedUpstream::http1().await;
    let gateway = Gateway::new(&upstream, "").await;
    // The second is of an upstream that describes its end in the field of vLLM.
    for (reported, expected) in [
        ("END", (json!("stop_sequence"), json!("END"))),
        ("end_turn", (json!("end_turn"), Value::Null)),
    ] {
        let choice = json!({
            "delta": {"content": "hi"}, "finish_reason": "stop", "stop_reason": reported,
        });
        let chunk = json!({"choices": [choice]});
        upstream.next(Answer::events([format!("data: {chunk}\n\n")]));
        let request = gateway.post(PATH, &body(json!({"stop_sequences": ["END"]})));
        let answer = success(request.send().await.unwrap()).await;
        assert_eq!(answer["content"][0]["text"], "hi");
        assert_eq!(
            (
                answer["stop_reason"].clone(),
                answer["stop_sequence"].clone()
            ),
            expected
        );
    }
}

#[tokio::test]
async fn counts_the_tokens_of_a_prompt() {
    let gateway = Gateway::over(&ScriptedBackend::text(""), "").await;
    let mut body = body(json!({}));
    body.as_object_mut().unwrap().remove("max_tokens");
    let request = gateway.post("/v1/messages/count_tokens", &body);
    let answer = success(request.send().await.unwrap()).await;
    assert_eq!(answer, json!({"input_tokens": 2}));
    let record = gateway.record().await;
    assert_eq!(record["completion_tokens"], 0, "{record}");
}

#[tokio::test]
async fn names_only_models_that_count_tokens() {
    let upstream = ScriptedUpstream::http1().await;
    let gateway = Gateway::new(&upstream, "").await;
    let request = gateway.post("/v1/messages/count_tokens", &body(json!({})));
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 400);
    let body: Value = response.json().await.unwrap();
    // Without a translation of `count_tokens`, its model is not one of them.
    assert_eq!(
        body["error"]["message"],
        "this model does not support `count_tokens`"
    );
}

// R11
#[tokio::test]
async fn refuses_in_the_format_of_the_api() {
    let gateway = Gateway::over(&ScriptedBackend::text(""), "").await;
    let send = async |fields: Value, header: (&'static str, &str)| {
        let request = gateway.anonymous(PATH, &body(fields));
        let response = request.header(header.0, header.1).send().await.unwrap();
        let status = response.status().as_u16();
        let id = response.headers()["x-request-id"].clone();
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["type"], "error", "{body}");
        assert_eq!(body["request_id"], id.to_str().unwrap(), "{body}");
        let error = &body["error"];
        let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        (status, text("type"), text("param"))
    };
    let key = ("x-api-key", KEY);
    // By the fence: the key and the body.
    assert_eq!(
        send(json!({}), ("x-api-key", "wrong")).await,
        (401, "authentication_error".to_owned(), String::new())
    );
    assert_eq!(
        send(json!({"temperature": 2}), key).await,
        (
            400,
            "invalid_request_error".to_owned(),
            "temperature".to_owned()
        )
    );
    // By the handler.
    assert_eq!(
        send(json!({"model": "other"}), key).await,
        (404, "not_found_error".to_owned(), "model".to_owned())
    );
    assert_eq!(
        send(json!({"tool_choice": {"type": "tool"}}), key).await,
        (
            400,
            "invalid_request_error".to_owned(),
            "tool_choice.name".to_owned()
        )
    );
    let request = gateway.post(PATH, &body(json!({})));
    let request = request.header("anthropic-version", "2020-01-01");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 400);
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["error"]["param"], "anthropic-version");
}
