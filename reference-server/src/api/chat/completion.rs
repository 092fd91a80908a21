//! OpenAI's chat completion objects and chunks.

use std::time::SystemTime;

use serde::{Serialize, Serializer};
use stockade_core::context::RequestContext;

use crate::{
    api::unix_seconds,
    chat::{FinishReason, Usage},
};

/// The fields that all objects of a completion share.
#[derive(Clone, Debug, Serialize)]
pub(super) struct CompletionMeta {
    id: String,
    created: u64,
    model: String,
}

impl CompletionMeta {
    /// Creates the fields; the id is derived from the request's id.
    pub(super) fn new(context: &RequestContext, model: String) -> Self {
        Self {
            id: format!("chatcmpl-{}", context.id()),
            created: unix_seconds(SystemTime::now()),
            model,
        }
    }

    /// The completion object of a response that is not streamed.
    pub(super) fn completion<'a>(
        &'a self,
        text: &'a str,
        finish: FinishReason,
        usage: Usage,
    ) -> impl Serialize + 'a {
        Completion {
            object: "chat.completion",
            meta: self,
            choices: [Choice {
                index: 0,
                message: Some(AssistantMessage {
                    role: Some("assistant"),
                    content: Some(text),
                    refusal: None,
                }),
                delta: None,
                logprobs: (),
                finish_reason: Some(finish_reason(finish)),
            }],
            usage: UsageBody::from(usage),
        }
    }

    /// A chunk of a streamed completion.
    ///
    /// With `include_usage`, `usage` is `null`, as in OpenAI's chunks.
    pub(super) fn chunk<'a>(
        &'a self,
        kind: ChunkKind<'a>,
        include_usage: bool,
    ) -> impl Serialize + 'a {
        let (role, content, finish) = match kind {
            ChunkKind::Role => (Some("assistant"), Some(""), None),
            ChunkKind::Content(text) => (None, Some(text), None),
            ChunkKind::Finish(finish) => (None, None, Some(finish)),
        };
        Chunk {
            object: "chat.completion.chunk",
            meta: self,
            choices: vec![Choice {
                index: 0,
                message: None,
                delta: Some(Delta { role, content }),
                logprobs: (),
                finish_reason: finish.map(finish_reason),
            }],
            usage: include_usage.then_some(None),
        }
    }

    /// The chunk with the usage, which has no choices and follows all others.
    pub(super) fn usage_chunk(&self, usage: Usage) -> impl Serialize + '_ {
        Chunk {
            object: "chat.completion.chunk",
            meta: self,
            choices: Vec::new(),
            usage: Some(Some(UsageBody::from(usage))),
        }
    }
}

/// The kinds of chunks of a streamed completion: one with the role, then the content, then one
/// with the finish reason.
pub(super) enum ChunkKind<'a> {
    Role,
    Content(&'a str),
    Finish(FinishReason),
}

#[derive(Serialize)]
struct Completion<'a> {
    object: &'static str,
    #[serde(flatten)]
    meta: &'a CompletionMeta,
    choices: [Choice<'a>; 1],
    usage: UsageBody,
}

#[derive(Serialize)]
struct Chunk<'a> {
    object: &'static str,
    #[serde(flatten)]
    meta: &'a CompletionMeta,
    choices: Vec<Choice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<UsageBody>>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<AssistantMessage<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delta: Option<Delta<'a>>,
    #[serde(serialize_with = "null")]
    logprobs: (),
    finish_reason: Option<&'static str>,
}

#[derive(Serialize)]
struct AssistantMessage<'a> {
    role: Option<&'static str>,
    content: Option<&'a str>,
    refusal: Option<&'a str>,
}

#[derive(Serialize)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
}

#[derive(Serialize)]
struct UsageBody {
    prompt_tokens: usize,
    completion_tokens: usize,
    total_tokens: usize,
}

impl From<Usage> for UsageBody {
    fn from(usage: Usage) -> Self {
        Self {
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
            total_tokens: usage.prompt_tokens + usage.completion_tokens,
        }
    }
}

fn finish_reason(finish: FinishReason) -> &'static str {
    match finish {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::ContentFilter => "content_filter",
    }
}

fn null<S>(_value: &(), serializer: S) -> Result<S::Ok, S::Error>
where
    S: Serializer,
{
    serializer.serialize_none()
}
