//! The objects of an upstream's responses. Unknown fields are ignored.

use serde::{Deserialize, de::IgnoredAny};

use crate::chat::{TokenLogprob, TopLogprob, Usage};

#[derive(Deserialize)]
pub(super) struct CompletionBody {
    #[serde(default)]
    pub(super) choices: Vec<ChoiceBody>,
    pub(super) usage: Option<UsageBody>,
    pub(super) error: Option<ErrorBody>,
}

#[derive(Deserialize)]
pub(super) struct ChoiceBody {
    #[serde(default)]
    pub(super) index: u32,
    pub(super) message: DeltaBody,
    pub(super) finish_reason: Option<String>,
    /// As vLLM writes it.
    pub(super) stop_reason: Option<StopBody>,
    /// As SGLang writes it.
    pub(super) matched_stop: Option<StopBody>,
    pub(super) logprobs: Option<LogprobsBody>,
}

#[derive(Deserialize)]
pub(super) struct ChunkBody {
    #[serde(default)]
    pub(super) choices: Vec<ChunkChoiceBody>,
    pub(super) usage: Option<UsageBody>,
    pub(super) error: Option<ErrorBody>,
}

#[derive(Deserialize)]
pub(super) struct ChunkChoiceBody {
    #[serde(default)]
    pub(super) index: u32,
    #[serde(default)]
    pub(super) delta: DeltaBody,
    pub(super) finish_reason: Option<String>,
    /// As vLLM writes it.
    pub(super) stop_reason: Option<StopBody>,
    /// As SGLang writes it.
    pub(super) matched_stop: Option<StopBody>,
    pub(super) logprobs: Option<LogprobsBody>,
}

/// What ended a choice: a stop sequence, or the id of a token.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum StopBody {
    Sequence(String),
    Other(IgnoredAny),
}

impl StopBody {
    pub(super) fn into_sequence(self) -> Option<String> {
        match self {
            Self::Sequence(stop) => Some(stop),
            Self::Other(_) => None,
        }
    }
}

/// A message, or the part of one that a chunk adds.
#[derive(Default, Deserialize)]
pub(super) struct DeltaBody {
    pub(super) content: Option<String>,
    pub(super) refusal: Option<String>,
    /// SGLang and llama.cpp write `reasoning_content`, Ollama `reasoning`, and some vLLM both.
    pub(super) reasoning: Option<String>,
    pub(super) reasoning_content: Option<String>,
    pub(super) tool_calls: Option<Vec<ToolCallBody>>,
}

#[derive(Deserialize)]
pub(super) struct ToolCallBody {
    pub(super) index: Option<u32>,
    pub(super) id: Option<String>,
    #[serde(default)]
    pub(super) function: FunctionBody,
}

#[derive(Default, Deserialize)]
pub(super) struct FunctionBody {
    pub(super) name: Option<String>,
    pub(super) arguments: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct LogprobsBody {
    content: Option<Vec<TokenBody>>,
}

#[derive(Deserialize)]
struct TokenBody {
    #[serde(flatten)]
    token: TopBody,
    #[serde(default)]
    top_logprobs: Vec<TopBody>,
}

#[derive(Deserialize)]
struct TopBody {
    token: String,
    bytes: Option<Vec<u8>>,
    logprob: f64,
}

impl LogprobsBody {
    pub(super) fn into_tokens(self) -> Vec<TokenLogprob> {
        let tokens = self.content.unwrap_or_default().into_iter();
        let tokens = tokens.map(|body| TokenLogprob {
            token: body.token.into(),
            top: body.top_logprobs.into_iter().map(TopBody::into).collect(),
        });
        tokens.collect()
    }
}

impl From<TopBody> for TopLogprob {
    fn from(body: TopBody) -> Self {
        Self {
            bytes: body.bytes.unwrap_or_else(|| body.token.as_bytes().to_vec()),
            text: body.token,
            logprob: body.logprob,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct UsageBody {
    #[serde(default)]
    prompt_tokens: usize,
    #[serde(default)]
    completion_tokens: usize,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
}

#[derive(Deserialize)]
struct PromptDetails {
    cached_tokens: Option<usize>,
}

#[derive(Deserialize)]
struct CompletionDetails {
    reasoning_tokens: Option<usize>,
}

impl From<UsageBody> for Usage {
    fn from(body: UsageBody) -> Self {
        let prompt = body.prompt_tokens_details;
        let completion = body.completion_tokens_details;
        Self {
            prompt_tokens: body.prompt_tokens,
            image_tokens: 0,
            completion_tokens: body.completion_tokens,
            cached_tokens: prompt
                .and_then(|details| details.cached_tokens)
                .unwrap_or(0),
            reasoning_tokens: completion
                .and_then(|details| details.reasoning_tokens)
                .unwrap_or(0),
            is_estimate: false,
        }
    }
}

/// An error: an object with a message, or a text.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum ErrorBody {
    Text(String),
    Object {
        #[serde(default)]
        message: String,
    },
}

impl ErrorBody {
    pub(super) fn message(&self) -> &str {
        match self {
            Self::Text(message) | Self::Object { message } => message,
        }
    }
}
