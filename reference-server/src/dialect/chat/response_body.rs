//! OpenAI's objects that chat completions share with completions.

use serde::Serialize;
use stockade_core::refusal::Refusal;

use crate::chat::{FinishReason, ImageReport, TokenLogprob, TopLogprob, Usage};

#[derive(Serialize)]
pub(in crate::dialect) struct UsageBody {
    prompt_tokens: usize,
    completion_tokens: usize,
    total_tokens: usize,
    prompt_tokens_details: PromptDetails,
    completion_tokens_details: CompletionDetails,
}

#[derive(Serialize)]
struct PromptDetails {
    cached_tokens: usize,
    #[serde(skip_serializing_if = "is_zero")]
    image_tokens: usize,
}

#[derive(Serialize)]
struct CompletionDetails {
    reasoning_tokens: usize,
}

impl From<Usage> for UsageBody {
    fn from(usage: Usage) -> Self {
        Self {
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
            total_tokens: usage.prompt_tokens + usage.completion_tokens,
            prompt_tokens_details: PromptDetails {
                cached_tokens: usage.cached_tokens,
                image_tokens: usage.image_tokens,
            },
            completion_tokens_details: CompletionDetails {
                reasoning_tokens: usage.reasoning_tokens,
            },
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
pub(in crate::dialect) fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// What only this server reports.
#[derive(Serialize)]
pub(super) struct StockadeBody {
    /// The sizes of the images that the model sees.
    images: Vec<SizeBody>,
    #[serde(skip_serializing_if = "is_zero")]
    dropped_images: usize,
    /// The space of coordinates in the answer.
    coordinates: &'static str,
}

#[derive(Serialize)]
struct SizeBody {
    width: u32,
    height: u32,
}

impl From<&ImageReport> for StockadeBody {
    fn from(report: &ImageReport) -> Self {
        let size = |size: &crate::chat::ImageSize| SizeBody {
            width: size.width,
            height: size.height,
        };
        Self {
            images: report.sizes.iter().map(size).collect(),
            dropped_images: report.dropped,
            coordinates: if report.maps_coordinates {
                "original"
            } else {
                "model"
            },
        }
    }
}

/// OpenAI's name of a finish reason.
pub(in crate::dialect) fn finish_reason(finish: &FinishReason) -> &'static str {
    match finish {
        FinishReason::Stop | FinishReason::StopSequence(_) => "stop",
        FinishReason::Length => "length",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::ContentFilter => "content_filter",
    }
}

/// The log probabilities of a text.
#[derive(Serialize)]
pub(in crate::dialect) struct LogprobsBody<'a> {
    content: Vec<TokenBody<'a>>,
    refusal: Option<()>,
}

/// The log probability of a token.
#[derive(Serialize)]
pub(in crate::dialect) struct TokenBody<'a> {
    #[serde(flatten)]
    token: TopBody<'a>,
    top_logprobs: Vec<TopBody<'a>>,
}

#[derive(Serialize)]
struct TopBody<'a> {
    token: &'a str,
    logprob: f64,
    bytes: &'a [u8],
}

/// The log probabilities of tokens.
pub(in crate::dialect) fn token_bodies(tokens: &[TokenLogprob]) -> Vec<TokenBody<'_>> {
    tokens.iter().map(TokenBody::from).collect()
}

impl<'a> LogprobsBody<'a> {
    pub(in crate::dialect) fn new(tokens: &'a [TokenLogprob]) -> Self {
        Self {
            content: token_bodies(tokens),
            refusal: None,
        }
    }
}

impl<'a> From<&'a TokenLogprob> for TokenBody<'a> {
    fn from(logprob: &'a TokenLogprob) -> Self {
        Self {
            token: TopBody::from(&logprob.token),
            top_logprobs: logprob.top.iter().map(TopBody::from).collect(),
        }
    }
}

impl<'a> From<&'a TopLogprob> for TopBody<'a> {
    fn from(logprob: &'a TopLogprob) -> Self {
        Self {
            token: &logprob.text,
            // JSON has no infinity; OpenAI writes this for impossible tokens.
            logprob: logprob.logprob.max(-9_999.0),
            bytes: &logprob.bytes,
        }
    }
}

/// `{"error": {…}}`, for a stream that has started.
#[derive(Serialize)]
pub(in crate::dialect) struct ErrorBody<'a> {
    error: ErrorFields<'a>,
}

#[derive(Serialize)]
struct ErrorFields<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    param: Option<&'a str>,
    code: &'static str,
}

impl<'a> From<&'a Refusal> for ErrorBody<'a> {
    fn from(refusal: &'a Refusal) -> Self {
        Self {
            error: ErrorFields {
                message: refusal.message(),
                kind: refusal.kind().openai_type(),
                param: refusal.param(),
                code: refusal.code(),
            },
        }
    }
}
