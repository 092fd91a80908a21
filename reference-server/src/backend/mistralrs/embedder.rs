//! A loaded embedding model: its properties, and its engine.

use mistralrs::{
    Constraint, Model, NormalRequest, Request, RequestMessage, Response, SamplingParams,
};
use tokenizers::Tokenizer;
use tokio::sync::mpsc;

use super::{
    BackendError,
    engine::{self, EngineHandle},
    matryoshka::Matryoshka,
    quirks,
};
use crate::embedding::{EmbeddingInput, EmbeddingRequest};

/// The maximum number of tokens of an input, which is OpenAI's: the memory for attention grows with
/// its square.
const MAX_INPUT_TOKENS: usize = 8_192;

/// The maximum number of tokens of all inputs of a request, which is OpenAI's.
const MAX_TOTAL_TOKENS: usize = 300_000;

/// A loaded embedding model. Dropping the last reference stops the engine's thread and frees the
/// weights.
pub(super) struct Embedder {
    handle: EngineHandle,
    pub(super) info: EmbedderInfo,
}

/// The properties of a loaded embedding model.
pub(super) struct EmbedderInfo {
    /// Whether the model runs on the CPU.
    pub(super) on_cpu: bool,
    /// The context length, in tokens.
    pub(super) context: usize,
    /// The number of token ids.
    pub(super) vocabulary: usize,
    pub(super) matryoshka: Matryoshka,
    /// Encodes control tokens like any other text.
    pub(super) tokenizer: Tokenizer,
}

impl EmbedderInfo {
    /// The maximum number of tokens of an input.
    pub(super) fn max_tokens(&self) -> usize {
        self.context.min(MAX_INPUT_TOKENS)
    }

    /// The tokens of the inputs, at most as many as the model supports.
    ///
    /// # Errors
    /// Returns [`BackendError::Invalid`] with the input if it has too few or too many tokens, or
    /// unknown ones.
    pub(super) fn tokens(&self, request: EmbeddingRequest) -> Result<Vec<Vec<u32>>, BackendError> {
        let params: Vec<_> = (0..request.inputs.len())
            .map(|at| request.param(at))
            .collect();
        let mut total = 0;
        let mut all = Vec::with_capacity(params.len());
        for (input, param) in request.inputs.into_iter().zip(params) {
            let ids = match input {
                EmbeddingInput::Tokens(ids) => ids,
                EmbeddingInput::Text(text) => self.encode(text)?,
            };
            self.check(&ids, &param)?;
            total += ids.len();
            if total > MAX_TOTAL_TOKENS {
                let text = format!(
                    "the inputs have more than {MAX_TOTAL_TOKENS} tokens together: send them in \
                     several requests"
                );
                return invalid("input", text);
            }
            all.push(ids);
        }
        Ok(all)
    }

    /// The tokens of a text, with those that the model adds.
    pub(super) fn encode(&self, text: String) -> Result<Vec<u32>, BackendError> {
        let encoding = self.tokenizer.encode_fast(text, true).map_err(|error| {
            engine::log("tokenizer", &error.to_string());
            BackendError::Engine
        })?;
        Ok(encoding.get_ids().to_vec())
    }

    fn check(&self, ids: &[u32], param: &str) -> Result<(), BackendError> {
        let (count, max) = (ids.len(), self.max_tokens());
        if count > max {
            let text = format!(
                "it has {count} tokens, but this model supports {max}: split or shorten it"
            );
            return invalid(param, text);
        }
        if count < quirks::MIN_EMBEDDED_TOKENS {
            let min = quirks::MIN_EMBEDDED_TOKENS;
            let text = format!("it has {count} tokens, but this model needs at least {min}");
            return invalid(param, text);
        }
        let is_unknown = |id: &u32| usize::try_from(*id).map_or(true, |id| id >= self.vocabulary);
        match ids.iter().position(is_unknown) {
            Some(at) => {
                let text = format!("the token ids of this model end at {}", self.vocabulary - 1);
                invalid(format!("{param}[{at}]"), text)
            }
            None => Ok(()),
        }
    }
}

impl Embedder {
    /// Wraps a loaded model.
    ///
    /// # Errors
    /// Returns an error if the engine has already died.
    pub(super) fn new(
        model: Model,
        info: EmbedderInfo,
    ) -> Result<Self, mistralrs::core::MistralRsError> {
        let handle = EngineHandle::new(model)?;
        Ok(Self { handle, info })
    }

    /// Resolves when the engine has died.
    pub(super) async fn died(&self) {
        self.handle.died().await;
    }

    /// Starts to embed the tokens of an input. The caller must read all replies.
    ///
    /// # Errors
    /// Returns [`BackendError::Engine`] if the engine has died.
    pub(super) async fn start(
        &self,
        tokens: Vec<u32>,
    ) -> Result<mpsc::Receiver<Response>, BackendError> {
        let (response, replies) = mpsc::channel(8);
        let request = NormalRequest {
            messages: RequestMessage::EmbeddingTokens { prompt: tokens },
            sampling_params: SamplingParams::neutral(),
            response,
            return_logprobs: false,
            is_streaming: quirks::STREAMS,
            id: self.handle.next_id(),
            constraint: Constraint::None,
            suffix: None,
            tools: None,
            tool_choice: None,
            logits_processors: None,
            return_raw_logits: false,
            web_search_options: None,
            model_id: None,
            truncate_sequence: false,
        };
        self.handle.send(Request::Normal(Box::new(request))).await?;
        Ok(replies)
    }

    /// Reads all replies to an input; returns its vector.
    ///
    /// # Errors
    /// Returns [`BackendError::Engine`] if the engine has failed or died, or
    /// [`BackendError::Stuck`] if it has been given up.
    pub(super) async fn vector(
        &self,
        replies: mpsc::Receiver<Response>,
    ) -> Result<Vec<f32>, BackendError> {
        // A task of its own, because the engine panics without a receiver (see `quirks`).
        let vector = tokio::spawn(read_vector(replies));
        tokio::select! {
            vector = vector => vector.unwrap_or(Err(BackendError::Engine)),
            () = self.handle.given_up() => Err(BackendError::Stuck),
        }
    }

    /// Ends all requests of an engine that is stuck.
    pub(super) fn give_up(&self) {
        self.handle.give_up();
    }
}

/// Reads all replies to an input; returns its vector.
async fn read_vector(mut replies: mpsc::Receiver<Response>) -> Result<Vec<f32>, BackendError> {
    let mut vector = None;
    while let Some(reply) = replies.recv().await {
        match reply {
            Response::Embeddings { embeddings, .. } => vector = Some(embeddings),
            Response::CompletionModelError(error, _) | Response::ModelError(error, _) => {
                engine::log("embedding", &error);
            }
            Response::InternalError(error) | Response::ValidationError(error) => {
                engine::log("embedding", &error.to_string());
            }
            // Other replies belong to requests that this backend does not send.
            _ => {}
        }
    }
    vector.ok_or(BackendError::Engine)
}

fn invalid<T>(param: impl Into<String>, message: String) -> Result<T, BackendError> {
    Err(BackendError::Invalid {
        param: param.into(),
        message,
    })
}
