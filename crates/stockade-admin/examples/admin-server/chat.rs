//! The chat handler: it repeats the last question, word by word.

use std::convert::Infallible;

use axum::{
    Extension, Json,
    response::{
        IntoResponse, Response,
        sse::{Event, Sse},
    },
};
use futures_util::{StreamExt as _, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use stockade_core::{context::RequestContext, llm::TokenUsage};

/// The fields of OpenAI's request that this model uses.
#[derive(Debug, Deserialize)]
pub(crate) struct Chat {
    messages: Vec<Value>,
    #[serde(default)]
    stream: bool,
}

impl Chat {
    /// The text of the last message.
    fn question(&self) -> String {
        let Some(content) = self.messages.last().map(|message| &message["content"]) else {
            return String::new();
        };
        let parts = content.as_array().into_iter().flatten();
        let texts: Vec<_> = parts.filter_map(|part| part["text"].as_str()).collect();
        content
            .as_str()
            .map_or_else(|| texts.join(" "), str::to_owned)
    }
}

pub(crate) async fn chat(
    Extension(context): Extension<RequestContext>,
    Json(chat): Json<Chat>,
) -> Response {
    let question = chat.question();
    let words: Vec<String> = question
        .split_inclusive(char::is_whitespace)
        .map(str::to_owned)
        .collect();
    let usage = TokenUsage {
        prompt_tokens: words.len() as u64,
        completion_tokens: words.len() as u64,
    };
    context.set_usage(usage);
    let counted = json!({
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    });
    if !chat.stream {
        let message = json!({"role": "assistant", "content": question});
        let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
        return Json(body("chat.completion", vec![choice], &counted)).into_response();
    }
    let mut events: Vec<String> = words.iter().map(|word| chunk(word)).collect();
    let end = json!({"index": 0, "delta": {}, "finish_reason": "stop"});
    events.push(body("chat.completion.chunk", vec![end], &Value::Null).to_string());
    events.push(body("chat.completion.chunk", vec![], &counted).to_string());
    events.push("[DONE]".to_owned());
    let events = stream::iter(events).map(|data| Ok::<_, Infallible>(Event::default().data(data)));
    Sse::new(events).into_response()
}

fn chunk(word: &str) -> String {
    let choice = json!({"index": 0, "delta": {"role": "assistant", "content": word}});
    body("chat.completion.chunk", vec![choice], &Value::Null).to_string()
}

fn body(object: &str, choices: Vec<Value>, usage: &Value) -> Value {
    json!({"object": object, "model": "parrot", "choices": choices, "usage": usage})
}
