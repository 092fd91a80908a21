//! The interface between the HTTP API and the models.
//!
//! The API passes chats with inline images, never URLs or paths, and reads a stream of events
//! back. Dropping the [`Generation`] cancels it: the backend stops the model and releases the
//! slot.

use std::{fmt, future, pin::Pin, time::Duration};

use futures_util::{Stream, future::BoxFuture};
use serde::Serialize;
use stockade_core::{context::RequestContext, refusal::Refusal};

use crate::{
    chat::{ChatRequest, Event, Usage},
    embedding::{EmbeddingRequest, Embeddings},
    upstream::{GroupStatus, UpstreamGroup},
};

pub use crate::relay::RelayApi;

mod image_support;
#[cfg(feature = "mistralrs")]
mod mistralrs;
mod upstream;

pub use self::image_support::ImageSupport;
#[cfg(all(test, feature = "mistralrs"))]
pub(crate) use self::mistralrs::decode;
#[cfg(feature = "mistralrs")]
pub(crate) use self::mistralrs::metrics as engine_metrics;
#[cfg(feature = "mistralrs")]
pub use self::mistralrs::{Device, MistralRs, MistralRsConfig, ModelSource, Quantise};
pub use self::upstream::Upstream;

/// A model that answers chats or embeds texts. The server shares it in an `Arc`.
pub trait Backend: Send + Sync + 'static {
    /// The status for `/health` and `/v1/models`. Must not block.
    fn status(&self) -> Status;

    /// The number of running and waiting chats for `/metrics`, or `None` if the backend does not
    /// track them. Must not block.
    fn load(&self) -> Option<Load> {
        None
    }

    /// The upstreams to which requests of this API are relayed unchanged, if there are some.
    fn relay(&self, _api: RelayApi) -> Option<&UpstreamGroup> {
        None
    }

    /// The state of the upstreams; `None` for an engine.
    fn upstreams(&self) -> Option<GroupStatus> {
        None
    }

    /// Enters the bounded queue, waits for the model, and starts the generation.
    ///
    /// Resolves when the generation has started. Dropping the future leaves the queue.
    ///
    /// Reports to the meter while the model works: the prompt tokens when the prefill starts, and
    /// each token when it is generated. If the client disconnects or the deadline passes, the
    /// future or the [`Generation`] is dropped, and the reported usage is charged.
    ///
    /// # Errors
    /// Returns a [`BackendError`] if the model is not ready, the queue is full, or the model does
    /// not support the request.
    fn chat(
        &self,
        request: ChatRequest,
        meter: UsageMeter,
    ) -> BoxFuture<'static, Result<Generation, BackendError>>;

    /// Counts the prompt tokens of a chat, including those of its tools and images.
    ///
    /// # Errors
    /// Returns [`BackendError::Unsupported`] unless the backend can count tokens, and otherwise
    /// the errors of [`chat`](Self::chat).
    fn count_tokens(
        &self,
        _request: ChatRequest,
    ) -> BoxFuture<'static, Result<usize, BackendError>> {
        let error = BackendError::Unsupported {
            param: "count_tokens".to_owned(),
        };
        Box::pin(future::ready(Err(error)))
    }

    /// Enters the bounded queue, waits for the model, and embeds texts.
    ///
    /// Dropping the future leaves the queue or stops the model after the current text. Reports the
    /// prompt tokens to the meter when the model starts with them.
    ///
    /// # Errors
    /// Returns [`BackendError::UnsupportedApi`] unless it is an embedding model, and otherwise the
    /// errors of [`chat`](Self::chat).
    fn embed(
        &self,
        _request: EmbeddingRequest,
        _meter: UsageMeter,
    ) -> BoxFuture<'static, Result<Embeddings, BackendError>> {
        Box::pin(future::ready(Err(BackendError::UnsupportedApi)))
    }

    /// Whether the model has this API, as far as that is known: the refusal by another model names
    /// it.
    fn has_api(&self, api: RelayApi) -> bool {
        self.relay(api).is_some()
    }

    /// Whether the backend supports a field that another model does not, as far as that is known
    /// without the request: the refusal names the models that do.
    fn supports(&self, _param: &str) -> bool {
        false
    }

    /// Splits a text into tokens.
    ///
    /// # Errors
    /// Returns [`BackendError::Unsupported`] unless the backend can split texts, and otherwise an
    /// error if the model is not ready.
    fn tokenize(&self, _text: String) -> BoxFuture<'static, Result<Tokens, BackendError>> {
        let error = BackendError::Unsupported {
            param: "tokenize".to_owned(),
        };
        Box::pin(future::ready(Err(error)))
    }

    /// What the model does with images, once that is known; `None` if it takes none, or if a server
    /// elsewhere decides.
    fn images(&self) -> Option<ImageSupport> {
        None
    }

    /// Whether the model can be unloaded while the server runs.
    fn can_unload(&self) -> bool {
        false
    }

    /// Loads or unloads the model in the background, if it can be unloaded. Chats in progress
    /// complete.
    fn set_loaded(&self, _loaded: bool) {}

    /// Whether the field of another server's API, such as `chat_template_kwargs`, affects this
    /// backend. Others are listed in the response header `x-stockade-ignored`.
    fn accepts_extension(&self, _name: &str) -> bool {
        false
    }
}

/// The tokens of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// The ids of the tokens.
    pub ids: Vec<u32>,
    /// The context length of the model, in tokens.
    pub context: usize,
}

/// A snapshot of the backend's status.
#[derive(Clone, Debug)]
pub struct Status {
    /// Whether the backend accepts chats.
    pub phase: Phase,
    /// Where the model runs: `cpu`, `cuda:0`, `upstream`, …
    pub device: String,
    /// The bytes of the current stage of loading, if they are counted.
    pub bytes: Option<ByteProgress>,
    /// The memory that the model needs, if it runs in this process and its files have been read.
    pub memory: Option<MemoryReport>,
}

/// The progress of a stage of loading, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ByteProgress {
    /// How many are done.
    pub done: u64,
    /// How many there are.
    pub total: u64,
}

/// The memory that a model needs at its limits, and the memory that was available before it was
/// loaded, in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MemoryReport {
    /// All that it needs.
    pub needed: u64,
    /// The weights.
    pub weights: u64,
    /// The KV cache of all running chats.
    pub kv_cache: u64,
    /// The work on the images of a chat.
    pub images: u64,
    /// What was available on the device; `None` if it is unknown.
    pub available: Option<u64>,
}

/// A snapshot of the backend's load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// The number of chats that the model is answering.
    pub running: usize,
    /// The number of chats that are waiting for the model.
    pub waiting: usize,
    /// How long the model has been working for a client that has left, because it cannot be
    /// stopped.
    pub draining: Option<Duration>,
    /// How often the engine was restarted, because it was stuck or has died.
    pub restarts: u64,
}

/// The lifecycle phase of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// The model is loading; the text is the stage.
    Loading(String),
    /// The model accepts chats.
    Ready,
    /// Loading failed or the engine died; the text is one line with the cause and the remedy, for
    /// `/health/details`.
    Failed(String),
    /// The model is not loaded, at the request of an administrator.
    Unloaded,
}

/// Reports the token usage of a chat while the model works, for the token budget and the audit
/// record.
#[derive(Clone, Debug, Default)]
pub struct UsageMeter(Option<RequestContext>);

impl UsageMeter {
    /// Creates the meter of a request. It starts at zero: nothing is charged before the prefill
    /// starts.
    pub fn start(context: &RequestContext) -> Self {
        let meter = Self(Some(context.clone()));
        meter.report(Usage::default());
        meter
    }

    /// The context of the request; `None` for a chat of the server itself.
    pub(crate) fn context(&self) -> Option<&RequestContext> {
        self.0.as_ref()
    }

    /// Reports the usage so far. Reports after the end of the response are ignored.
    pub fn report(&self, usage: Usage) {
        if let Some(context) = &self.0 {
            let count = |tokens| u64::try_from(tokens).unwrap_or(u64::MAX);
            let tokens = stockade_core::llm::TokenUsage {
                prompt_tokens: count(usage.prompt_tokens),
                completion_tokens: count(usage.completion_tokens),
            };
            match usage.is_estimate {
                true => context.set_estimated_usage(tokens),
                false => context.set_usage(tokens),
            }
        }
    }

    /// The usage so far.
    pub(crate) fn usage(&self) -> Usage {
        let used = self.0.as_ref().and_then(RequestContext::usage);
        let used = used.unwrap_or_default();
        let count = |tokens| usize::try_from(tokens).unwrap_or(usize::MAX);
        Usage::new(count(used.prompt_tokens), count(used.completion_tokens))
    }

    /// Reports the final usage after a failure of the model: the tokens delivered until then, and
    /// the prompt if any token was delivered.
    pub(crate) fn fail(&self, delivered: u64) {
        let Some(context) = &self.0 else { return };
        let used = context.usage().unwrap_or_default();
        let delivered = delivered.min(used.completion_tokens);
        let charged = stockade_core::llm::TokenUsage {
            prompt_tokens: if delivered > 0 { used.prompt_tokens } else { 0 },
            completion_tokens: delivered,
        };
        match context.is_usage_estimated() {
            true => context.set_estimated_usage(charged),
            false => context.set_usage(charged),
        }
        context.final_usage();
    }
}

/// A running generation. Dropping it cancels the model's work.
pub type Generation = Pin<Box<dyn Stream<Item = Result<Event, BackendError>> + Send>>;

/// Why a chat failed, before or during generation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BackendError {
    /// The model is still loading; retry later.
    Loading,
    /// The model could not be loaded or has died; `/health/details` has the reason.
    Failed,
    /// An administrator has unloaded the model.
    Unloaded,
    /// The queue is full; retry after the given time.
    QueueFull {
        /// At least one second.
        retry_after: Duration,
    },
    /// The request waited in the queue for too long.
    QueueTimeout {
        /// At least one second.
        retry_after: Duration,
    },
    /// The request would take too long.
    TooCostly {
        /// The estimated time.
        estimate: Duration,
        /// The limit.
        limit: Duration,
    },
    /// The engine made no progress and is restarted.
    Stuck,
    /// The model does not support this request.
    Invalid {
        /// The path of the field, such as `messages[0].content[1]`.
        param: String,
        /// The problem and the remedy.
        message: String,
    },
    /// The model does not support this feature.
    Unsupported {
        /// The path of the field, such as `tools`.
        param: String,
    },
    /// The model does not have the API of the request: a chat model embeds no texts, and an
    /// embedding model answers no chats.
    UnsupportedApi,
    /// An image cannot be decoded.
    InvalidImage {
        /// The path of the image.
        param: String,
        /// The problem and the remedy.
        message: String,
    },
    /// The engine failed during generation; the log has the cause.
    Engine,
    /// An upstream failed or rejects the request.
    Upstream(Refusal),
}

impl fmt::Display for BackendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loading => f.write_str("the model is still loading"),
            Self::Failed => f.write_str("the model is not available"),
            Self::Unloaded => f.write_str("the model is not loaded"),
            Self::QueueFull { .. } => f.write_str("the model's queue is full"),
            Self::QueueTimeout { .. } => {
                f.write_str("the request waited for the model for too long")
            }
            Self::TooCostly { estimate, limit } => write!(
                f,
                "the request would take about {:.0} s of the model's time, and the limit is {:.0} \
                 s: use smaller images, a shorter prompt or fewer `max_tokens`",
                estimate.as_secs_f64().ceil(),
                limit.as_secs_f64()
            ),
            Self::Stuck => f.write_str("the model made no progress and is restarted"),
            Self::Invalid { param, message } | Self::InvalidImage { param, message } => {
                write!(f, "{param}: {message}")
            }
            Self::Unsupported { param } => {
                write!(f, "this model does not support `{param}`")
            }
            Self::UnsupportedApi => f.write_str("this model does not have this API"),
            Self::Engine => f.write_str("the model failed while answering"),
            Self::Upstream(refusal) => f.write_str(refusal.message()),
        }
    }
}

impl std::error::Error for BackendError {}
