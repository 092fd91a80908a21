//! The body of a chat request: types are checked, values are not yet.

mod logit_bias;
mod message;

use serde::Deserialize;
use serde_json::value::RawValue;

pub(in crate::dialect) use self::{
    logit_bias::LogitBias,
    message::{MessageBody, PartBody, ToolCallBody},
};
use crate::dialect::{
    bounded_vec::BoundedVec,
    object_body::object_body,
    string_or::{StringOrList, StringOrObject},
    tools::MAX_TOOLS,
};

/// The maximum number of messages in a chat.
const MAX_MESSAGES: usize = 1_024;
/// The maximum number of stop sequences, which is OpenAI's.
pub(in crate::dialect) const MAX_STOPS: usize = 4;

object_body! {
    /// A chat request as received. Image data is borrowed from the body where possible.
    pub(in crate::dialect) struct ChatBody<'a>: "a chat object" {
        model = "model": String,
        messages = "messages": BoundedVec<MessageBody<'a>, MAX_MESSAGES>,
        tools = "tools": BoundedVec<ToolBody, MAX_TOOLS>,
        tool_choice = "tool_choice": StringOrObject<'a, ToolChoiceBody>,
        parallel_tool_calls = "parallel_tool_calls": bool,
        response_format = "response_format": ResponseFormatBody,
        max_tokens = "max_tokens": u64,
        max_completion_tokens = "max_completion_tokens": u64,
        temperature = "temperature": f64,
        top_p = "top_p": f64,
        top_k = "top_k": i64,
        min_p = "min_p": f64,
        frequency_penalty = "frequency_penalty": f64,
        presence_penalty = "presence_penalty": f64,
        repetition_penalty = "repetition_penalty": f64,
        logit_bias = "logit_bias": LogitBias,
        seed = "seed": i64,
        stop = "stop": StringOrList<'a, String, MAX_STOPS>,
        n = "n": u64,
        logprobs = "logprobs": bool,
        top_logprobs = "top_logprobs": u64,
        reasoning_effort = "reasoning_effort": String,
        stream = "stream": bool,
        stream_options = "stream_options": StreamOptions,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::dialect) struct StreamOptions {
    pub(in crate::dialect) include_usage: Option<bool>,
    /// OpenAI's padding against traffic analysis; its clients send `false`.
    pub(in crate::dialect) include_obfuscation: Option<bool>,
    /// vLLM's usage in each chunk.
    pub(in crate::dialect) continuous_usage_stats: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::dialect) struct ToolBody {
    #[serde(rename = "type")]
    pub(in crate::dialect) kind: String,
    pub(in crate::dialect) function: FunctionBody,
    /// A hint for prompt caches, which does not affect the completion.
    #[serde(default, rename = "cache_control")]
    _cache_control: serde::de::IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::dialect) struct FunctionBody {
    pub(in crate::dialect) name: String,
    pub(in crate::dialect) description: Option<String>,
    pub(in crate::dialect) parameters: Option<Box<RawValue>>,
    pub(in crate::dialect) strict: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::dialect) struct ToolChoiceBody {
    #[serde(rename = "type")]
    pub(in crate::dialect) kind: String,
    pub(in crate::dialect) function: Option<ToolName>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::dialect) struct ToolName {
    pub(in crate::dialect) name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::dialect) struct ResponseFormatBody {
    #[serde(rename = "type")]
    pub(in crate::dialect) kind: String,
    pub(in crate::dialect) json_schema: Option<SchemaBody>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::dialect) struct SchemaBody {
    pub(in crate::dialect) name: String,
    pub(in crate::dialect) description: Option<String>,
    pub(in crate::dialect) schema: Option<Box<RawValue>>,
    pub(in crate::dialect) strict: Option<bool>,
}
