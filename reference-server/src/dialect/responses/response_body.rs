//! The objects of responses.

mod event;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

pub(super) use event::EventBody;

use crate::{
    chat::{FinishReason, ResponseFormat, TokenLogprob, Tool, ToolChoice, Usage},
    dialect::chat::{TokenBody, is_zero, token_bodies},
};

/// A response. Fields of features that this server does not have are constant.
#[derive(Serialize)]
pub(super) struct ResponseBody<'a> {
    pub(super) id: &'a str,
    pub(super) object: &'static str,
    pub(super) created_at: u64,
    pub(super) status: &'static str,
    pub(super) background: bool,
    pub(super) error: Option<ErrorBody<'a>>,
    pub(super) incomplete_details: Option<IncompleteDetails>,
    pub(super) instructions: Option<&'a str>,
    pub(super) max_output_tokens: Option<u64>,
    pub(super) max_tool_calls: Option<()>,
    pub(super) metadata: Metadata<'a>,
    pub(super) model: &'a str,
    pub(super) output: Vec<ItemBody<'a>>,
    pub(super) parallel_tool_calls: bool,
    pub(super) previous_response_id: Option<()>,
    pub(super) reasoning: ReasoningBody<'a>,
    pub(super) service_tier: &'static str,
    pub(super) store: bool,
    pub(super) temperature: Option<f64>,
    pub(super) text: TextBody<'a>,
    pub(super) tool_choice: ToolChoiceBody<'a>,
    pub(super) tools: Vec<ToolBody<'a>>,
    pub(super) top_logprobs: u8,
    pub(super) top_p: Option<f64>,
    pub(super) truncation: &'static str,
    pub(super) usage: Option<UsageBody>,
    pub(super) user: Option<()>,
}

/// The metadata of the request, or an empty object.
pub(super) struct Metadata<'a>(pub(super) Option<&'a RawValue>);

impl Serialize for Metadata<'_> {
    fn serialize<S>(&self, serializer: S) -> Result<S::Ok, S::Error>
    where
        S: Serializer,
    {
        #[derive(Serialize)]
        struct Empty {}
        match self.0 {
            Some(metadata) => metadata.serialize(serializer),
            None => Empty {}.serialize(serializer),
        }
    }
}

#[derive(Serialize)]
pub(super) struct ErrorBody<'a> {
    pub(super) code: &'static str,
    pub(super) message: &'a str,
}

#[derive(Serialize)]
pub(super) struct IncompleteDetails {
    pub(super) reason: &'static str,
}

#[derive(Serialize)]
pub(super) struct ReasoningBody<'a> {
    pub(super) effort: Option<&'a str>,
    pub(super) summary: Option<()>,
}

/// Why a response is incomplete; `None` if it is complete.
pub(in crate::dialect) fn incomplete_reason(finish: &FinishReason) -> Option<&'static str> {
    match finish {
        FinishReason::Length => Some("max_output_tokens"),
        FinishReason::ContentFilter => Some("content_filter"),
        FinishReason::Stop | FinishReason::StopSequence(_) | FinishReason::ToolCalls => None,
    }
}

#[derive(Serialize)]
pub(super) struct TextBody<'a> {
    format: FormatBody<'a>,
    verbosity: &'static str,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum FormatBody<'a> {
    Text,
    JsonObject,
    JsonSchema {
        name: &'a str,
        description: Option<&'a str>,
        schema: Option<&'a RawValue>,
        strict: bool,
    },
}

impl<'a> From<&'a ResponseFormat> for TextBody<'a> {
    fn from(format: &'a ResponseFormat) -> Self {
        let format = match format {
            ResponseFormat::Text => FormatBody::Text,
            ResponseFormat::JsonObject => FormatBody::JsonObject,
            ResponseFormat::JsonSchema {
                name,
                description,
                schema,
                strict,
            } => FormatBody::JsonSchema {
                name,
                description: description.as_deref(),
                schema: schema.as_deref(),
                strict: *strict,
            },
        };
        Self {
            format,
            verbosity: "medium",
        }
    }
}

#[derive(Serialize)]
pub(super) struct ToolBody<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'a str,
    description: Option<&'a str>,
    parameters: Option<&'a RawValue>,
    strict: bool,
}

impl<'a> From<&'a Tool> for ToolBody<'a> {
    fn from(tool: &'a Tool) -> Self {
        Self {
            kind: "function",
            name: &tool.name,
            description: tool.description.as_deref(),
            parameters: tool.parameters.as_deref(),
            strict: tool.strict,
        }
    }
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum ToolChoiceBody<'a> {
    Mode(&'static str),
    Function {
        #[serde(rename = "type")]
        kind: &'static str,
        name: &'a str,
    },
}

impl<'a> From<&'a ToolChoice> for ToolChoiceBody<'a> {
    fn from(choice: &'a ToolChoice) -> Self {
        match choice {
            ToolChoice::Auto => Self::Mode("auto"),
            ToolChoice::None => Self::Mode("none"),
            ToolChoice::Required => Self::Mode("required"),
            ToolChoice::Function(name) => Self::Function {
                kind: "function",
                name,
            },
        }
    }
}

/// An item of the output.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ItemBody<'a> {
    Message {
        id: String,
        status: &'static str,
        role: &'static str,
        content: Vec<PartBody<'a>>,
    },
    FunctionCall {
        id: String,
        status: &'static str,
        call_id: &'a str,
        name: &'a str,
        arguments: &'a str,
    },
    Reasoning {
        id: String,
        status: &'static str,
        summary: [(); 0],
        content: Vec<PartBody<'a>>,
    },
}

/// A part of an item.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum PartBody<'a> {
    OutputText {
        text: &'a str,
        annotations: [(); 0],
        logprobs: Vec<TokenBody<'a>>,
    },
    ReasoningText {
        text: &'a str,
    },
}

impl<'a> PartBody<'a> {
    pub(super) fn text(text: &'a str, logprobs: &'a [TokenLogprob]) -> Self {
        Self::OutputText {
            text,
            annotations: [],
            logprobs: token_bodies(logprobs),
        }
    }
}

#[derive(Serialize)]
pub(super) struct UsageBody {
    input_tokens: usize,
    input_tokens_details: InputDetails,
    output_tokens: usize,
    output_tokens_details: OutputDetails,
    total_tokens: usize,
}

#[derive(Serialize)]
struct InputDetails {
    cached_tokens: usize,
    #[serde(skip_serializing_if = "is_zero")]
    image_tokens: usize,
    /// Required by OpenAI's schema; the caches of engines are not written on request.
    cache_write_tokens: usize,
}

#[derive(Serialize)]
struct OutputDetails {
    reasoning_tokens: usize,
}

impl From<Usage> for UsageBody {
    fn from(usage: Usage) -> Self {
        Self {
            input_tokens: usage.prompt_tokens,
            input_tokens_details: InputDetails {
                cached_tokens: usage.cached_tokens,
                image_tokens: usage.image_tokens,
                cache_write_tokens: 0,
            },
            output_tokens: usage.completion_tokens,
            output_tokens_details: OutputDetails {
                reasoning_tokens: usage.reasoning_tokens,
            },
            total_tokens: usage.prompt_tokens + usage.completion_tokens,
        }
    }
}
