//! OpenAI's responses.

use serde_json::{Value, json};
use stockade_server::chat::Role;

use super::{events, success};
use crate::{
    gateway::{Gateway, code},
    scripted_backend::ScriptedBackend,
};

const PATH: &str = "/v1/responses";

fn body(fields: Value) -> Value {
    let mut body = json!({
        "model": "small",
        "input": "Hello",
        "instructions": "be brief",
        "tools": [{"type": "function", "name": "click", "parameters": {"type": "object"}}],
    });
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

#[tokio::test]
async fn answers_with_a_response_that_is_not_stored() {
    let backend = ScriptedBackend::call();
    let gateway = Gateway::over(&backend, "").await;
    let request = gateway.post(PATH, &body(json!({"store": true})));
    let answer = success(request.send().await.unwrap()).await;
    assert_eq!(answer["object"], "response");
    assert_eq!(answer["status"], "completed");
    assert_eq!(answer["store"], false);
    let call = &answer["output"][0];
    assert_eq!(call["type"], "function_call");
    assert_eq!(call["call_id"], "call_1");
    assert_eq!(call["arguments"], r#"{"x":1}"#);
    assert_eq!(answer["usage"]["total_tokens"], 8);
    let chat = backend.chat();
    let roles: Vec<_> = chat.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::System, Role::User]);
    let path = format!("{PATH}/{}", answer["id"].as_str().unwrap());
    assert_eq!(gateway.get(&path).send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn streams_numbered_events() {
    let gateway = Gateway::over(&ScriptedBackend::text("hi"), "").await;
    let request = gateway.post(PATH, &body(json!({"stream": true})));
    let events = events(request.send().await.unwrap()).await;
    for (at, (name, data)) in events.iter().enumerate() {
        assert_eq!(data["type"], *name);
        assert_eq!(data["sequence_number"], at);
    }
    assert_eq!(events[0].0, "response.created");
    let (name, last) = events.last().unwrap();
    assert_eq!(name, "response.completed");
    assert_eq!(last["response"]["output"][0]["content"][0]["text"], "hi");
}

#[tokio::test]
async fn refuses_what_needs_state() {
    let gateway = Gateway::over(&ScriptedBackend::text(""), "").await;
    for fields in [
        json!({"previous_response_id": "resp_1"}),
        json!({"background": true}),
        json!({"conversation": "conv_1"}),
        json!({"input": [{"type": "item_reference", "id": "msg_1"}]}),
    ] {
        let request = gateway.post(PATH, &body(fields.clone()));
        let refused = code(request.send().await.unwrap()).await;
        assert_eq!(
            refused,
            (400, "UNSUPPORTED_PARAMETER".to_owned()),
            "{fields}"
        );
    }
}
