//! Writes completion objects, which are also the chunks of a stream.

use std::collections::BTreeMap;

use serde::Serialize;
use stockade_core::refusal::Refusal;

use crate::{
    chat::{ChatRequest, Choice, Completion, Event, FinishReason, TokenLogprob, Usage},
    dialect::{
        chat::{ErrorBody, UsageBody, finish_reason},
        response::{Frame, ResponseHead, ResponseWriter, to_json},
    },
};

/// Writes a completion.
pub(super) struct CompletionsWriter {
    id: String,
    created: u64,
    model: String,
    has_logprobs: bool,
    include_usage: bool,
    /// The number of characters of each choice so far, for the offsets of tokens.
    lengths: Vec<usize>,
}

impl CompletionsWriter {
    /// Creates the writer for a request; the id is derived from the request's id.
    pub(super) fn new(
        head: ResponseHead,
        model: String,
        request: &ChatRequest,
        include_usage: bool,
    ) -> Self {
        Self {
            id: format!("cmpl-{}", head.request_id),
            created: head.created,
            model,
            has_logprobs: request.top_logprobs.is_some(),
            include_usage,
            lengths: vec![0; request.choices as usize],
        }
    }

    fn body<'a>(
        &'a self,
        choices: Vec<ChoiceBody<'a>>,
        usage: Option<Option<UsageBody>>,
    ) -> CompletionBody<'a> {
        CompletionBody {
            id: &self.id,
            object: "text_completion",
            created: self.created,
            model: &self.model,
            choices,
            usage,
        }
    }

    /// Adds a chunk with one choice. With `include_usage`, `usage` is `null`, as in OpenAI's
    /// chunks.
    fn push(&self, choice: ChoiceBody<'_>, frames: &mut Vec<Frame>) {
        let usage = self.include_usage.then_some(None);
        frames.push(Frame::data(&self.body(vec![choice], usage)));
    }

    fn logprobs<'a>(&self, tokens: &'a [TokenLogprob], start: usize) -> Option<LogprobsBody<'a>> {
        self.has_logprobs.then(|| LogprobsBody::new(tokens, start))
    }

    fn choice<'a>(&self, (index, choice): (u32, &'a Choice)) -> ChoiceBody<'a> {
        ChoiceBody {
            index,
            text: &choice.text,
            logprobs: self.logprobs(&choice.logprobs, 0),
            finish_reason: Some(finish_reason(
                choice.finish.as_ref().unwrap_or(&FinishReason::Stop),
            )),
        }
    }

    fn text(&mut self, index: u32, text: &str, logprobs: &[TokenLogprob], frames: &mut Vec<Frame>) {
        let length = self.lengths.get_mut(index as usize);
        let start = length.map_or(0, |length| {
            let start = *length;
            *length += text.chars().count();
            start
        });
        let choice = ChoiceBody {
            index,
            text,
            logprobs: self.logprobs(logprobs, start),
            finish_reason: None,
        };
        self.push(choice, frames);
    }

    fn done(&self, usage: Usage, frames: &mut Vec<Frame>) {
        if self.include_usage {
            let usage = Some(Some(usage.into()));
            frames.push(Frame::data(&self.body(Vec::new(), usage)));
        }
        frames.push(Frame {
            event: None,
            data: "[DONE]".to_owned(),
        });
    }
}

impl ResponseWriter for CompletionsWriter {
    fn object(&mut self, completion: &Completion) -> Vec<u8> {
        let choices = (0..).zip(&completion.choices);
        let choices = choices.map(|choice| self.choice(choice)).collect();
        let usage = completion.usage.unwrap_or_default();
        to_json(&self.body(choices, Some(Some(usage.into()))))
    }

    fn start(&mut self, _frames: &mut Vec<Frame>) {}

    fn event(&mut self, event: Event, frames: &mut Vec<Frame>) {
        match event {
            Event::Text {
                choice,
                text,
                logprobs,
            } => self.text(choice, &text, &logprobs, frames),
            Event::Finish { choice, reason } => {
                let choice = ChoiceBody {
                    index: choice,
                    text: "",
                    logprobs: None,
                    finish_reason: Some(finish_reason(&reason)),
                };
                self.push(choice, frames);
            }
            Event::Done(usage) => self.done(usage, frames),
            // A text is continued without images, tools and reasoning.
            Event::Images(_)
            | Event::Reasoning { .. }
            | Event::ToolCall { .. }
            | Event::ToolArguments { .. } => {}
        }
    }

    fn fail(&mut self, refusal: &Refusal, frames: &mut Vec<Frame>) {
        frames.push(Frame::data(&ErrorBody::from(refusal)));
    }
}

#[derive(Serialize)]
struct CompletionBody<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: Vec<ChoiceBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<UsageBody>>,
}

#[derive(Serialize)]
struct ChoiceBody<'a> {
    index: u32,
    text: &'a str,
    logprobs: Option<LogprobsBody<'a>>,
    finish_reason: Option<&'static str>,
}

/// The log probabilities of the tokens of a text.
#[derive(Serialize)]
struct LogprobsBody<'a> {
    tokens: Vec<&'a str>,
    token_logprobs: Vec<f64>,
    top_logprobs: Vec<BTreeMap<&'a str, f64>>,
    /// The position of each token in the text, in characters.
    text_offset: Vec<usize>,
}

impl<'a> LogprobsBody<'a> {
    fn new(tokens: &'a [TokenLogprob], mut start: usize) -> Self {
        let top = |token: &'a TokenLogprob| {
            let top = token.top.iter();
            top.map(|top| (top.text.as_str(), top.logprob.max(-9_999.0)))
                .collect()
        };
        let offset = |token: &TokenLogprob| {
            let offset = start;
            start += token.token.text.chars().count();
            offset
        };
        Self {
            tokens: tokens
                .iter()
                .map(|token| token.token.text.as_str())
                .collect(),
            token_logprobs: tokens
                .iter()
                .map(|token| token.token.logprob.max(-9_999.0))
                .collect(),
            top_logprobs: tokens.iter().map(top).collect(),
            text_offset: tokens.iter().map(offset).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::chat::{Sampling, TopLogprob};

    fn writer() -> CompletionsWriter {
        let request = ChatRequest {
            top_logprobs: Some(1),
            ..ChatRequest::raw("Once", Sampling::default())
        };
        CompletionsWriter::new(ResponseHead::for_tests(), "m".to_owned(), &request, true)
    }

    fn text(text: &str) -> Event {
        let token = TopLogprob {
            text: text.to_owned(),
            bytes: text.as_bytes().to_vec(),
            logprob: -0.5,
        };
        Event::Text {
            choice: 0,
            text: text.to_owned(),
            logprobs: vec![TokenLogprob {
                top: vec![token.clone()],
                token,
            }],
        }
    }

    fn events() -> [Event; 4] {
        let reason = FinishReason::Length;
        [
            text("é "),
            text("b"),
            Event::Finish { choice: 0, reason },
            Event::Done(Usage::new(1, 2)),
        ]
    }

    #[test]
    fn an_object_has_what_the_chunks_have() {
        let mut completion = Completion::default();
        let mut streaming = writer();
        let mut frames = Vec::new();
        streaming.start(&mut frames);
        for event in events() {
            completion.push(event.clone());
            streaming.event(event, &mut frames);
        }
        let object: Value = serde_json::from_slice(&writer().object(&completion)).unwrap();
        assert_eq!(object["object"], "text_completion");
        assert_eq!(object["id"], "cmpl-id");
        assert_eq!(
            object["choices"],
            json!([{
                "index": 0, "text": "é b", "finish_reason": "length",
                "logprobs": {
                    "tokens": ["é ", "b"], "token_logprobs": [-0.5, -0.5],
                    "top_logprobs": [{"é ": -0.5}, {"b": -0.5}], "text_offset": [0, 2],
                },
            }])
        );
        let (done, chunks) = frames.split_last().unwrap();
        assert_eq!(done.data, "[DONE]");
        let chunks: Vec<Value> = chunks
            .iter()
            .map(|frame| serde_json::from_str(&frame.data).unwrap())
            .collect();
        let streamed: String = chunks
            .iter()
            .filter_map(|chunk| chunk["choices"][0]["text"].as_str())
            .collect();
        assert_eq!(streamed, "é b");
        assert_eq!(
            chunks[1]["choices"][0]["logprobs"]["text_offset"],
            json!([2])
        );
        assert_eq!(chunks[2]["choices"][0]["finish_reason"], "length");
        assert_eq!(chunks[2]["usage"], Value::Null);
        assert_eq!(chunks[3]["usage"]["completion_tokens"], 2);
    }
}
