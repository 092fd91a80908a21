//! The events of a streamed response.

use serde::Serialize;

use super::{ItemBody, PartBody, ResponseBody};
use crate::dialect::chat::TokenBody;

/// The data of an event. The name of the event is its `type`.
#[derive(Serialize)]
#[serde(tag = "type")]
pub(in crate::dialect::responses) enum EventBody<'a> {
    #[serde(rename = "response.created")]
    Created { response: ResponseBody<'a> },
    #[serde(rename = "response.in_progress")]
    InProgress { response: ResponseBody<'a> },
    #[serde(rename = "response.completed")]
    Completed { response: ResponseBody<'a> },
    #[serde(rename = "response.incomplete")]
    Incomplete { response: ResponseBody<'a> },
    #[serde(rename = "response.failed")]
    Failed { response: ResponseBody<'a> },
    #[serde(rename = "response.output_item.added")]
    ItemAdded {
        output_index: usize,
        item: ItemBody<'a>,
    },
    #[serde(rename = "response.output_item.done")]
    ItemDone {
        output_index: usize,
        item: ItemBody<'a>,
    },
    #[serde(rename = "response.content_part.added")]
    PartAdded {
        item_id: String,
        output_index: usize,
        content_index: usize,
        part: PartBody<'a>,
    },
    #[serde(rename = "response.content_part.done")]
    PartDone {
        item_id: String,
        output_index: usize,
        content_index: usize,
        part: PartBody<'a>,
    },
    #[serde(rename = "response.output_text.delta")]
    TextDelta {
        item_id: String,
        output_index: usize,
        content_index: usize,
        delta: &'a str,
        logprobs: Vec<TokenBody<'a>>,
    },
    #[serde(rename = "response.output_text.done")]
    TextDone {
        item_id: String,
        output_index: usize,
        content_index: usize,
        text: &'a str,
        logprobs: Vec<TokenBody<'a>>,
    },
    #[serde(rename = "response.reasoning_text.delta")]
    ReasoningDelta {
        item_id: String,
        output_index: usize,
        content_index: usize,
        delta: &'a str,
    },
    #[serde(rename = "response.reasoning_text.done")]
    ReasoningDone {
        item_id: String,
        output_index: usize,
        content_index: usize,
        text: &'a str,
    },
    #[serde(rename = "response.function_call_arguments.delta")]
    ArgumentsDelta {
        item_id: String,
        output_index: usize,
        delta: &'a str,
    },
    #[serde(rename = "response.function_call_arguments.done")]
    ArgumentsDone {
        item_id: String,
        output_index: usize,
        name: &'a str,
        arguments: &'a str,
    },
}

impl EventBody<'_> {
    /// The name of the event.
    pub(in crate::dialect::responses) fn name(&self) -> &'static str {
        match self {
            Self::Created { .. } => "response.created",
            Self::InProgress { .. } => "response.in_progress",
            Self::Completed { .. } => "response.completed",
            Self::Incomplete { .. } => "response.incomplete",
            Self::Failed { .. } => "response.failed",
            Self::ItemAdded { .. } => "response.output_item.added",
            Self::ItemDone { .. } => "response.output_item.done",
            Self::PartAdded { .. } => "response.content_part.added",
            Self::PartDone { .. } => "response.content_part.done",
            Self::TextDelta { .. } => "response.output_text.delta",
            Self::TextDone { .. } => "response.output_text.done",
            Self::ReasoningDelta { .. } => "response.reasoning_text.delta",
            Self::ReasoningDone { .. } => "response.reasoning_text.done",
            Self::ArgumentsDelta { .. } => "response.function_call_arguments.delta",
            Self::ArgumentsDone { .. } => "response.function_call_arguments.done",
        }
    }
}
