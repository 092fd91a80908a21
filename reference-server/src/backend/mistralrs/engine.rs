//! A loaded model: its facts, and the way to its engine.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use either::Either;
use mistralrs::{Constraint, Model, NormalRequest, Request, Response, SamplingParams};
// Not among what the SDK re-exports at its top.
use mistralrs::core::TokenizationRequest;
use tokenizers::Tokenizer;
use tokio::sync::mpsc;

use super::{
    BackendError,
    logits_processor::{EosTokens, LogitsProcessor},
    model_dir::Modality,
    prompt::Prompt,
    quirks,
};

/// A loaded model. The last owner's drop ends the engine's thread and frees the weights.
pub(super) struct Engine {
    _model: Model,
    requests: mpsc::Sender<Request>,
    next_id: AtomicUsize,
    pub(super) info: ModelInfo,
}

/// What the rest of the backend knows of the model.
pub(super) struct ModelInfo {
    pub(super) modality: Modality,
    /// The model runs on the CPU.
    pub(super) on_cpu: bool,
    /// Tokens of prompt and answer together.
    pub(super) context: usize,
    pub(super) eos_tokens: EosTokens,
    /// The texts that are control tokens to the tokenizer.
    pub(super) control_tokens: Vec<String>,
    /// How many pixels an image may have.
    pub(super) pixels: (u64, u64),
    /// An answer can be resumed (see `quirks::with_continuation`).
    pub(super) can_continue: bool,
    pub(super) tokenizer: Tokenizer,
}

impl Engine {
    /// # Errors
    /// The engine has died already.
    pub(super) fn new(
        model: Model,
        info: ModelInfo,
    ) -> Result<Self, mistralrs::core::MistralRsError> {
        let requests = model.inner().get_sender(None)?;
        Ok(Self {
            _model: model,
            requests,
            next_id: AtomicUsize::new(0),
            info,
        })
    }

    /// Resolves when the engine has died.
    pub(super) async fn died(&self) {
        self.requests.closed().await;
    }

    /// How many tokens the messages are, each image counted as one.
    ///
    /// # Errors
    /// [`BackendError::Engine`], or the model's template refuses the messages.
    pub(super) async fn count(&self, prompt: &Prompt) -> Result<usize, BackendError> {
        let (response, mut counted) = mpsc::channel(1);
        let request = Request::Tokenize(TokenizationRequest {
            text: Either::Left(prompt.messages()),
            tools: None,
            add_generation_prompt: true,
            add_special_tokens: true,
            enable_thinking: None,
            reasoning_effort: None,
            response,
        });
        let requests = self.requests.clone();
        // A task of its own, so that the count is taken even when the caller leaves: the
        // engine panics otherwise (see `quirks`).
        let count = tokio::spawn(async move {
            requests.send(request).await.ok()?;
            counted.recv().await
        });
        match count.await {
            Ok(Some(Ok(tokens))) => Ok(tokens.len()),
            Ok(Some(Err(error))) => {
                log("chat template", &error.to_string());
                Err(refused())
            }
            Ok(None) | Err(_) => Err(BackendError::Engine),
        }
    }

    /// Starts an answer of at most `max_tokens`. Read the replies to their last.
    ///
    /// # Errors
    /// [`BackendError::Engine`]: the engine has died.
    pub(super) async fn start(
        &self,
        prompt: &Prompt,
        prefix: Option<&str>,
        processor: Arc<LogitsProcessor>,
        max_tokens: usize,
    ) -> Result<mpsc::Receiver<Response>, BackendError> {
        // Room for each token's reply and the last words, so that the engine never waits.
        let (response, replies) = mpsc::channel(max_tokens.saturating_add(8).min(1 << 24));
        let request = NormalRequest {
            messages: prompt.to_request(prefix),
            sampling_params: SamplingParams {
                // No temperature would mean 1 here. `LogitsProcessor` leaves one token to choose.
                temperature: Some(0.0),
                max_len: Some(max_tokens),
                ..SamplingParams::neutral()
            },
            response,
            return_logprobs: false,
            is_streaming: quirks::STREAMS,
            id: self.next_id.fetch_add(1, Ordering::Relaxed),
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
        let request = Request::Normal(Box::new(request));
        let sent = self.requests.send(request).await;
        sent.map_err(|_| BackendError::Engine)?;
        Ok(replies)
    }

    /// Kills the engine by one of its own faults: it panics when nobody takes a count.
    #[cfg(test)]
    pub(super) async fn kill(&self) {
        let (response, nobody) = mpsc::channel(1);
        drop(nobody);
        let request = Request::Tokenize(TokenizationRequest {
            text: Either::Right("text".to_owned()),
            tools: None,
            add_generation_prompt: false,
            add_special_tokens: false,
            enable_thinking: None,
            reasoning_effort: None,
            response,
        });
        self.requests.send(request).await.unwrap();
        self.died().await;
    }
}

/// Writes down an error of the engine: its first line, for with `RUST_BACKTRACE` the rest
/// is a backtrace.
pub(super) fn log(what: &str, error: &str) {
    let error = error.lines().next().unwrap_or_default();
    tracing::warn!(what, error, "engine error");
}

/// The engine's own words stay in the log.
pub(super) fn refused() -> BackendError {
    BackendError::Invalid {
        param: "messages".to_owned(),
        message: "the model cannot take this conversation: let roles alternate between user and \
                  assistant, with at most one system message, at the start"
            .to_owned(),
    }
}
