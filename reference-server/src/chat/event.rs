//! The events of a generation.

use super::ImageReport;

/// An event of a generation: [`Images`](Self::Images) if it has images and runs in this process,
/// any number of texts and tool calls, a [`Finish`](Self::Finish) for each choice, then one
/// [`Done`](Self::Done).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// What the model sees of the images; ready when the generation has started.
    Images(ImageReport),
    /// More text; always whole characters.
    Text {
        /// The index of the choice.
        choice: u32,
        /// Empty only if there are log probabilities.
        text: String,
        /// The log probabilities of the tokens of the text, if the request asked for them.
        logprobs: Vec<TokenLogprob>,
    },
    /// More of the model's reasoning, which is not part of the answer.
    Reasoning {
        /// The index of the choice.
        choice: u32,
        /// Never empty.
        text: String,
    },
    /// The start of a tool call.
    ToolCall {
        /// The index of the choice.
        choice: u32,
        /// The index of the call in its choice.
        call: u32,
        /// The id of the call.
        id: String,
        /// The name of the tool.
        name: String,
    },
    /// More of the arguments of a tool call.
    ToolArguments {
        /// The index of the choice.
        choice: u32,
        /// The index of the call in its choice.
        call: u32,
        /// Never empty.
        text: String,
    },
    /// The end of a choice.
    Finish {
        /// The index of the choice.
        choice: u32,
        /// Why it ended.
        reason: FinishReason,
    },
    /// The end of the generation.
    Done(Usage),
}

impl Event {
    /// More text of the first choice, without log probabilities.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text {
            choice: 0,
            text: text.into(),
            logprobs: Vec::new(),
        }
    }
}

/// Why a choice ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FinishReason {
    /// The model's end token, or a stop sequence that the upstream does not name.
    Stop,
    /// This stop sequence of the request.
    StopSequence(String),
    /// `max_tokens` or the context length is exhausted, or the request timed out.
    Length,
    /// The model called tools.
    ToolCalls,
    /// A filter of the upstream removed text.
    ContentFilter,
}

/// The token usage of a chat, as the model's tokenizer counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the messages, including image tokens.
    pub prompt_tokens: usize,
    /// Generated tokens, including those of the reasoning.
    pub completion_tokens: usize,
    /// Prompt tokens of images, as far as the model runs in this process.
    pub image_tokens: usize,
    /// Prompt tokens that a cache had.
    pub cached_tokens: usize,
    /// Generated tokens of the reasoning.
    pub reasoning_tokens: usize,
    /// Whether the numbers are an estimate, because an upstream has not reported them.
    pub is_estimate: bool,
}

impl Usage {
    /// Creates the usage of a model without caches and reasoning.
    pub fn new(prompt_tokens: usize, completion_tokens: usize) -> Self {
        Self {
            prompt_tokens,
            completion_tokens,
            ..Self::default()
        }
    }
}

/// A generated token and its log probability.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenLogprob {
    /// The token and its log probability.
    pub token: TopLogprob,
    /// The likeliest tokens at this position.
    pub top: Vec<TopLogprob>,
}

/// A token that was or could have been generated.
#[derive(Clone, Debug, PartialEq)]
pub struct TopLogprob {
    /// The text of the token; not whole characters become `�`.
    pub text: String,
    /// The bytes of the token.
    pub bytes: Vec<u8>,
    /// The natural logarithm of its probability.
    pub logprob: f64,
}
