//! Writes chat completion objects and chunks.

use serde::Serialize;
use stockade_core::refusal::Refusal;

use super::response_body::{ErrorBody, LogprobsBody, StockadeBody, UsageBody, finish_reason};
use crate::{
    chat::{ChatRequest, Choice, Completion, Event, FinishReason, ImageReport, ToolCall, Usage},
    dialect::response::{Frame, ResponseHead, ResponseWriter, to_json},
};

/// Writes a chat completion.
pub(super) struct ChatWriter {
    id: String,
    created: u64,
    model: String,
    choices: u32,
    has_logprobs: bool,
    include_usage: bool,
    images: Option<ImageReport>,
}

impl ChatWriter {
    /// Creates the writer for a request; the id is derived from the request's id.
    pub(super) fn new(
        head: ResponseHead,
        model: String,
        request: &ChatRequest,
        include_usage: bool,
    ) -> Self {
        Self {
            id: format!("chatcmpl-{}", head.request_id),
            created: head.created,
            model,
            choices: request.choices,
            has_logprobs: request.top_logprobs.is_some(),
            include_usage,
            images: None,
        }
    }

    /// Adds a chunk with one choice. With `include_usage`, `usage` is `null`, as in OpenAI's
    /// chunks.
    fn push(
        &self,
        index: u32,
        delta: DeltaBody<'_>,
        logprobs: Option<LogprobsBody<'_>>,
        finish: Option<&FinishReason>,
        frames: &mut Vec<Frame>,
    ) {
        let choice = ChunkChoiceBody {
            index,
            delta,
            logprobs,
            finish_reason: finish.map(finish_reason),
            stop_reason: finish.and_then(stop_reason),
        };
        let usage = self.include_usage.then_some(None);
        frames.push(self.chunk(&[choice], usage));
    }

    fn chunk(&self, choices: &[ChunkChoiceBody<'_>], usage: Option<Option<UsageBody>>) -> Frame {
        Frame::data(&ChunkBody {
            id: &self.id,
            object: "chat.completion.chunk",
            created: self.created,
            model: &self.model,
            choices,
            // With the usage, which ends the stream.
            stockade: match usage {
                Some(Some(_)) => self.images.as_ref().map(Into::into),
                _ => None,
            },
            usage,
        })
    }

    fn done(&self, usage: Usage, frames: &mut Vec<Frame>) {
        if self.include_usage {
            frames.push(self.chunk(&[], Some(Some(usage.into()))));
        }
        frames.push(Frame {
            event: None,
            data: "[DONE]".to_owned(),
        });
    }

    fn choice<'a>(&self, index: usize, choice: &'a Choice) -> ChoiceBody<'a> {
        let finish = choice.finish.as_ref();
        let has_text = !choice.text.is_empty() || choice.tool_calls.is_empty();
        ChoiceBody {
            index,
            message: AssistantBody {
                role: "assistant",
                content: has_text.then_some(&choice.text),
                refusal: None,
                reasoning_content: (!choice.reasoning.is_empty()).then_some(&choice.reasoning),
                tool_calls: choice.tool_calls.iter().map(ToolCallBody::from).collect(),
            },
            logprobs: self
                .has_logprobs
                .then(|| LogprobsBody::new(&choice.logprobs)),
            finish_reason: finish_reason(finish.unwrap_or(&FinishReason::Stop)),
            stop_reason: finish.and_then(stop_reason),
        }
    }
}

/// The stop sequence that ended a choice, as vLLM writes it.
fn stop_reason(finish: &FinishReason) -> Option<&str> {
    match finish {
        FinishReason::StopSequence(stop) => Some(stop),
        _ => None,
    }
}

impl ResponseWriter for ChatWriter {
    fn object(&mut self, completion: &Completion) -> Vec<u8> {
        let choices = completion.choices.iter().enumerate();
        to_json(&CompletionBody {
            id: &self.id,
            object: "chat.completion",
            created: self.created,
            model: &self.model,
            choices: choices
                .map(|(index, choice)| self.choice(index, choice))
                .collect(),
            usage: completion.usage.unwrap_or_default().into(),
            stockade: completion.images.as_ref().map(Into::into),
        })
    }

    fn start(&mut self, frames: &mut Vec<Frame>) {
        for index in 0..self.choices {
            let delta = DeltaBody {
                role: Some("assistant"),
                content: Some(""),
                ..DeltaBody::default()
            };
            self.push(index, delta, None, None, frames);
        }
    }

    fn event(&mut self, event: Event, frames: &mut Vec<Frame>) {
        match event {
            Event::Images(images) => self.images = Some(images),
            Event::Text {
                choice,
                text,
                logprobs,
            } => {
                let delta = DeltaBody {
                    content: Some(&text),
                    ..DeltaBody::default()
                };
                let logprobs = self.has_logprobs.then(|| LogprobsBody::new(&logprobs));
                self.push(choice, delta, logprobs, None, frames);
            }
            Event::Reasoning { choice, text } => {
                let delta = DeltaBody {
                    reasoning_content: Some(&text),
                    ..DeltaBody::default()
                };
                self.push(choice, delta, None, None, frames);
            }
            Event::ToolCall {
                choice,
                call,
                id,
                name,
            } => {
                let start = ToolCallDelta {
                    index: call,
                    id: Some(&id),
                    kind: Some("function"),
                    function: FunctionDelta {
                        name: Some(&name),
                        arguments: "",
                    },
                };
                self.push(choice, start.into(), None, None, frames);
            }
            Event::ToolArguments { choice, call, text } => {
                let more = ToolCallDelta {
                    index: call,
                    id: None,
                    kind: None,
                    function: FunctionDelta {
                        name: None,
                        arguments: &text,
                    },
                };
                self.push(choice, more.into(), None, None, frames);
            }
            Event::Finish { choice, reason } => {
                self.push(choice, DeltaBody::default(), None, Some(&reason), frames);
            }
            Event::Done(usage) => self.done(usage, frames),
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
    usage: UsageBody,
    #[serde(skip_serializing_if = "Option::is_none")]
    stockade: Option<StockadeBody>,
}

#[derive(Serialize)]
struct ChoiceBody<'a> {
    index: usize,
    message: AssistantBody<'a>,
    logprobs: Option<LogprobsBody<'a>>,
    finish_reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_reason: Option<&'a str>,
}

#[derive(Serialize)]
struct AssistantBody<'a> {
    role: &'static str,
    content: Option<&'a String>,
    refusal: Option<()>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<ToolCallBody<'a>>,
}

#[derive(Serialize)]
struct ToolCallBody<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    function: FunctionBody<'a>,
}

#[derive(Serialize)]
struct FunctionBody<'a> {
    name: &'a str,
    arguments: &'a str,
}

impl<'a> From<&'a ToolCall> for ToolCallBody<'a> {
    fn from(call: &'a ToolCall) -> Self {
        Self {
            id: &call.id,
            kind: "function",
            function: FunctionBody {
                name: &call.name,
                arguments: &call.arguments,
            },
        }
    }
}

#[derive(Serialize)]
struct ChunkBody<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: &'a [ChunkChoiceBody<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<UsageBody>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stockade: Option<StockadeBody>,
}

#[derive(Serialize)]
struct ChunkChoiceBody<'a> {
    index: u32,
    delta: DeltaBody<'a>,
    logprobs: Option<LogprobsBody<'a>>,
    finish_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_reason: Option<&'a str>,
}

#[derive(Default, Serialize)]
struct DeltaBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[ToolCallDelta<'a>; 1]>,
}

#[derive(Serialize)]
struct ToolCallDelta<'a> {
    index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    function: FunctionDelta<'a>,
}

#[derive(Serialize)]
struct FunctionDelta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    arguments: &'a str,
}

impl<'a> From<ToolCallDelta<'a>> for DeltaBody<'a> {
    fn from(call: ToolCallDelta<'a>) -> Self {
        Self {
            tool_calls: Some([call]),
            ..Self::default()
        }
    }
}
