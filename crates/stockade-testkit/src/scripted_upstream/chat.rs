//! Chat completions in OpenAI's format.

use serde_json::{Value, json};

use super::Answer;

/// A chat completion.
#[derive(Clone, Debug)]
pub struct Chat {
    model: String,
    pieces: Vec<String>,
    usage: Option<Value>,
    finish_reason: String,
}

impl Chat {
    /// A completion with this text, and a usage of 7 tokens for the prompt and 3 for the text.
    pub fn new(text: &str) -> Self {
        Self::pieces([text])
    }

    /// A completion that is streamed in these pieces.
    pub fn pieces<'a>(pieces: impl IntoIterator<Item = &'a str>) -> Self {
        let chat = Self {
            model: "scripted".to_owned(),
            pieces: pieces.into_iter().map(str::to_owned).collect(),
            usage: None,
            finish_reason: "stop".to_owned(),
        };
        chat.usage(7, 3)
    }

    /// Sets the name of the model.
    #[must_use]
    pub fn model(mut self, name: &str) -> Self {
        self.model = name.to_owned();
        self
    }

    /// Sets the usage.
    #[must_use]
    pub fn usage(mut self, prompt_tokens: u64, completion_tokens: u64) -> Self {
        self.usage = Some(json!({
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
        }));
        self
    }

    /// Reports no usage.
    #[must_use]
    pub fn without_usage(mut self) -> Self {
        self.usage = None;
        self
    }

    /// Sets the finish reason.
    #[must_use]
    pub fn finish_reason(mut self, reason: &str) -> Self {
        self.finish_reason = reason.to_owned();
        self
    }

    /// The completion as one document.
    pub fn json(&self) -> Answer {
        let mut document = json!({
            "id": "chatcmpl-scripted",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": self.model,
            "choices": [{
                "index": 0,
                "message": { "role": "assistant", "content": self.pieces.concat() },
                "finish_reason": self.finish_reason,
            }],
        });
        if let Some(usage) = &self.usage {
            document["usage"] = usage.clone();
        }
        Answer::json(document.to_string())
    }

    /// The completion as an event stream: the role, the pieces, the finish reason, the usage in
    /// an event of its own, and `[DONE]`.
    pub fn stream(&self) -> Answer {
        let piece = |text| self.event(json!({ "content": text }), Value::Null);
        let mut events =
            vec![self.event(json!({ "role": "assistant", "content": "" }), Value::Null)];
        events.extend(self.pieces.iter().map(piece));
        events.push(self.event(json!({}), json!(self.finish_reason)));
        if let Some(usage) = &self.usage {
            let mut chunk = self.chunk();
            chunk["choices"] = json!([]);
            chunk["usage"] = usage.clone();
            events.push(format!("data: {chunk}\n\n"));
        }
        events.push("data: [DONE]\n\n".to_owned());
        Answer::events(events)
    }

    fn event(&self, delta: Value, finish_reason: Value) -> String {
        let mut chunk = self.chunk();
        chunk["choices"] = json!([{ "index": 0, "delta": delta, "finish_reason": finish_reason }]);
        format!("data: {chunk}\n\n")
    }

    fn chunk(&self) -> Value {
        json!({
            "id": "chatcmpl-scripted",
            "object": "chat.completion.chunk",
            "created": 1_700_000_000,
            "model": self.model,
        })
    }
}
