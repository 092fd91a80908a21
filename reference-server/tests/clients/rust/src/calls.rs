//! The calls; requests are written as JSON and sent as the types of the library.

use std::time::{Duration, Instant};

use async_openai::{
    Client,
    config::OpenAIConfig,
    error::OpenAIError,
    types::chat::{
        ChatChoice, ChatCompletionMessageToolCalls, CreateChatCompletionRequest,
        CreateChatCompletionResponse, FinishReason,
    },
};
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::server::{self, Target};

// A red PNG.
const IMAGE: &str = "data:image/png;base64,\
    iVBORw0KGgoAAAANSUhEUgAAADgAAAA4CAIAAAAn5KxJAAAAQElEQVR42u3OQQkAAAgAsetfWh+mEAYLsKZeSF\
    RUVFRUVFRUVFRUVFRUVFRUVFRUVFRUVFRUVFRUVFRUVFRU9CwicjR1t9nCvQAAAABJRU5ErkJggg==";

const TOOL: &str = "get_weather";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Weather {
    city: City,
    sunny: bool,
}

#[derive(Deserialize)]
enum City {
    Paris,
    Rome,
}

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "city": {"type": "string", "enum": ["Paris", "Rome"]},
            "sunny": {"type": "boolean"},
        },
        "required": ["city", "sunny"],
        "additionalProperties": false,
    })
}

/// A request with these fields in addition to the usual ones.
fn request(target: &Target, fields: Value) -> CreateChatCompletionRequest {
    let mut request = json!({
        "model": target.model,
        "messages": [{"role": "user", "content": "hello"}],
        "max_tokens": 8,
    });
    let Value::Object(fields) = fields else {
        panic!("not an object: {fields}")
    };
    request.as_object_mut().unwrap().extend(fields);
    serde_json::from_value(request).unwrap()
}

async fn ask(target: &Target, fields: Value) -> CreateChatCompletionResponse {
    let request = request(target, fields);
    target.client.chat().create(request).await.unwrap()
}

async fn choice(target: &Target, fields: Value) -> ChatChoice {
    ask(target, fields).await.choices.remove(0)
}

async fn text(target: &Target, fields: Value) -> String {
    choice(target, fields).await.message.content.unwrap()
}

async fn error(target: &Target, client: &Client<OpenAIConfig>, fields: Value) -> (u16, String) {
    let request = request(target, fields);
    match client.chat().create(request).await {
        Err(OpenAIError::ApiError(error)) => {
            let code = error.api_error.code.unwrap();
            (error.status_code.as_u16(), code)
        }
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn chat(target: Target) {
    let answer = ask(&target, json!({})).await;
    assert!([target.model, "tiny"].contains(&&*answer.model));
    assert!(
        !answer.choices[0]
            .message
            .content
            .as_ref()
            .unwrap()
            .is_empty()
    );
    assert_eq!(answer.choices[0].finish_reason, Some(FinishReason::Length));
}

pub(crate) async fn stream(target: Target) {
    let greedy = json!({"temperature": 0});
    let chat = target.client.chat();
    let mut stream = chat
        .create_stream(request(&target, greedy.clone()))
        .await
        .unwrap();
    let mut streamed = String::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.unwrap();
        streamed += chunk.choices[0]
            .delta
            .content
            .as_deref()
            .unwrap_or_default();
    }
    assert_eq!(streamed, text(&target, greedy).await);
}

pub(crate) async fn image(target: Target) {
    let question = json!({"type": "text", "text": "What is this?"});
    let image = json!({"type": "image_url", "image_url": {"url": IMAGE}});
    let mut tokens = Vec::new();
    for content in [json!([question]), json!([question, image])] {
        let messages = json!({"messages": [{"role": "user", "content": content}]});
        tokens.push(ask(&target, messages).await.usage.unwrap().prompt_tokens);
    }
    assert!(tokens[0] < tokens[1]);
}

pub(crate) async fn seed(target: Target) {
    let fields = json!({"temperature": 1, "seed": 7, "max_tokens": 16});
    assert_eq!(
        text(&target, fields.clone()).await,
        text(&target, fields).await
    );
}

pub(crate) async fn stop(target: Target) {
    let whole = text(&target, json!({"temperature": 0})).await;
    let stop: String = whole.chars().skip(2).take(2).collect();
    let choice = choice(&target, json!({"temperature": 0, "stop": [stop]})).await;
    assert!(!choice.message.content.unwrap().contains(&stop));
    assert_eq!(choice.finish_reason, Some(FinishReason::Stop));
}

/// The fields of a request with a tool; `choice` is which calls it permits.
fn with_tool(choice: Value) -> Value {
    let function = json!({"name": TOOL, "parameters": schema()});
    let tools = json!([{"type": "function", "function": function}]);
    json!({"tools": tools, "tool_choice": choice})
}

/// A request that demands a call.
fn forced() -> Value {
    let mut fields = with_tool(json!({"type": "function", "function": {"name": TOOL}}));
    fields["max_tokens"] = 128.into();
    fields
}

/// Validates the arguments of a call, and sends its result as the next message.
async fn send_result(target: &Target, id: &str, arguments: &str) {
    serde_json::from_str::<Weather>(arguments).unwrap();
    let function = json!({"name": TOOL, "arguments": arguments});
    let call = json!({"id": id, "type": "function", "function": function});
    let mut fields = with_tool(json!("none"));
    fields["messages"] = json!([
        {"role": "user", "content": "hello"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": id, "content": "20 degrees"},
    ]);
    assert!(!text(target, fields).await.is_empty());
}

pub(crate) async fn tools(target: Target) {
    let choice = choice(&target, forced()).await;
    assert_eq!(choice.finish_reason, Some(FinishReason::ToolCalls));
    let calls = choice.message.tool_calls.unwrap();
    let [ChatCompletionMessageToolCalls::Function(call)] = &calls[..] else {
        panic!("{calls:?}")
    };
    assert_eq!(call.function.name, TOOL);
    send_result(&target, &call.id, &call.function.arguments).await;
}

pub(crate) async fn streamed_tools(target: Target) {
    let chat = target.client.chat();
    let mut stream = chat
        .create_stream(request(&target, forced()))
        .await
        .unwrap();
    let (mut id, mut parts) = (None, Vec::new());
    while let Some(chunk) = stream.next().await {
        for choice in chunk.unwrap().choices {
            for call in choice.delta.tool_calls.unwrap_or_default() {
                id = id.or(call.id);
                parts.extend(call.function.and_then(|function| function.arguments));
            }
        }
    }
    assert!(parts.len() > 2, "{parts:?}");
    send_result(&target, &id.unwrap(), &parts.concat()).await;
}

pub(crate) async fn auto_tools(target: Target) {
    let answer = ask(&target, with_tool(json!("auto"))).await;
    // The model may call the tool; one with random weights does not.
    assert!(answer.choices[0].message.content.is_some());
    let without = ask(&target, json!({})).await;
    assert!(answer.usage.unwrap().prompt_tokens > without.usage.unwrap().prompt_tokens);
}

pub(crate) async fn json(target: Target) {
    let schema = json!({"name": "weather", "schema": schema(), "strict": true});
    let format = json!({"type": "json_schema", "json_schema": schema});
    let answer = text(
        &target,
        json!({"response_format": format, "max_tokens": 128}),
    );
    serde_json::from_str::<Weather>(&answer.await).unwrap();
}

pub(crate) async fn logprobs(target: Target) {
    let choice = choice(&target, json!({"logprobs": true, "top_logprobs": 2})).await;
    let tokens = choice.logprobs.unwrap().content.unwrap();
    assert_eq!(tokens.len(), 8);
    assert!(tokens.iter().all(|token| token.top_logprobs.len() == 2));
}

pub(crate) async fn n(target: Target) {
    assert_eq!(ask(&target, json!({"n": 2})).await.choices.len(), 2);
}

pub(crate) async fn usage(target: Target) {
    let usage = ask(&target, json!({})).await.usage.unwrap();
    assert_eq!(usage.completion_tokens, 8);
    assert_eq!(
        usage.total_tokens,
        usage.prompt_tokens + usage.completion_tokens
    );
    let fields = json!({"stream_options": {"include_usage": true}});
    let chat = target.client.chat();
    let stream = chat.create_stream(request(&target, fields)).await.unwrap();
    let last = stream.map(Result::unwrap).collect::<Vec<_>>().await.pop();
    assert_eq!(
        last.unwrap().usage.unwrap().total_tokens,
        usage.total_tokens
    );
}

pub(crate) async fn completions(target: Target) {
    let request = json!({"model": target.model, "prompt": "hello", "max_tokens": 8});
    let request = serde_json::from_value(request).unwrap();
    let answer = target.client.completions().create(request).await.unwrap();
    assert!(!answer.choices[0].text.is_empty());
    assert_eq!(answer.usage.unwrap().completion_tokens, 8);
}

pub(crate) async fn models(target: Target) {
    let models = target.client.models().list().await.unwrap().data;
    assert!(models.iter().any(|one| one.id == target.model));
    let model = target.client.models().retrieve(target.model).await.unwrap();
    assert_eq!(model.id, target.model);
}

pub(crate) async fn unknown_model(target: Target) {
    let (status, code) = error(&target, &target.client, json!({"model": "gpt-4o"})).await;
    assert_eq!((status, code.as_str()), (404, "MODEL_NOT_FOUND"));
}

pub(crate) async fn bad_key(target: Target) {
    let key = format!("sk_demo_{}", "0".repeat(36));
    let (status, code) = error(&target, &server::client(&key), json!({})).await;
    assert_eq!((status, code.as_str()), (401, "AUTHENTICATION_FAILED"));
}

// The library retries by itself, after `Retry-After`.
pub(crate) async fn rate_limit(target: Target) {
    let client = server::limited();
    let start = Instant::now();
    for _ in 0..3 {
        let answer = client.chat().create(request(&target, json!({}))).await;
        assert!(answer.unwrap().choices[0].message.content.is_some());
    }
    assert!(start.elapsed() >= Duration::from_secs(1));
}

pub(crate) async fn disconnect(target: Target) {
    let fields = json!({"max_tokens": 8_000});
    let chat = target.client.chat();
    let mut stream = chat.create_stream(request(&target, fields)).await.unwrap();
    stream.next().await.unwrap().unwrap();
    target.wait_for_running_chats(1.0).await;
    drop(stream);
    target.wait_for_running_chats(0.0).await;
}
