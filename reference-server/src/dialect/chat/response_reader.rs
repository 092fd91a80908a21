//! Reads the responses of an upstream that speaks chat completions.

mod body;

use std::fmt;

use self::body::{ChunkBody, CompletionBody, DeltaBody, LogprobsBody, StopBody, ToolCallBody};
use crate::{
    chat::{Event, FinishReason, Usage},
    dialect::sse::{EventReader, EventTooLarge},
};

/// The maximum number of choices in a response, and of tool calls in a choice.
const MAX_ITEMS: usize = 128;
/// The maximum length of an upstream's error message, in bytes.
const MAX_MESSAGE: usize = 512;

/// Why a response of an upstream cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadError {
    /// An event exceeds 1 MiB, or the response has more than 128 choices or calls.
    TooLarge,
    /// The response is not a chat completion.
    Malformed,
    /// The response ended before the completion did.
    Incomplete,
    /// The upstream reported an error; the message is for the log.
    Upstream(String),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => f.write_str("the response is too large"),
            Self::Malformed => f.write_str("the response is not a chat completion"),
            Self::Incomplete => f.write_str("the response is incomplete"),
            Self::Upstream(message) => write!(f, "the upstream reported: {message}"),
        }
    }
}

impl std::error::Error for ReadError {}

impl From<EventTooLarge> for ReadError {
    fn from(_: EventTooLarge) -> Self {
        Self::TooLarge
    }
}

/// Reads a completion that is not streamed.
///
/// # Errors
/// Returns an error if it is malformed, or is the upstream's error.
pub fn read_completion(body: &[u8]) -> Result<Vec<Event>, ReadError> {
    let body: CompletionBody = serde_json::from_slice(body).map_err(|_| ReadError::Malformed)?;
    if let Some(error) = body.error {
        return Err(upstream_error(error.message()));
    }
    if body.choices.is_empty() {
        return Err(ReadError::Malformed);
    }
    let mut state = State::default();
    let mut events = Vec::new();
    for choice in body.choices {
        state.delta(choice.index, choice.message, choice.logprobs, &mut events)?;
        let reason = choice.finish_reason.as_deref().unwrap_or("stop");
        let stop = choice.stop_reason.or(choice.matched_stop);
        state.finish(choice.index, reason, stop, &mut events)?;
    }
    let usage = body.usage.map_or_else(Usage::default, Usage::from);
    events.push(Event::Done(usage));
    Ok(events)
}

/// Reads a streamed completion incrementally. Memory is bounded by the size of an event.
#[derive(Debug, Default)]
pub struct ResponseReader {
    sse: EventReader,
    state: State,
}

impl ResponseReader {
    /// Reads more bytes of the response, and returns the events that are complete.
    ///
    /// Bytes after the end of the completion are ignored.
    ///
    /// # Errors
    /// Returns an error if the response is malformed, or has the upstream's error. The response
    /// cannot be read further.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Event>, ReadError> {
        let mut events = Vec::new();
        let state = &mut self.state;
        self.sse.push(bytes, |data| state.read(data, &mut events))?;
        Ok(events)
    }

    /// Ends the response, and returns the events that its end implies: some servers send no
    /// `[DONE]`.
    ///
    /// # Errors
    /// Returns an error if the completion had not ended.
    pub fn finish(&mut self) -> Result<Vec<Event>, ReadError> {
        let mut events = Vec::new();
        if !self.state.is_done {
            self.state.end(&mut events)?;
        }
        Ok(events)
    }

    /// Whether the upstream has reported the usage. Without it, [`Event::Done`] has zeros.
    pub fn has_usage(&self) -> bool {
        self.state.usage.is_some()
    }
}

#[derive(Debug, Default)]
struct State {
    /// The choices that have started, by their index.
    choices: Vec<ChoiceState>,
    usage: Option<Usage>,
    is_done: bool,
}

#[derive(Debug, Default)]
struct ChoiceState {
    /// The upstream's index of each call.
    calls: Vec<Option<u32>>,
    is_finished: bool,
}

impl State {
    fn read(&mut self, data: &[u8], events: &mut Vec<Event>) -> Result<(), ReadError> {
        if self.is_done {
            return Ok(());
        }
        if data.trim_ascii() == b"[DONE]" {
            return self.end(events);
        }
        let chunk: ChunkBody = serde_json::from_slice(data).map_err(|_| ReadError::Malformed)?;
        if let Some(error) = chunk.error {
            return Err(upstream_error(error.message()));
        }
        if let Some(usage) = chunk.usage {
            self.usage = Some(usage.into());
        }
        for choice in chunk.choices {
            self.delta(choice.index, choice.delta, choice.logprobs, events)?;
            if let Some(reason) = choice.finish_reason {
                let stop = choice.stop_reason.or(choice.matched_stop);
                self.finish(choice.index, &reason, stop, events)?;
            }
        }
        Ok(())
    }

    /// Ends the completion, if each choice has ended.
    fn end(&mut self, events: &mut Vec<Event>) -> Result<(), ReadError> {
        let is_complete = self.choices.iter().all(|choice| choice.is_finished);
        if self.choices.is_empty() || !is_complete {
            return Err(ReadError::Incomplete);
        }
        self.is_done = true;
        events.push(Event::Done(self.usage.unwrap_or_default()));
        Ok(())
    }

    fn choice(&mut self, index: u32) -> Result<&mut ChoiceState, ReadError> {
        let index = index as usize;
        if index >= MAX_ITEMS {
            return Err(ReadError::TooLarge);
        }
        if self.choices.len() <= index {
            self.choices.resize_with(index + 1, ChoiceState::default);
        }
        Ok(&mut self.choices[index])
    }

    fn delta(
        &mut self,
        choice: u32,
        delta: DeltaBody,
        logprobs: Option<LogprobsBody>,
        events: &mut Vec<Event>,
    ) -> Result<(), ReadError> {
        let state = self.choice(choice)?;
        let reasoning = non_empty(delta.reasoning);
        if let Some(text) = reasoning.or_else(|| non_empty(delta.reasoning_content)) {
            events.push(Event::Reasoning { choice, text });
        }
        let text = non_empty(delta.content).or_else(|| non_empty(delta.refusal));
        let logprobs = logprobs.map_or_else(Vec::new, LogprobsBody::into_tokens);
        if text.is_some() || !logprobs.is_empty() {
            events.push(Event::Text {
                choice,
                text: text.unwrap_or_default(),
                logprobs,
            });
        }
        for call in delta.tool_calls.unwrap_or_default() {
            state.tool_call(choice, call, events)?;
        }
        Ok(())
    }

    fn finish(
        &mut self,
        choice: u32,
        reason: &str,
        stop: Option<StopBody>,
        events: &mut Vec<Event>,
    ) -> Result<(), ReadError> {
        let state = self.choice(choice)?;
        if std::mem::replace(&mut state.is_finished, true) {
            return Ok(());
        }
        let reason = match reason {
            "length" => FinishReason::Length,
            "tool_calls" | "function_call" => FinishReason::ToolCalls,
            "content_filter" => FinishReason::ContentFilter,
            _ if !state.calls.is_empty() => FinishReason::ToolCalls,
            _ => match stop.and_then(StopBody::into_sequence) {
                Some(stop) => FinishReason::StopSequence(stop),
                None => FinishReason::Stop,
            },
        };
        events.push(Event::Finish { choice, reason });
        Ok(())
    }
}

impl ChoiceState {
    fn tool_call(
        &mut self,
        choice: u32,
        body: ToolCallBody,
        events: &mut Vec<Event>,
    ) -> Result<(), ReadError> {
        let name = non_empty(body.function.name);
        let known = match body.index {
            Some(_) => self.calls.iter().position(|index| *index == body.index),
            // Some servers number no calls; a call with a name is then a new one.
            None if name.is_some() => None,
            None => self.calls.len().checked_sub(1),
        };
        let call = match known {
            Some(call) => call,
            None => {
                let call = self.calls.len();
                if call == MAX_ITEMS {
                    return Err(ReadError::TooLarge);
                }
                self.calls.push(body.index);
                let id = non_empty(body.id).unwrap_or_else(|| format!("call_{choice}_{call}"));
                events.push(Event::ToolCall {
                    choice,
                    call: index(call),
                    id,
                    name: name.ok_or(ReadError::Malformed)?,
                });
                call
            }
        };
        if let Some(text) = non_empty(body.function.arguments) {
            events.push(Event::ToolArguments {
                choice,
                call: index(call),
                text,
            });
        }
        Ok(())
    }
}

fn index(at: usize) -> u32 {
    u32::try_from(at).expect("at most MAX_ITEMS")
}

fn non_empty(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn upstream_error(message: &str) -> ReadError {
    let end = message.floor_char_boundary(MAX_MESSAGE);
    ReadError::Upstream(message[..end].to_owned())
}

#[cfg(test)]
mod tests;
