//! The response: a stream of words, or one JSON document.

use std::convert::Infallible;

use axum::{
    Json,
    response::sse::{Event, Sse},
};
use futures_util::{Stream, StreamExt, stream};
use serde_json::{Value, json};
use stockade_core::{context::RequestContext, llm::TokenUsage};
use tokio::sync::mpsc::Receiver;

/// An answer in progress. It is dropped with the response when the client disconnects, which
/// closes the channel and stops the model.
pub(super) struct Answer {
    context: RequestContext,
    words: Receiver<String>,
    usage: TokenUsage,
    max_tokens: u64,
    ended: bool,
}

impl Answer {
    pub(super) fn new(
        context: RequestContext,
        words: Receiver<String>,
        prompt_tokens: usize,
        max_tokens: u64,
    ) -> Self {
        let usage = TokenUsage {
            prompt_tokens: prompt_tokens as u64,
            completion_tokens: 0,
        };
        context.set_usage(usage);
        Self {
            context,
            words,
            usage,
            max_tokens,
            ended: false,
        }
    }

    /// Returns the next word. The usage is reported with each word, so that a client that
    /// disconnects is charged for the tokens made so far, and no more.
    async fn word(&mut self) -> Option<String> {
        let word = self.words.recv().await?;
        self.usage.completion_tokens += 1;
        self.context.set_usage(self.usage);
        Some(word)
    }

    fn reason(&self) -> &'static str {
        match self.usage.completion_tokens == self.max_tokens {
            true => "length",
            false => "stop",
        }
    }

    /// Responds with one server-sent event per word.
    pub(super) fn stream(self) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
        let pieces = stream::unfold(self, |mut answer| async {
            let piece = answer.piece().await?;
            Some((piece.to_string(), answer))
        });
        let done = stream::iter(["[DONE]".to_owned()]);
        Sse::new(
            pieces
                .chain(done)
                .map(|data| Ok(Event::default().data(data))),
        )
    }

    /// Returns the next word, then the finish reason, then `None`.
    async fn piece(&mut self) -> Option<Value> {
        let choice = match self.word().await {
            Some(word) => json!({"index": 0, "delta": {"role": "assistant", "content": word}}),
            None if self.ended => return None,
            None => json!({"index": 0, "delta": {}, "finish_reason": self.reason()}),
        };
        self.ended = choice.get("finish_reason").is_some();
        Some(self.body("chat.completion.chunk", choice))
    }

    /// Responds with one JSON document.
    pub(super) async fn whole(mut self) -> Json<Value> {
        let mut text = String::new();
        while let Some(word) = self.word().await {
            text.push_str(&word);
        }
        let message = json!({"role": "assistant", "content": text.trim_end()});
        let choice = json!({"index": 0, "message": message, "finish_reason": self.reason()});
        let mut body = self.body("chat.completion", choice);
        let TokenUsage {
            prompt_tokens,
            completion_tokens,
        } = self.usage;
        body["usage"] = json!({
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
        });
        Json(body)
    }

    /// Builds a body whose id is the request id, which the audit records contain.
    fn body(&self, object: &str, choice: Value) -> Value {
        json!({
            "id": format!("chatcmpl-{}", self.context.id()),
            "object": object,
            "model": "parrot",
            "choices": [choice],
        })
    }
}
