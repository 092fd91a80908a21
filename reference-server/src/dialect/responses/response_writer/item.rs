//! The items of the output.

use crate::{
    chat::{Choice, TokenLogprob, ToolCall},
    dialect::{
        chat::token_bodies,
        responses::response_body::{EventBody, ItemBody, PartBody},
    },
};

/// An item of the output, and whether more of it may follow.
pub(super) struct Item {
    pub(super) kind: ItemKind,
    pub(super) is_open: bool,
}

pub(super) enum ItemKind {
    Message {
        text: String,
        logprobs: Vec<TokenLogprob>,
    },
    Reasoning(String),
    /// A call, with its index in the choice.
    Call(u32, ToolCall),
}

impl ItemKind {
    /// An empty message.
    pub(super) fn message() -> Self {
        Self::Message {
            text: String::new(),
            logprobs: Vec::new(),
        }
    }

    /// Whether a text or call of the other kind belongs to this item.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Message { .. }, Self::Message { .. })
            | (Self::Reasoning(_), Self::Reasoning(_)) => true,
            (Self::Call(one, _), Self::Call(two, _)) => one == two,
            _ => false,
        }
    }
}

impl Item {
    /// The items of a choice that is complete.
    pub(super) fn all(choice: &Choice) -> Vec<Self> {
        let reasoning =
            (!choice.reasoning.is_empty()).then(|| ItemKind::Reasoning(choice.reasoning.clone()));
        let has_text = !choice.text.is_empty() || choice.tool_calls.is_empty();
        let message = has_text.then(|| ItemKind::Message {
            text: choice.text.clone(),
            logprobs: choice.logprobs.clone(),
        });
        let calls = (0..).zip(&choice.tool_calls);
        let calls = calls.map(|(index, call)| ItemKind::Call(index, call.clone()));
        let kinds = reasoning.into_iter().chain(message).chain(calls);
        kinds
            .map(|kind| Self {
                kind,
                is_open: false,
            })
            .collect()
    }

    /// Adds to the text or the arguments.
    pub(super) fn push(&mut self, more: &str, more_logprobs: Vec<TokenLogprob>) {
        match &mut self.kind {
            ItemKind::Message { text, logprobs } => {
                text.push_str(more);
                logprobs.extend(more_logprobs);
            }
            ItemKind::Reasoning(text) => text.push_str(more),
            ItemKind::Call(_, call) => call.arguments.push_str(more),
        }
    }

    /// The id of the item at this index of the output.
    pub(super) fn id(&self, request_id: &str, at: usize) -> String {
        let prefix = match self.kind {
            ItemKind::Message { .. } => "msg",
            ItemKind::Reasoning(_) => "rs",
            ItemKind::Call(..) => "fc",
        };
        format!("{prefix}_{request_id}_{at}")
    }

    /// The item as far as it has been generated.
    pub(super) fn body(&self, request_id: &str, at: usize) -> ItemBody<'_> {
        let id = self.id(request_id, at);
        let status = if self.is_open {
            "in_progress"
        } else {
            "completed"
        };
        match &self.kind {
            ItemKind::Message { text, logprobs } => ItemBody::Message {
                id,
                status,
                role: "assistant",
                content: vec![PartBody::text(text, logprobs)],
            },
            ItemKind::Reasoning(text) => ItemBody::Reasoning {
                id,
                status,
                summary: [],
                content: vec![PartBody::ReasoningText { text }],
            },
            ItemKind::Call(_, call) => ItemBody::FunctionCall {
                id,
                status,
                call_id: &call.id,
                name: &call.name,
                arguments: &call.arguments,
            },
        }
    }

    /// The item when it starts: its parts follow.
    pub(super) fn added(&self, request_id: &str, at: usize) -> ItemBody<'_> {
        let mut body = self.body(request_id, at);
        if let ItemBody::Message { content, .. } | ItemBody::Reasoning { content, .. } = &mut body {
            content.clear();
        }
        body
    }

    /// The events of its end.
    pub(super) fn done(&self, request_id: &str, at: usize) -> Vec<EventBody<'_>> {
        let item_id = self.id(request_id, at);
        let mut events = match &self.kind {
            ItemKind::Message { text, logprobs } => vec![
                EventBody::TextDone {
                    item_id: item_id.clone(),
                    output_index: at,
                    content_index: 0,
                    text,
                    logprobs: token_bodies(logprobs),
                },
                EventBody::PartDone {
                    item_id,
                    output_index: at,
                    content_index: 0,
                    part: PartBody::text(text, logprobs),
                },
            ],
            ItemKind::Reasoning(text) => vec![EventBody::ReasoningDone {
                item_id,
                output_index: at,
                content_index: 0,
                text,
            }],
            ItemKind::Call(_, call) => vec![EventBody::ArgumentsDone {
                item_id,
                output_index: at,
                name: &call.name,
                arguments: &call.arguments,
            }],
        };
        events.push(EventBody::ItemDone {
            output_index: at,
            item: self.body(request_id, at),
        });
        events
    }
}
