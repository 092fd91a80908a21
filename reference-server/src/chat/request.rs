//! A chat request.

use http::HeaderMap;
use serde_json::value::RawValue;

use super::{ImagePixels, Message};

/// A chat, validated as far as that needs no model.
#[derive(Clone, Debug)]
pub struct ChatRequest {
    /// The messages, oldest first; empty only with a raw prompt.
    pub messages: Vec<Message>,
    /// A text to continue, without the chat template.
    pub raw_prompt: Option<String>,
    /// The tools that the model may call.
    pub tools: Vec<Tool>,
    /// Whether the model calls tools.
    pub tool_choice: ToolChoice,
    /// Whether the model may call several tools in one turn; `None` leaves it to the model.
    pub parallel_tool_calls: Option<bool>,
    /// The required form of the text.
    pub response_format: ResponseFormat,
    /// How tokens are sampled, and when generation stops.
    pub sampling: Sampling,
    /// The number of choices; at least 1.
    pub choices: u32,
    /// The number of alternatives to report for each token; `None` reports no log probabilities.
    pub top_logprobs: Option<u8>,
    /// How much a reasoning model thinks; `None` leaves it to the model.
    pub reasoning_effort: Option<ReasoningEffort>,
    /// The sizes of images that the request asks for, of a model with a rule for them.
    pub image_pixels: ImagePixels,
    /// The documented extensions of other servers that the request has, with their names. Only
    /// those that the backend [accepts](crate::backend::Backend::accepts_extension).
    pub extensions: Vec<(String, Box<RawValue>)>,
    /// The trace of the client, which an upstream continues: `traceparent` and `tracestate`.
    pub trace_headers: HeaderMap,
}

impl ChatRequest {
    /// Creates a request for one choice of text, without tools.
    pub fn new(messages: Vec<Message>, sampling: Sampling) -> Self {
        Self {
            messages,
            raw_prompt: None,
            tools: Vec::new(),
            tool_choice: ToolChoice::Auto,
            parallel_tool_calls: None,
            response_format: ResponseFormat::Text,
            sampling,
            choices: 1,
            top_logprobs: None,
            reasoning_effort: None,
            image_pixels: ImagePixels::default(),
            extensions: Vec::new(),
            trace_headers: HeaderMap::new(),
        }
    }

    /// Creates a request to continue a text.
    pub fn raw(prompt: impl Into<String>, sampling: Sampling) -> Self {
        Self {
            raw_prompt: Some(prompt.into()),
            ..Self::new(Vec::new(), sampling)
        }
    }
}

/// A tool that the model may call.
#[derive(Clone, Debug)]
pub struct Tool {
    /// The name.
    pub name: String,
    /// What the tool does, for the model.
    pub description: Option<String>,
    /// The JSON schema of the arguments; `None` for a tool without arguments.
    pub parameters: Option<Box<RawValue>>,
    /// Whether the arguments must match the schema.
    pub strict: bool,
}

/// Whether the model calls tools.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ToolChoice {
    /// The model decides.
    #[default]
    Auto,
    /// It calls none.
    None,
    /// It calls at least one.
    Required,
    /// It calls the tool with this name.
    Function(String),
}

/// The required form of the text.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum ResponseFormat {
    /// Any text.
    #[default]
    Text,
    /// A JSON object.
    JsonObject,
    /// JSON that matches a schema.
    JsonSchema {
        /// The name of the schema.
        name: String,
        /// What the schema describes, for the model.
        description: Option<String>,
        /// The schema; `None` permits any JSON.
        schema: Option<Box<RawValue>>,
        /// Whether the text must match the schema.
        strict: bool,
    },
}

/// How much a reasoning model thinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReasoningEffort {
    /// Not at all.
    None,
    /// As little as possible.
    Minimal,
    /// Little.
    Low,
    /// The default of most models.
    Medium,
    /// Much.
    High,
}

/// Sampling parameters. `None` is the default of the model or upstream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sampling {
    /// The maximum number of generated tokens.
    pub max_tokens: usize,
    /// From 0, which is greedy, to 2.
    pub temperature: Option<f64>,
    /// The nucleus mass in `(0, 1]`; 1 keeps all tokens.
    pub top_p: Option<f64>,
    /// The number of likeliest tokens to keep; 0 keeps all.
    pub top_k: Option<u32>,
    /// The minimum probability relative to the likeliest token, in `[0, 1]`.
    pub min_p: Option<f64>,
    /// Penalizes each occurrence of a token in the output, from -2 to 2.
    pub frequency_penalty: Option<f64>,
    /// Penalizes tokens that occur in the output, from -2 to 2.
    pub presence_penalty: Option<f64>,
    /// Divides the logits of tokens in the prompt and the output; greater than 0, 1 is neutral.
    pub repetition_penalty: Option<f64>,
    /// Added to the logits of tokens, from -100 to 100.
    pub logit_bias: Vec<(u32, f64)>,
    /// The same seed, request and model produce the same text.
    pub seed: Option<u64>,
    /// Stop sequences: generation ends before the first match, which is not part of the text.
    pub stop: Vec<String>,
}
