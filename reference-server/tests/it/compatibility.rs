//! Fields that common clients send, and unknown fields.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    scripted_backend::{Script, ScriptedBackend},
    test_server::{FULL_KEY, TestServer, chat_body},
};

async fn server(lines: &str) -> TestServer {
    TestServer::with(Arc::new(ScriptedBackend::new(Script::Talk)), lines).await
}

// FH09
#[tokio::test]
async fn accepts_values_without_effect() {
    let server = server("").await;
    for fields in [
        json!({"tool_choice": "none"}),
        json!({"tool_choice": "auto"}),
        json!({"modalities": ["text"]}),
        json!({"verbosity": "medium"}),
        json!({"reasoning_effort": "medium"}),
        json!({"moderation": null}),
    ] {
        let answer = server.chat_with(fields.clone()).await;
        assert_eq!(answer.status(), 200, "{fields}");
        assert!(!answer.headers().contains_key("x-stockade-ignored"));
    }
    let cached = json!([{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]);
    let answer = server.chat(&chat_body(cached, json!({}))).await;
    assert_eq!(answer.status(), 200);
}

// FH09
#[tokio::test]
async fn lists_extensions_without_effect() {
    let server = server("").await;
    let fields = json!({"chat_template_kwargs": {"enable_thinking": false}, "top_k": 5});
    let answer = server.chat_with(fields).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(
        answer.headers()["x-stockade-ignored"],
        "chat_template_kwargs"
    );
}

// FH09
#[tokio::test]
async fn refuses_unknown_fields_unless_configured_to_ignore_them() {
    let unknown = || {
        let mut body = chat_body(json!("hello"), json!({"weight": 5, "max_tokens": 8}));
        body["messages"][0]["weight"] = json!(1);
        body
    };
    let strict = server("").await;
    let answer = strict.chat(&unknown()).await;
    assert_eq!(answer.status(), 400);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["error"]["code"], "UNKNOWN_PARAMETER", "{body}");
    assert_eq!(body["error"]["param"], "weight", "{body}");
    let mut only_message = unknown();
    only_message.as_object_mut().unwrap().remove("weight");
    let body: Value = strict.chat(&only_message).await.json().await.unwrap();
    assert_eq!(body["error"]["param"], "messages[0].weight", "{body}");

    let page = "https://app.example.com";
    let lines = "[server]\nunknown_fields = \"ignore\"\n[cors]\nallow_origins = [\"https://app.example.com\"]\n";
    let lenient = server(lines).await;
    for stream in [false, true] {
        let mut body = unknown();
        body["stream"] = json!(stream);
        let chat = lenient.request(Method::POST, "/v1/chat/completions");
        let chat = chat
            .bearer_auth(FULL_KEY)
            .header("origin", page)
            .json(&body);
        let answer = chat.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let exposed = &answer.headers()["access-control-expose-headers"];
        let exposed = exposed.to_str().unwrap();
        for name in ["ignored", "image-size", "dropped-images", "coordinates"] {
            let name = format!("x-stockade-{name}");
            assert!(exposed.contains(&name), "{name}");
        }
        assert_eq!(
            answer.headers()["x-stockade-ignored"],
            "weight, messages[0].weight"
        );
    }
    // Unsupported fields are still refused.
    let functions = lenient
        .chat_with(json!({"functions": [{"name": "f"}]}))
        .await;
    assert_eq!(functions.status(), 400);
}
