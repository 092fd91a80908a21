//! OpenAI's completions.

use serde_json::{Value, json};

use super::success;
use crate::{
    gateway::{Gateway, code, text},
    scripted_backend::ScriptedBackend,
};

const PATH: &str = "/v1/completions";

fn body(fields: Value) -> Value {
    let mut body = json!({"model": "small", "prompt": "Once", "max_tokens": 4});
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

#[tokio::test]
async fn continues_a_text() {
    let backend = ScriptedBackend::text(" upon");
    let gateway = Gateway::over(&backend, "").await;
    let request = gateway.post(PATH, &body(json!({})));
    let answer = success(request.send().await.unwrap()).await;
    assert_eq!(answer["object"], "text_completion");
    assert_eq!(answer["choices"][0]["text"], " upon");
    assert_eq!(answer["usage"]["total_tokens"], 8);
    let chat = backend.chat();
    assert_eq!(chat.raw_prompt.as_deref(), Some("Once"));
    assert!(chat.messages.is_empty());
}

#[tokio::test]
async fn streams_a_text() {
    let gateway = Gateway::over(&ScriptedBackend::text(" upon"), "").await;
    let request = gateway.post(PATH, &body(json!({"stream": true})));
    let stream = text(request.send().await.unwrap()).await;
    assert!(stream.contains(r#""text":" upon""#), "{stream}");
    assert!(stream.ends_with("data: [DONE]\n\n"), "{stream}");
}

#[tokio::test]
async fn refuses_token_ids() {
    let gateway = Gateway::over(&ScriptedBackend::text(""), "").await;
    let request = gateway.post(PATH, &body(json!({"prompt": [1, 2]})));
    let refused = code(request.send().await.unwrap()).await;
    assert_eq!(refused, (400, "UNSUPPORTED_PARAMETER".to_owned()));
}
