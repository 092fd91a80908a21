//! What a span has of the response of a model.

use serde_json::{Value, json};
use stockade_server::chat::{Event, FinishReason};
use stockade_testkit::scripted_upstream::{Answer, Chat, ScriptedUpstream};

use super::{Collector, object};
use crate::{
    gateway::{Gateway, chat, text},
    scripted_backend::ScriptedBackend,
};

/// A request of the API with this path, whose response is a stream if `stream` is true.
async fn send(gateway: &Gateway, path: &str, stream: bool) {
    let body = match path {
        "/v1/completions" => json!({"model": "small", "prompt": "Hello", "stream": stream}),
        "/v1/responses" => json!({"model": "small", "input": "Hello", "stream": stream}),
        _ => chat(json!({"stream": stream})),
    };
    let response = gateway.post(path, &body).send().await.unwrap();
    assert_eq!(response.status(), 200, "{path}");
    text(response).await;
}

/// The model, the id and the finish reasons in the attributes of the only request.
fn described(collector: &Collector) -> [Value; 3] {
    let attributes = object(&collector.span().attributes);
    ["model", "id", "finish_reasons"]
        .map(|name| attributes[format!("gen_ai.response.{name}")].clone())
}

#[tokio::test]
async fn a_model_of_the_server_ends_in_the_words_of_the_api() {
    for (path, reason) in [
        ("/v1/chat/completions", "length"),
        ("/v1/completions", "length"),
        ("/v1/messages", "max_tokens"),
        ("/v1/responses", "max_output_tokens"),
    ] {
        for stream in [false, true] {
            let collector = Collector::start().await;
            let backend = ScriptedBackend::new([Event::text("Hi")], FinishReason::Length);
            let gateway = Gateway::over(&backend, &collector.section("")).await;
            send(&gateway, path, stream).await;
            gateway.stop().await;
            let expected = [json!("small"), Value::Null, json!([reason])];
            assert_eq!(described(&collector), expected, "{path} {stream}");
        }
    }
}

#[tokio::test]
async fn a_translated_response_ends_in_the_words_of_the_client() {
    for stream in [false, true] {
        let (upstream, collector) = (ScriptedUpstream::http1().await, Collector::start().await);
        upstream.always(Chat::new("Hi").finish_reason("length").stream());
        let gateway = collector.gateway(&upstream, "").await;
        send(&gateway, "/v1/messages", stream).await;
        gateway.stop().await;
        let expected = [json!("small"), Value::Null, json!(["max_tokens"])];
        assert_eq!(described(&collector), expected, "{stream}");
    }
}

#[tokio::test]
async fn a_relayed_response_describes_itself() {
    let long = "x".repeat(1000);
    let chat = Chat::new("Hi")
        .model("m-1")
        .usage(7, 2)
        .finish_reason(&long);
    let message = r#"{"type":"message","id":"msg_1","model":"m-1","content":[],
        "stop_reason":"end_turn","usage":{"input_tokens":7,"output_tokens":2}}"#;
    let message_events = [
        r#"{"type":"message_start","message":{"id":"msg_1","model":"m-1","usage":{"input_tokens":7}}}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}"#,
        r#"{"type":"message_stop"}"#,
    ];
    let response = r#"{"id":"resp_1","model":"m-1","status":"completed","error":null}"#;
    let response_events = [
        r#"{"type":"response.created","response":{"id":"resp_1","status":"in_progress","error":null}}"#,
        r#"{"type":"response.incomplete","response":{"id":"resp_1","model":"m-1",
            "status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}}}"#,
    ];
    let stream = |events: &[&str]| {
        let line = |event: &&str| format!("data: {}\n\n", event.replace('\n', ""));
        Answer::events(events.iter().map(line).collect::<Vec<_>>())
    };
    let cut = &long[..128];
    for (path, is_stream, answer, id, reason) in [
        (
            "/v1/chat/completions",
            false,
            chat.json(),
            "chatcmpl-scripted",
            cut,
        ),
        (
            "/v1/chat/completions",
            true,
            chat.stream(),
            "chatcmpl-scripted",
            cut,
        ),
        (
            "/v1/messages",
            false,
            Answer::json(message),
            "msg_1",
            "end_turn",
        ),
        (
            "/v1/messages",
            true,
            stream(&message_events),
            "msg_1",
            "end_turn",
        ),
        (
            "/v1/responses",
            false,
            Answer::json(response),
            "resp_1",
            "completed",
        ),
        (
            "/v1/responses",
            true,
            stream(&response_events),
            "resp_1",
            "max_output_tokens",
        ),
    ] {
        let (upstream, collector) = (ScriptedUpstream::http1().await, Collector::start().await);
        upstream.always(answer);
        let gateway = Gateway::with(&format!(
            "[[models]]\nname = \"small\"\nupstream = [{{ url = \"{}\" }}]\n\
             apis = [\"chat\", \"messages\", \"responses\"]\n\
             [upstreams]\nhealth_interval_secs = 0\n{}",
            upstream.url(),
            collector.section("")
        ))
        .await;
        send(&gateway, path, is_stream).await;
        gateway.stop().await;
        let expected = [json!("m-1"), json!(id), json!([reason])];
        assert_eq!(described(&collector), expected, "{path} {is_stream}");
    }
}

#[tokio::test]
async fn each_choice_has_a_reason() {
    let collector = Collector::start().await;
    let second = [
        Event::Text {
            choice: 1,
            text: "Hi".to_owned(),
            logprobs: Vec::new(),
        },
        Event::Finish {
            choice: 1,
            reason: FinishReason::ToolCalls,
        },
    ];
    let backend = ScriptedBackend::new(second, FinishReason::Stop);
    let gateway = Gateway::over(&backend, &collector.section("")).await;
    let response = gateway.chat(json!({"n": 2})).await;
    assert_eq!(response.status(), 200);
    text(response).await;
    gateway.stop().await;
    let [_, _, reasons] = described(&collector);
    assert_eq!(reasons, json!(["stop", "tool_calls"]));
}
