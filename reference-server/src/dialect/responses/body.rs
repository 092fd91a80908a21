//! The body of a responses request: types are checked, values are not yet.

use std::borrow::Cow;

use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

use crate::dialect::{
    bounded_vec::BoundedVec,
    object_body::object_body,
    string_or::{StringOrList, StringOrObject},
    tools::MAX_TOOLS,
};

/// The maximum number of items in the input.
const MAX_ITEMS: usize = 1_024;
/// The maximum number of parts in an item.
const MAX_PARTS: usize = 256;

object_body! {
    /// A responses request as received. Image data is borrowed from the body where possible.
    pub(in crate::dialect) struct ResponsesBody<'a>: "a responses object" {
        model = "model": String,
        input = "input": StringOrList<'a, ItemBody<'a>, MAX_ITEMS>,
        instructions = "instructions": String,
        tools = "tools": BoundedVec<ToolBody, MAX_TOOLS>,
        tool_choice = "tool_choice": StringOrObject<'a, ToolChoiceBody>,
        parallel_tool_calls = "parallel_tool_calls": bool,
        text = "text": TextBody,
        reasoning = "reasoning": ReasoningBody,
        max_output_tokens = "max_output_tokens": u64,
        temperature = "temperature": f64,
        top_p = "top_p": f64,
        top_k = "top_k": i64,
        min_p = "min_p": f64,
        repetition_penalty = "repetition_penalty": f64,
        top_logprobs = "top_logprobs": u64,
        metadata = "metadata": Box<RawValue>,
        stream = "stream": bool,
        stream_options = "stream_options": StreamOptions,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::dialect) struct StreamOptions {
    pub(super) include_obfuscation: Option<bool>,
}

/// An item of the input. The required fields depend on `type`, which is `message` by default.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::dialect) struct ItemBody<'a> {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) role: Option<String>,
    #[serde(borrow)]
    pub(super) content: Option<StringOrList<'a, PartBody<'a>, MAX_PARTS>>,
    pub(super) call_id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) arguments: Option<String>,
    #[serde(borrow)]
    pub(super) output: Option<StringOrList<'a, PartBody<'a>, MAX_PARTS>>,
    /// Fields of the items of a response, which clients send back.
    #[serde(default, rename = "id")]
    _id: IgnoredAny,
    #[serde(default, rename = "status")]
    _status: IgnoredAny,
    #[serde(default, rename = "summary")]
    _summary: IgnoredAny,
    #[serde(default, rename = "encrypted_content")]
    _encrypted_content: IgnoredAny,
    #[serde(default, rename = "phase")]
    _phase: IgnoredAny,
    /// The arguments as a value, which the `parse` methods of OpenAI's SDKs add.
    #[serde(default, rename = "parsed_arguments")]
    _parsed_arguments: IgnoredAny,
    /// Items of other types are refused by their `type`; their fields are ignored here.
    #[serde(default, rename = "input")]
    _input: IgnoredAny,
}

/// A part of an item. The required fields depend on `type`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::dialect) struct PartBody<'a> {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) text: Option<String>,
    #[serde(borrow)]
    pub(super) image_url: Option<Cow<'a, str>>,
    /// Fields of the parts of a response, which clients send back.
    #[serde(default, rename = "annotations")]
    _annotations: IgnoredAny,
    #[serde(default, rename = "logprobs")]
    _logprobs: IgnoredAny,
    /// The text as a value, which the `parse` methods of OpenAI's SDKs add.
    #[serde(default, rename = "parsed")]
    _parsed: IgnoredAny,
    /// The detail level, which these models do not support.
    #[serde(default, rename = "detail")]
    _detail: IgnoredAny,
    /// Parts of other types are refused by their `type`; their fields are ignored here.
    #[serde(default, rename = "file_id")]
    _file_id: IgnoredAny,
    #[serde(default, rename = "file_data")]
    _file_data: IgnoredAny,
    #[serde(default, rename = "file_url")]
    _file_url: IgnoredAny,
    #[serde(default, rename = "filename")]
    _filename: IgnoredAny,
    #[serde(default, rename = "refusal")]
    _refusal: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::dialect) struct ToolBody {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) parameters: Option<Box<RawValue>>,
    pub(super) strict: Option<bool>,
    /// Fields of other types of tools, which are refused by their `type`.
    #[serde(default, rename = "format")]
    _format: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::dialect) struct ToolChoiceBody {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) name: Option<String>,
    #[serde(default, rename = "mode")]
    _mode: IgnoredAny,
    #[serde(default, rename = "tools")]
    _tools: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::dialect) struct TextBody {
    pub(super) format: Option<FormatBody>,
    pub(super) verbosity: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::dialect) struct FormatBody {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) schema: Option<Box<RawValue>>,
    pub(super) strict: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::dialect) struct ReasoningBody {
    pub(super) effort: Option<String>,
    /// A summary of the reasoning, which no model of this server writes.
    #[serde(default, rename = "summary")]
    _summary: IgnoredAny,
    #[serde(default, rename = "generate_summary")]
    _generate_summary: IgnoredAny,
}
