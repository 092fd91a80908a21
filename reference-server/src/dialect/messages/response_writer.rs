//! Writes messages and their events.

use stockade_core::refusal::Refusal;

use super::response_body::{
    BlockBody, DeltaBody, ErrorBody, EventBody, Input, MessageBody, MessageDelta, UsageBody,
    stop_reason, stop_sequence,
};
use crate::{
    chat::{Completion, Event, FinishReason, ToolCall, Usage},
    dialect::response::{Frame, ResponseHead, ResponseWriter, to_json},
};

/// Writes a message.
///
/// The blocks of a stream are sent one after the other, but the arguments of parallel calls may
/// alternate. Once a call has started, the blocks after it are therefore held back until the end,
/// which the maximum number of tokens bounds.
pub(super) struct MessagesWriter {
    id: String,
    model: String,
    /// Whether reasoning is part of the message.
    shows_thinking: bool,
    /// The index of the next block.
    next: u32,
    /// The block that has started and not ended.
    open: Option<Open>,
    /// The texts and calls after an open call.
    held: Vec<Held>,
    finish: FinishReason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Text,
    Thinking,
    /// A call, by its index.
    Call(u32),
}

enum Held {
    Text(String),
    Call(u32, ToolCall),
}

impl MessagesWriter {
    /// Creates the writer for a request; the id is derived from the request's id.
    pub(super) fn new(head: ResponseHead, model: String, shows_thinking: bool) -> Self {
        Self {
            id: format!("msg_{}", head.request_id),
            model,
            shows_thinking,
            next: 0,
            open: None,
            held: Vec::new(),
            finish: FinishReason::Stop,
        }
    }

    fn message<'a>(
        &'a self,
        content: Vec<BlockBody<'a>>,
        finish: Option<&'a FinishReason>,
        usage: Usage,
    ) -> MessageBody<'a> {
        MessageBody {
            id: &self.id,
            kind: "message",
            role: "assistant",
            model: &self.model,
            content,
            stop_reason: finish.map(stop_reason),
            stop_sequence: finish.and_then(stop_sequence),
            usage: usage.into(),
        }
    }

    /// Starts a block, unless it is open.
    fn open(&mut self, open: Open, block: BlockBody<'_>, frames: &mut Vec<Frame>) {
        if self.open == Some(open) {
            return;
        }
        self.close(frames);
        self.open = Some(open);
        push(
            frames,
            &EventBody::ContentBlockStart {
                index: self.next,
                content_block: block,
            },
        );
    }

    fn close(&mut self, frames: &mut Vec<Frame>) {
        if self.open.take().is_some() {
            push(frames, &EventBody::ContentBlockStop { index: self.next });
            self.next += 1;
        }
    }

    fn delta(&self, delta: DeltaBody<'_>, frames: &mut Vec<Frame>) {
        let index = self.next;
        push(frames, &EventBody::ContentBlockDelta { index, delta });
    }

    fn text(&mut self, text: &str, frames: &mut Vec<Frame>) {
        if text.is_empty() {
            return;
        }
        if matches!(self.open, Some(Open::Call(_))) {
            match self.held.last_mut() {
                Some(Held::Text(held)) => held.push_str(text),
                _ => self.held.push(Held::Text(text.to_owned())),
            }
            return;
        }
        self.open(Open::Text, BlockBody::Text { text: "" }, frames);
        self.delta(DeltaBody::Text { text }, frames);
    }

    fn thinking(&mut self, thinking: &str, frames: &mut Vec<Frame>) {
        // Reasoning after a call is not held back, because it is not part of the answer.
        if !self.shows_thinking || matches!(self.open, Some(Open::Call(_))) {
            return;
        }
        let block = BlockBody::Thinking {
            thinking: "",
            signature: "",
        };
        self.open(Open::Thinking, block, frames);
        self.delta(DeltaBody::Thinking { thinking }, frames);
    }

    fn call(&mut self, index: u32, id: &str, name: &str, frames: &mut Vec<Frame>) {
        if matches!(self.open, Some(Open::Call(_))) {
            let call = ToolCall {
                id: id.to_owned(),
                name: name.to_owned(),
                arguments: String::new(),
            };
            self.held.push(Held::Call(index, call));
            return;
        }
        let block = BlockBody::ToolUse {
            id,
            name,
            input: Input(""),
        };
        self.open(Open::Call(index), block, frames);
    }

    fn arguments(&mut self, index: u32, text: &str, frames: &mut Vec<Frame>) {
        if self.open == Some(Open::Call(index)) {
            self.delta(DeltaBody::InputJson { partial_json: text }, frames);
            return;
        }
        let held = self.held.iter_mut().find_map(|held| match held {
            Held::Call(at, call) if *at == index => Some(call),
            _ => None,
        });
        if let Some(call) = held {
            call.arguments.push_str(text);
        }
    }

    /// Sends what was held back.
    fn release(&mut self, frames: &mut Vec<Frame>) {
        self.close(frames);
        for held in std::mem::take(&mut self.held) {
            match held {
                Held::Text(text) => self.text(&text, frames),
                Held::Call(index, call) => {
                    self.call(index, &call.id, &call.name, frames);
                    if !call.arguments.is_empty() {
                        self.arguments(index, &call.arguments, frames);
                    }
                }
            }
            self.close(frames);
        }
    }

    fn done(&mut self, usage: Usage, frames: &mut Vec<Frame>) {
        self.release(frames);
        push(
            frames,
            &EventBody::MessageDelta {
                delta: MessageDelta {
                    stop_reason: stop_reason(&self.finish),
                    stop_sequence: stop_sequence(&self.finish),
                },
                usage: UsageBody::from(usage),
            },
        );
        push(frames, &EventBody::MessageStop);
    }
}

impl ResponseWriter for MessagesWriter {
    fn object(&mut self, completion: &Completion) -> Vec<u8> {
        let usage = completion.usage.unwrap_or_default();
        let Some(choice) = completion.choices.first() else {
            return to_json(&self.message(Vec::new(), Some(&FinishReason::Stop), usage));
        };
        let mut content = Vec::new();
        if self.shows_thinking && !choice.reasoning.is_empty() {
            content.push(BlockBody::Thinking {
                thinking: &choice.reasoning,
                signature: "",
            });
        }
        if !choice.text.is_empty() {
            content.push(BlockBody::Text { text: &choice.text });
        }
        content.extend(choice.tool_calls.iter().map(BlockBody::tool_use));
        let finish = choice.finish.as_ref().unwrap_or(&FinishReason::Stop);
        to_json(&self.message(content, Some(finish), usage))
    }

    fn start(&mut self, frames: &mut Vec<Frame>) {
        let message = self.message(Vec::new(), None, Usage::default());
        push(frames, &EventBody::MessageStart { message });
        push(frames, &EventBody::Ping);
    }

    fn event(&mut self, event: Event, frames: &mut Vec<Frame>) {
        // A request has one choice.
        match event {
            Event::Text { text, .. } => self.text(&text, frames),
            Event::Reasoning { text, .. } => self.thinking(&text, frames),
            Event::ToolCall { call, id, name, .. } => self.call(call, &id, &name, frames),
            Event::ToolArguments { call, text, .. } => self.arguments(call, &text, frames),
            Event::Finish { reason, .. } => self.finish = reason,
            Event::Done(usage) => self.done(usage, frames),
            // In the headers.
            Event::Images(_) => {}
        }
    }

    fn fail(&mut self, refusal: &Refusal, frames: &mut Vec<Frame>) {
        let error = ErrorBody {
            kind: refusal.kind().anthropic_type(),
            message: refusal.message(),
        };
        push(frames, &EventBody::Error { error });
    }

    fn ping(&self) -> Option<Frame> {
        Some(Frame::named("ping", &EventBody::Ping))
    }
}

fn push(frames: &mut Vec<Frame>, event: &EventBody<'_>) {
    frames.push(Frame::named(event.name(), event));
}

#[cfg(test)]
mod tests;
