//! What answers a chat: one trait, and the model in this process behind it.
//!
//! The HTTP side knows only this file. It hands over messages whose images are
//! pixels, never a URL or a path, and reads a stream of text back. Whoever drops
//! the [`Generation`] has left: the backend stops the model and frees its place.

use std::{fmt, pin::Pin, time::Duration};

use futures_util::{Stream, future::BoxFuture};
use image::DynamicImage;
use stockade_core::context::RequestContext;

mod mistralrs;

pub use self::mistralrs::{Device, MistralRs, MistralRsConfig, ModelSource, Quantise};

/// Answers chats. Cheap to share: the server keeps it behind an `Arc`.
pub trait Backend: Send + Sync + 'static {
    /// What `/health` and `/v1/models` say. Never blocks.
    fn status(&self) -> Status;

    /// How many chats run, and how many wait, for `/metrics`; `None` if the backend cannot
    /// say. Never blocks.
    fn load(&self) -> Option<Load> {
        None
    }

    /// Takes a place in the bounded queue, waits for the model, starts it.
    ///
    /// Resolves when generation has begun. Dropping the future gives the place back.
    ///
    /// Reports to [`ChatRequest::meter`] while the model works: the prompt when the model
    /// begins to read it, and each token when it is made. A client that leaves, or a time
    /// limit, drops the future or the [`Generation`]; then what was reported is charged.
    ///
    /// # Errors
    /// See [`BackendError`]: not ready, queue full, or a request this model cannot take.
    fn chat(&self, request: ChatRequest) -> BoxFuture<'static, Result<Generation, BackendError>>;
}

/// The backend at one moment.
#[derive(Clone, Debug)]
pub struct Status {
    /// Whether a chat would be taken now.
    pub phase: Phase,
    /// The name clients use in `model`.
    pub model: String,
    /// `cpu`, `cuda:0`, …
    pub device: String,
}

/// How much a backend has to do at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Chats that the model answers.
    pub running: usize,
    /// Chats that wait for it.
    pub waiting: usize,
}

/// Where the model is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Weights are being read; the text says how far.
    Loading(String),
    /// Chats are taken.
    Ready,
    /// Loading failed, or the engine died; the text is fit for `/health`: one line,
    /// what happened and how to mend it.
    Failed(String),
}

/// A chat, parsed and checked as far as no model is needed for it.
#[derive(Clone, Debug)]
pub struct ChatRequest {
    /// Oldest first; never empty.
    pub messages: Vec<Message>,
    /// How the next token is chosen, and when to stop.
    pub sampling: Sampling,
    /// Counts the tokens of this chat while the model works.
    pub meter: UsageMeter,
}

/// Counts the tokens of one chat while the model works, for its budget and its record.
#[derive(Clone, Debug, Default)]
pub struct UsageMeter(Option<RequestContext>);

impl UsageMeter {
    /// A meter for this request. It begins at zero: nothing is charged before the model
    /// begins to read the prompt.
    pub fn start(context: &RequestContext) -> Self {
        let meter = Self(Some(context.clone()));
        meter.report(Usage::default());
        meter
    }

    /// Reports the tokens so far. Reports that come after the response has ended are
    /// ignored.
    pub fn report(&self, usage: Usage) {
        if let Some(context) = &self.0 {
            let count = |tokens| u64::try_from(tokens).unwrap_or(u64::MAX);
            context.set_usage(stockade_core::llm::TokenUsage {
                prompt_tokens: count(usage.prompt_tokens),
                completion_tokens: count(usage.completion_tokens),
            });
        }
    }

    /// The model has failed: reports what was delivered by then, and nothing after it. The
    /// prompt is part of it if any of the answer was delivered.
    pub(crate) fn fail(&self, delivered: u64) {
        let Some(context) = &self.0 else { return };
        let used = context.usage().unwrap_or_default();
        let delivered = delivered.min(used.completion_tokens);
        context.set_usage(stockade_core::llm::TokenUsage {
            prompt_tokens: if delivered > 0 { used.prompt_tokens } else { 0 },
            completion_tokens: delivered,
        });
        context.final_usage();
    }
}

/// One message of a chat.
#[derive(Clone, Debug)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// Its text parts, joined.
    pub text: String,
    /// Its images, decoded.
    pub images: Vec<DynamicImage>,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Instructions (`system`, `developer`).
    System,
    /// The client.
    User,
    /// The model.
    Assistant,
}

/// How tokens are chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// At most this many tokens are made.
    pub max_tokens: usize,
    /// 0 is greedy; at most 2.
    pub temperature: f64,
    /// Nucleus mass in `(0, 1]`; 1 keeps all tokens.
    pub top_p: f64,
    /// The same seed, request and model give the same text.
    pub seed: Option<u64>,
    /// Generation ends before the first of these; they are not part of the text.
    pub stop: Vec<String>,
}

/// A running answer. Dropping it cancels the model's work.
pub type Generation = Pin<Box<dyn Stream<Item = Result<Event, BackendError>> + Send>>;

/// What a running answer yields: text any number of times, then one `Done`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// More text, never empty, whole characters.
    Text(String),
    /// The end; nothing follows.
    Done {
        /// Why it ended.
        finish: FinishReason,
        /// What it cost.
        usage: Usage,
    },
}

/// Why generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// The model's end token, or a stop string.
    Stop,
    /// `max_tokens` or the context was used up.
    Length,
}

/// Tokens of one chat, in the model's own count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the messages, image tokens included.
    pub prompt_tokens: usize,
    /// Tokens that were made.
    pub completion_tokens: usize,
}

/// Why a chat has no answer, or lost it on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BackendError {
    /// The model is not loaded yet; ask again later.
    Loading,
    /// The model could not be loaded or has died; `/health` says why.
    Failed,
    /// Every place in the queue is taken; ask again after this long.
    QueueFull {
        /// At least a second.
        retry_after: Duration,
    },
    /// This model cannot take this request.
    Invalid {
        /// The request's field, as a JSON path: `messages[0].content[1]`.
        param: String,
        /// What is wrong and how to mend it.
        message: String,
    },
    /// The engine gave up in the middle; the cause is in the log.
    Engine,
}

impl fmt::Display for BackendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loading => f.write_str("the model is still being loaded"),
            Self::Failed => f.write_str("the model is not available"),
            Self::QueueFull { .. } => f.write_str("the model's queue is full"),
            Self::Invalid { param, message } => write!(f, "{param}: {message}"),
            Self::Engine => f.write_str("the model failed while answering"),
        }
    }
}

impl std::error::Error for BackendError {}
