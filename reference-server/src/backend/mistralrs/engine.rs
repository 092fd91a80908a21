//! A loaded model: its properties and its engine's request channel.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use either::Either;
#[cfg(test)]
use mistralrs::Tensor;
use mistralrs::{
    Constraint, CustomLogitsProcessor, Model, NormalRequest, Request, RequestMessage, Response,
    SamplingParams,
};
// Not re-exported at the root of the SDK.
use mistralrs::core::TokenizationRequest;
use tokenizers::Tokenizer;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    BackendError,
    generate::Thinking,
    grammar::GrammarFactory,
    image_limits::ImageLimits,
    logits_processor::{EosTokens, LogitsProcessor},
    model_dir::Modality,
    picture::CachedPictures,
    prompt::Prompt,
    quirks,
    reasoning::ReasoningSupport,
    reserved_text::ReservedText,
    think_filter,
    token_table::TokenTable,
    tool_prompt::ToolStyle,
};

/// A loaded model. Dropping the last reference stops the engine's thread and frees the weights.
pub(super) struct Engine {
    handle: EngineHandle,
    pub(super) info: ModelInfo,
    pub(super) cached_pictures: CachedPictures,
}

/// An engine's request channel. Dropping it stops the engine's thread.
pub(super) struct EngineHandle {
    _model: Model,
    requests: mpsc::Sender<Request>,
    next_id: AtomicUsize,
    given_up: CancellationToken,
}

impl EngineHandle {
    /// The channel of a loaded model.
    ///
    /// # Errors
    /// Returns an error if the engine has already died.
    pub(super) fn new(model: Model) -> Result<Self, mistralrs::core::MistralRsError> {
        let requests = model.inner().get_sender(None)?;
        Ok(Self {
            _model: model,
            requests,
            next_id: AtomicUsize::new(0),
            given_up: CancellationToken::new(),
        })
    }

    /// Ends all requests: the engine is stuck. Its thread ends after its current step.
    pub(super) fn give_up(&self) {
        self.given_up.cancel();
    }

    /// Resolves when the engine has been given up.
    pub(super) async fn given_up(&self) {
        self.given_up.cancelled().await;
    }

    /// The id of the next request.
    pub(super) fn next_id(&self) -> usize {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Sends a request.
    ///
    /// # Errors
    /// Returns [`BackendError::Engine`] if the engine has died.
    pub(super) async fn send(&self, request: Request) -> Result<(), BackendError> {
        let sent = self.requests.send(request).await;
        sent.map_err(|_| BackendError::Engine)
    }

    /// Resolves when the engine has died.
    pub(super) async fn died(&self) {
        self.requests.closed().await;
    }
}

/// The properties of a loaded model.
pub(super) struct ModelInfo {
    pub(super) modality: Modality,
    /// Whether the model runs on the CPU.
    pub(super) on_cpu: bool,
    /// The context length: tokens of prompt and completion together.
    pub(super) context: usize,
    pub(super) eos_tokens: EosTokens,
    /// Neutralises the texts of control tokens.
    pub(super) reserved: ReservedText,
    /// The limits of images; `None` for a text model.
    pub(super) images: Option<ImageLimits>,
    /// Whether a generation can be resumed (see `quirks::with_extensions`).
    pub(super) can_continue: bool,
    /// Whether the text is that of the engine's replies, because mistral.rs separates the channels
    /// of this model (Harmony, Gemma 4).
    pub(super) text_from_replies: bool,
    /// Whether the text starts with the reasoning, between tags.
    pub(super) thinks: bool,
    /// What the chat template reads about the reasoning.
    pub(super) reasoning: ReasoningSupport,
    /// How tools reach the prompt.
    pub(super) tool_style: ToolStyle,
    pub(super) tokens: TokenTable,
    pub(super) grammars: GrammarFactory,
    /// Encodes control tokens like any other text.
    pub(super) tokenizer: Tokenizer,
}

impl Engine {
    /// Wraps a loaded model.
    ///
    /// # Errors
    /// Returns an error if the engine has already died.
    pub(super) fn new(
        model: Model,
        info: ModelInfo,
    ) -> Result<Self, mistralrs::core::MistralRsError> {
        let handle = EngineHandle::new(model)?;
        Ok(Self {
            handle,
            info,
            cached_pictures: CachedPictures::default(),
        })
    }

    /// Resolves when the engine has died.
    pub(super) async fn died(&self) {
        self.handle.died().await;
    }

    /// Ends all requests of an engine that is stuck.
    pub(super) fn give_up(&self) {
        self.handle.give_up();
    }

    /// Resolves when the engine has been given up.
    pub(super) async fn given_up(&self) {
        self.handle.given_up().await;
    }

    /// The tokens of the messages, with one token for each image.
    ///
    /// # Errors
    /// Returns [`BackendError::Engine`] if the engine has died, or [`BackendError::Invalid`] if the
    /// chat template rejects the messages.
    pub(super) async fn tokenize(&self, prompt: &Prompt) -> Result<Vec<u32>, BackendError> {
        if let Some(tokens) = prompt.raw_tokens() {
            return Ok(tokens.to_vec());
        }
        let reasoning = prompt.reasoning();
        let (response, mut tokens) = mpsc::channel(1);
        let request = Request::Tokenize(TokenizationRequest {
            text: Either::Left(prompt.messages()),
            tools: None,
            add_generation_prompt: true,
            add_special_tokens: true,
            enable_thinking: reasoning.enabled,
            reasoning_effort: reasoning.effort,
            response,
        });
        let requests = self.handle.requests.clone();
        // A task of its own, so that the tokens are received even if the caller is dropped;
        // otherwise the engine panics (see `quirks`).
        let received = tokio::spawn(async move {
            requests.send(request).await.ok()?;
            tokens.recv().await
        });
        let received = tokio::select! {
            received = received => received,
            () = self.given_up() => return Err(BackendError::Stuck),
        };
        match received {
            Ok(Some(Ok(tokens))) => Ok(tokens),
            Ok(Some(Err(error))) => {
                log("chat template", &error.to_string());
                Err(refused())
            }
            Ok(None) | Err(_) => Err(BackendError::Engine),
        }
    }

    /// Whether the text after a prompt with these tokens starts with reasoning.
    pub(super) fn thinking(&self, prompt: &Prompt, tokens: &[u32]) -> Thinking {
        let info = &self.info;
        if !info.thinks || info.text_from_replies || prompt.raw_tokens().is_some() {
            return Thinking::None;
        }
        // The tag is short, and a token is at least one byte.
        let end = &tokens[tokens.len().saturating_sub(16)..];
        match info.tokenizer.decode(end, false) {
            Ok(text) if think_filter::is_open(&text) => Thinking::Open,
            _ => Thinking::Tags,
        }
    }

    /// Starts a generation of at most `max_tokens`. The caller must read all replies.
    ///
    /// # Errors
    /// Returns [`BackendError::Engine`] if the engine has died.
    pub(super) async fn start(
        &self,
        prompt: &Prompt,
        prefix: Option<&str>,
        processor: Arc<LogitsProcessor>,
        max_tokens: usize,
    ) -> Result<mpsc::Receiver<Response>, BackendError> {
        self.generate(prompt.to_request(prefix), processor, max_tokens)
            .await
    }

    pub(super) async fn generate(
        &self,
        messages: RequestMessage,
        processor: Arc<dyn CustomLogitsProcessor>,
        max_tokens: usize,
    ) -> Result<mpsc::Receiver<Response>, BackendError> {
        // Capacity for the replies of all tokens and the final ones: the engine never waits.
        let (response, replies) = mpsc::channel(max_tokens.saturating_add(8).min(1 << 24));
        let request = NormalRequest {
            messages,
            sampling_params: SamplingParams {
                // `None` would mean 1. `LogitsProcessor` leaves only one token to choose.
                temperature: Some(0.0),
                max_len: Some(max_tokens),
                ..SamplingParams::neutral()
            },
            response,
            return_logprobs: false,
            is_streaming: quirks::STREAMS,
            id: self.handle.next_id(),
            constraint: Constraint::None,
            suffix: None,
            tools: None,
            tool_choice: None,
            logits_processors: Some(vec![processor]),
            return_raw_logits: false,
            web_search_options: None,
            model_id: None,
            truncate_sequence: false,
        };
        self.handle.send(Request::Normal(Box::new(request))).await?;
        Ok(replies)
    }

    /// Blocks the engine's thread until the sender is dropped.
    #[cfg(test)]
    pub(super) async fn block(&self) -> std::sync::mpsc::Sender<()> {
        struct Blocker(std::sync::Mutex<std::sync::mpsc::Receiver<()>>);

        impl CustomLogitsProcessor for Blocker {
            fn apply(&self, logits: &Tensor, _: &[u32]) -> mistralrs::Result<Tensor> {
                // Fails when the sender is dropped.
                let _ = self.0.lock().unwrap().recv();
                Ok(logits.clone())
            }
        }

        let (sender, receiver) = std::sync::mpsc::channel();
        let blocker = Arc::new(Blocker(std::sync::Mutex::new(receiver)));
        let prompt = RequestMessage::CompletionTokens(vec![1, 2]);
        let replies = self.generate(prompt, blocker, 1).await.unwrap();
        quirks::read_to_end(replies);
        sender
    }

    /// Kills the engine with one of its faults: it panics if a count has no receiver.
    #[cfg(test)]
    pub(super) async fn kill(&self) {
        let (response, receiver) = mpsc::channel(1);
        drop(receiver);
        let request = Request::Tokenize(TokenizationRequest {
            text: Either::Right("text".to_owned()),
            tools: None,
            add_generation_prompt: false,
            add_special_tokens: false,
            enable_thinking: None,
            reasoning_effort: None,
            response,
        });
        self.handle.send(request).await.unwrap();
        self.died().await;
    }
}

/// Logs the first line of an engine error; with `RUST_BACKTRACE`, the rest is a backtrace.
pub(super) fn log(what: &str, error: &str) {
    let error = error.lines().next().unwrap_or_default();
    tracing::warn!(what, error, "engine error");
}

/// The refusal of messages that the engine rejects; the log has the engine's own error.
pub(super) fn refused() -> BackendError {
    BackendError::Invalid {
        param: "messages".to_owned(),
        message: "the model does not support this conversation: alternate between user and \
                  assistant messages, with at most one system message at the start"
            .to_owned(),
    }
}
