//! Writes responses and their events.

mod item;

use serde::Serialize;
use serde_json::value::RawValue;
use stockade_core::refusal::Refusal;

use self::item::{Item, ItemKind};
use super::response_body::{
    ErrorBody, EventBody, IncompleteDetails, Metadata, PartBody, ReasoningBody, ResponseBody,
    TextBody, ToolBody, ToolChoiceBody, incomplete_reason,
};
use crate::{
    chat::{
        ChatRequest, Completion, Event, FinishReason, ResponseFormat, TokenLogprob, Tool, ToolCall,
        ToolChoice, Usage,
    },
    dialect::{
        chat::token_bodies,
        response::{Frame, ResponseHead, ResponseWriter, to_json},
    },
};

/// The fields of a request that its response repeats and that a chat does not have.
pub(super) struct Echo {
    pub(super) instructions: Option<String>,
    pub(super) effort: Option<String>,
    pub(super) metadata: Option<Box<RawValue>>,
    pub(super) max_output_tokens: Option<u64>,
}

/// Writes a response. It keeps the whole output of a stream, because the last events repeat it.
pub(super) struct ResponsesWriter {
    id: String,
    request_id: String,
    created: u64,
    model: String,
    echo: Echo,
    tools: Vec<Tool>,
    tool_choice: ToolChoice,
    parallel_tool_calls: bool,
    response_format: ResponseFormat,
    temperature: Option<f64>,
    top_p: Option<f64>,
    top_logprobs: u8,
    items: Vec<Item>,
    finish: FinishReason,
    sequence_number: u64,
}

/// An event with its number.
#[derive(Serialize)]
struct Numbered<'a> {
    #[serde(flatten)]
    event: &'a EventBody<'a>,
    sequence_number: u64,
}

impl ResponsesWriter {
    /// Creates the writer for a request; the ids are derived from the request's id.
    pub(super) fn new(
        head: ResponseHead,
        model: String,
        request: &ChatRequest,
        echo: Echo,
    ) -> Self {
        Self {
            id: format!("resp_{}", head.request_id),
            request_id: head.request_id,
            created: head.created,
            model,
            echo,
            tools: request.tools.clone(),
            tool_choice: request.tool_choice.clone(),
            parallel_tool_calls: request.parallel_tool_calls.unwrap_or(true),
            response_format: request.response_format.clone(),
            temperature: request.sampling.temperature,
            top_p: request.sampling.top_p,
            top_logprobs: request.top_logprobs.unwrap_or(0),
            items: Vec::new(),
            finish: FinishReason::Stop,
            sequence_number: 0,
        }
    }

    fn response<'a>(&'a self, status: &'static str, usage: Option<Usage>) -> ResponseBody<'a> {
        let item = |(at, item): (usize, &'a Item)| item.body(&self.request_id, at);
        ResponseBody {
            id: &self.id,
            object: "response",
            created_at: self.created,
            status,
            background: false,
            error: None,
            incomplete_details: None,
            instructions: self.echo.instructions.as_deref(),
            max_output_tokens: self.echo.max_output_tokens,
            max_tool_calls: None,
            metadata: Metadata(self.echo.metadata.as_deref()),
            model: &self.model,
            output: self.items.iter().enumerate().map(item).collect(),
            parallel_tool_calls: self.parallel_tool_calls,
            previous_response_id: None,
            reasoning: ReasoningBody {
                effort: self.echo.effort.as_deref(),
                summary: None,
            },
            service_tier: "default",
            store: false,
            temperature: self.temperature,
            text: TextBody::from(&self.response_format),
            tool_choice: ToolChoiceBody::from(&self.tool_choice),
            tools: self.tools.iter().map(ToolBody::from).collect(),
            top_logprobs: self.top_logprobs,
            top_p: self.top_p,
            truncation: "disabled",
            usage: usage.map(Into::into),
            user: None,
        }
    }

    /// The response after the end of the generation.
    fn ended(&self, usage: Usage) -> ResponseBody<'_> {
        let Some(reason) = incomplete_reason(&self.finish) else {
            return self.response("completed", Some(usage));
        };
        ResponseBody {
            incomplete_details: Some(IncompleteDetails { reason }),
            ..self.response("incomplete", Some(usage))
        }
    }

    /// The index of the open item of this kind. Calls stay open, because the arguments of
    /// parallel calls may alternate.
    fn open(&mut self, kind: ItemKind, frames: &mut Vec<Frame>) -> usize {
        let is_open = |item: &Item| item.is_open && item.kind.is_same(&kind);
        if let Some(at) = self.items.iter().rposition(is_open) {
            return at;
        }
        for at in 0..self.items.len() {
            if !matches!(self.items[at].kind, ItemKind::Call(..)) {
                self.close(at, frames);
            }
        }
        let at = self.items.len();
        let is_message = matches!(kind, ItemKind::Message { .. });
        self.items.push(Item {
            kind,
            is_open: true,
        });
        let item = self.items[at].added(&self.request_id, at);
        push(
            &mut self.sequence_number,
            frames,
            &EventBody::ItemAdded {
                output_index: at,
                item,
            },
        );
        if is_message {
            let event = EventBody::PartAdded {
                item_id: self.items[at].id(&self.request_id, at),
                output_index: at,
                content_index: 0,
                part: PartBody::text("", &[]),
            };
            push(&mut self.sequence_number, frames, &event);
        }
        at
    }

    fn close(&mut self, at: usize, frames: &mut Vec<Frame>) {
        let item = &mut self.items[at];
        if !std::mem::replace(&mut item.is_open, false) {
            return;
        }
        let number = &mut self.sequence_number;
        for event in item.done(&self.request_id, at) {
            push(number, frames, &event);
        }
    }

    fn text(&mut self, text: &str, logprobs: Vec<TokenLogprob>, frames: &mut Vec<Frame>) {
        let at = self.open(ItemKind::message(), frames);
        let event = EventBody::TextDelta {
            item_id: self.items[at].id(&self.request_id, at),
            output_index: at,
            content_index: 0,
            delta: text,
            logprobs: token_bodies(&logprobs),
        };
        push(&mut self.sequence_number, frames, &event);
        self.items[at].push(text, logprobs);
    }

    fn reasoning(&mut self, text: &str, frames: &mut Vec<Frame>) {
        let at = self.open(ItemKind::Reasoning(String::new()), frames);
        let event = EventBody::ReasoningDelta {
            item_id: self.items[at].id(&self.request_id, at),
            output_index: at,
            content_index: 0,
            delta: text,
        };
        push(&mut self.sequence_number, frames, &event);
        self.items[at].push(text, Vec::new());
    }

    fn arguments(&mut self, call: u32, text: &str, frames: &mut Vec<Frame>) {
        let is_call = |item: &Item| {
            item.is_open && matches!(item.kind, ItemKind::Call(index, _) if index == call)
        };
        let Some(at) = self.items.iter().position(is_call) else {
            return;
        };
        let event = EventBody::ArgumentsDelta {
            item_id: self.items[at].id(&self.request_id, at),
            output_index: at,
            delta: text,
        };
        push(&mut self.sequence_number, frames, &event);
        self.items[at].push(text, Vec::new());
    }

    fn done(&mut self, usage: Usage, frames: &mut Vec<Frame>) {
        for at in 0..self.items.len() {
            self.close(at, frames);
        }
        let mut number = self.sequence_number;
        let response = self.ended(usage);
        let event = match response.status {
            "incomplete" => EventBody::Incomplete { response },
            _ => EventBody::Completed { response },
        };
        push(&mut number, frames, &event);
    }
}

impl ResponseWriter for ResponsesWriter {
    fn object(&mut self, completion: &Completion) -> Vec<u8> {
        if let Some(choice) = completion.choices.first() {
            self.items = Item::all(choice);
            self.finish = choice.finish.clone().unwrap_or(FinishReason::Stop);
        }
        to_json(&self.ended(completion.usage.unwrap_or_default()))
    }

    fn start(&mut self, frames: &mut Vec<Frame>) {
        let mut number = self.sequence_number;
        for event in [
            EventBody::Created {
                response: self.response("in_progress", None),
            },
            EventBody::InProgress {
                response: self.response("in_progress", None),
            },
        ] {
            push(&mut number, frames, &event);
        }
        self.sequence_number = number;
    }

    fn event(&mut self, event: Event, frames: &mut Vec<Frame>) {
        // A request has one choice.
        match event {
            Event::Text { text, logprobs, .. } => self.text(&text, logprobs, frames),
            Event::Reasoning { text, .. } => self.reasoning(&text, frames),
            Event::ToolCall { call, id, name, .. } => {
                let start = ToolCall {
                    id,
                    name,
                    arguments: String::new(),
                };
                self.open(ItemKind::Call(call, start), frames);
            }
            Event::ToolArguments { call, text, .. } => self.arguments(call, &text, frames),
            Event::Finish { reason, .. } => self.finish = reason,
            Event::Done(usage) => self.done(usage, frames),
            // In the headers.
            Event::Images(_) => {}
        }
    }

    fn fail(&mut self, refusal: &Refusal, frames: &mut Vec<Frame>) {
        let mut number = self.sequence_number;
        let response = ResponseBody {
            error: Some(ErrorBody {
                code: "server_error",
                message: refusal.message(),
            }),
            ..self.response("failed", None)
        };
        push(&mut number, frames, &EventBody::Failed { response });
    }
}

fn push(number: &mut u64, frames: &mut Vec<Frame>, event: &EventBody<'_>) {
    let numbered = Numbered {
        event,
        sequence_number: *number,
    };
    frames.push(Frame::named(event.name(), &numbered));
    *number += 1;
}

#[cfg(test)]
mod tests;
