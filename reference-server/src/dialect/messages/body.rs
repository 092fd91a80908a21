//! The body of a messages request: types are checked, values are not yet.

use std::borrow::Cow;

use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

use crate::dialect::{
    bounded_vec::BoundedVec, object_body::object_body, string_or::StringOrList, tools::MAX_TOOLS,
};

/// The maximum number of messages in a request.
const MAX_MESSAGES: usize = 1_024;
/// The maximum number of blocks in a message, a system prompt or a tool's result.
const MAX_BLOCKS: usize = 256;
/// The maximum number of stop sequences.
const MAX_STOPS: usize = 16;

object_body! {
    /// A messages request as received. Image data is borrowed from the body where possible.
    pub(in crate::dialect) struct MessagesBody<'a>: "a messages object" {
        model = "model": String,
        max_tokens = "max_tokens": u64,
        messages = "messages": BoundedVec<MessageBody<'a>, MAX_MESSAGES>,
        system = "system": StringOrList<'a, SystemBlock, MAX_BLOCKS>,
        tools = "tools": BoundedVec<ToolBody, MAX_TOOLS>,
        tool_choice = "tool_choice": ToolChoiceBody,
        thinking = "thinking": ThinkingBody,
        output_config = "output_config": OutputConfigBody,
        output_format = "output_format": FormatBody,
        stop_sequences = "stop_sequences": BoundedVec<String, MAX_STOPS>,
        stream = "stream": bool,
        temperature = "temperature": f64,
        top_k = "top_k": i64,
        top_p = "top_p": f64,
    }
}

object_body! {
    /// A message.
    pub(in crate::dialect) struct MessageBody<'a>: "a message" {
        role = "role": String,
        content = "content": StringOrList<'a, BlockBody<'a>, MAX_BLOCKS>,
    }
}

/// A block of the system prompt.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::dialect) struct SystemBlock {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) text: String,
    /// A hint for prompt caches, which does not affect the completion.
    #[serde(default, rename = "cache_control")]
    _cache_control: IgnoredAny,
    #[serde(default, rename = "citations")]
    _citations: IgnoredAny,
}

/// A block of a message or of a tool's result. The required fields depend on `type`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::dialect) struct BlockBody<'a> {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) text: Option<String>,
    #[serde(borrow)]
    pub(super) source: Option<SourceBody<'a>>,
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) input: Option<Box<RawValue>>,
    pub(super) tool_use_id: Option<String>,
    #[serde(borrow)]
    pub(super) content: Option<StringOrList<'a, ResultBlock<'a>, MAX_BLOCKS>>,
    #[serde(default, rename = "is_error")]
    _is_error: Option<bool>,
    /// Earlier reasoning, which chat templates drop.
    #[serde(default, rename = "thinking")]
    _thinking: IgnoredAny,
    #[serde(default, rename = "signature")]
    _signature: IgnoredAny,
    #[serde(default, rename = "data")]
    _data: IgnoredAny,
    #[serde(default, rename = "cache_control")]
    _cache_control: IgnoredAny,
    #[serde(default, rename = "citations")]
    _citations: IgnoredAny,
    #[serde(default, rename = "caller")]
    _caller: IgnoredAny,
}

/// A block of a tool's result.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::dialect) struct ResultBlock<'a> {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) text: Option<String>,
    #[serde(borrow)]
    pub(super) source: Option<SourceBody<'a>>,
    #[serde(default, rename = "cache_control")]
    _cache_control: IgnoredAny,
    #[serde(default, rename = "citations")]
    _citations: IgnoredAny,
}

/// Where an image comes from.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::dialect) struct SourceBody<'a> {
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// The bytes of the image determine its type; the fence decides whether this may differ.
    #[serde(default, rename = "media_type")]
    _media_type: Option<String>,
    #[serde(borrow)]
    pub(super) data: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) url: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::dialect) struct ToolBody {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) input_schema: Option<Box<RawValue>>,
    pub(super) strict: Option<bool>,
    #[serde(default, rename = "cache_control")]
    _cache_control: IgnoredAny,
    #[serde(default, rename = "input_examples")]
    _input_examples: IgnoredAny,
    #[serde(default, rename = "eager_input_streaming")]
    _eager_input_streaming: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::dialect) struct ToolChoiceBody {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) name: Option<String>,
    pub(super) disable_parallel_tool_use: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::dialect) struct ThinkingBody {
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default, rename = "budget_tokens")]
    _budget_tokens: Option<u64>,
    #[serde(default, rename = "display")]
    _display: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::dialect) struct OutputConfigBody {
    pub(super) effort: Option<String>,
    pub(super) format: Option<FormatBody>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::dialect) struct FormatBody {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) schema: Option<Box<RawValue>>,
}
