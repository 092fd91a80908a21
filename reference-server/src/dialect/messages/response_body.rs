//! Anthropic's objects and the data of its events.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::chat::{FinishReason, ToolCall, Usage};

#[derive(Serialize)]
pub(super) struct MessageBody<'a> {
    pub(super) id: &'a str,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) role: &'static str,
    pub(super) model: &'a str,
    pub(super) content: Vec<BlockBody<'a>>,
    pub(super) stop_reason: Option<&'static str>,
    pub(super) stop_sequence: Option<&'a str>,
    pub(super) usage: UsageBody,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum BlockBody<'a> {
    Text {
        text: &'a str,
    },
    Thinking {
        thinking: &'a str,
        signature: &'static str,
    },
    ToolUse {
        id: &'a str,
        name: &'a str,
        input: Input<'a>,
    },
}

impl<'a> BlockBody<'a> {
    /// The block of a call with its arguments.
    pub(super) fn tool_use(call: &'a ToolCall) -> Self {
        Self::ToolUse {
            id: &call.id,
            name: &call.name,
            input: Input(&call.arguments),
        }
    }
}

/// The arguments of a call, which must be an object. A text that is none, because the model wrote
/// no valid JSON or was cut, is the only member of one: `{"arguments": "…"}`.
pub(super) struct Input<'a>(pub(super) &'a str);

impl Serialize for Input<'_> {
    fn serialize<S>(&self, serializer: S) -> Result<S::Ok, S::Error>
    where
        S: Serializer,
    {
        #[derive(Serialize)]
        struct Empty {}
        #[derive(Serialize)]
        struct Invalid<'a> {
            arguments: &'a str,
        }
        if self.0.trim().is_empty() {
            return Empty {}.serialize(serializer);
        }
        match serde_json::from_str::<&RawValue>(self.0) {
            Ok(object) if object.get().starts_with('{') => object.serialize(serializer),
            _ => Invalid { arguments: self.0 }.serialize(serializer),
        }
    }
}

#[derive(Serialize)]
pub(super) struct UsageBody {
    input_tokens: usize,
    cache_creation_input_tokens: usize,
    cache_read_input_tokens: usize,
    output_tokens: usize,
}

impl From<Usage> for UsageBody {
    fn from(usage: Usage) -> Self {
        Self {
            // Anthropic counts cached tokens apart.
            input_tokens: usage.prompt_tokens.saturating_sub(usage.cached_tokens),
            cache_creation_input_tokens: 0,
            cache_read_input_tokens: usage.cached_tokens,
            output_tokens: usage.completion_tokens,
        }
    }
}

/// Anthropic's name of a finish reason.
pub(in crate::dialect) fn stop_reason(finish: &FinishReason) -> &'static str {
    match finish {
        FinishReason::Stop => "end_turn",
        FinishReason::StopSequence(_) => "stop_sequence",
        FinishReason::Length => "max_tokens",
        FinishReason::ToolCalls => "tool_use",
        FinishReason::ContentFilter => "refusal",
    }
}

/// The stop sequence that ended a message.
pub(super) fn stop_sequence(finish: &FinishReason) -> Option<&str> {
    match finish {
        FinishReason::StopSequence(stop) => Some(stop),
        _ => None,
    }
}

/// The data of an event. The name of the event is its `type`.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum EventBody<'a> {
    MessageStart {
        message: MessageBody<'a>,
    },
    ContentBlockStart {
        index: u32,
        content_block: BlockBody<'a>,
    },
    ContentBlockDelta {
        index: u32,
        delta: DeltaBody<'a>,
    },
    ContentBlockStop {
        index: u32,
    },
    MessageDelta {
        delta: MessageDelta<'a>,
        usage: UsageBody,
    },
    MessageStop,
    Ping,
    Error {
        error: ErrorBody<'a>,
    },
}

impl EventBody<'_> {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::MessageStart { .. } => "message_start",
            Self::ContentBlockStart { .. } => "content_block_start",
            Self::ContentBlockDelta { .. } => "content_block_delta",
            Self::ContentBlockStop { .. } => "content_block_stop",
            Self::MessageDelta { .. } => "message_delta",
            Self::MessageStop => "message_stop",
            Self::Ping => "ping",
            Self::Error { .. } => "error",
        }
    }
}

#[derive(Serialize)]
#[serde(tag = "type")]
pub(super) enum DeltaBody<'a> {
    #[serde(rename = "text_delta")]
    Text { text: &'a str },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: &'a str },
    #[serde(rename = "input_json_delta")]
    InputJson { partial_json: &'a str },
}

#[derive(Serialize)]
pub(super) struct MessageDelta<'a> {
    pub(super) stop_reason: &'static str,
    pub(super) stop_sequence: Option<&'a str>,
}

#[derive(Serialize)]
pub(super) struct ErrorBody<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) message: &'a str,
}
