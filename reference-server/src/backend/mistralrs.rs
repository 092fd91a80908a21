//! A backend that runs a model in this process with mistral.rs.
//!
//! 1. The model loads on a thread of its own; until it is ready, chats are refused with
//!    [`BackendError::Loading`]. If loading fails, [`Phase::Failed`] has the reason, and loading is
//!    retried with exponential backoff, so that a fixed model needs no restart.
//! 2. A bounded number of chats runs and a bounded number waits. Chats with images, and all chats
//!    on the CPU, run alone.
//! 3. Sampling, grammars, stop sequences, tool calls and token counts are implemented here, so that a
//!    seed produces the same text regardless of concurrent chats. The choices of a chat run one
//!    after the other, with consecutive seeds.
//! 4. Dropping a [`Generation`] stops the model after the current token. The slot is released when
//!    the engine has stopped.
//! 5. An embedding model embeds the inputs of a request one after the other.
//! 6. The model can be unloaded and loaded again. Its chats in progress complete before its memory
//!    is released; further ones are refused with [`BackendError::Unloaded`].
//! 7. If the engine dies, its chats fail with [`BackendError::Engine`] and it is loaded again.
//!
//! `panic = "abort"` must not be set, because mistral.rs panics on recoverable errors.

use std::{fmt, sync::Arc};

use futures_util::future::BoxFuture;
use stockade_server_config::{Coordinates, OlderImages};
use tokio::sync::watch;

use super::{
    Backend, BackendError, Generation, ImageSupport, Load, Phase, RelayApi, Status, Tokens,
    UsageMeter,
};
use crate::{
    blocking_pool::BlockingPool,
    chat::{ChatRequest, Event, FinishReason, Message, Part, Role, Usage},
    dialect::IMAGE_PIXELS_FIELD,
    embedding::{EmbeddingRequest, Embeddings},
};

mod activity;
mod admission;
mod calibrate;
mod chat;
mod checksum;
mod config;
mod constraint;
mod coordinates;
mod cost;
mod decode;
mod demand;
mod embed;
mod embedder;
mod embedding_dir;
mod engine;
mod generate;
mod gguf_dir;
mod grammar;
mod hub;
mod image;
mod image_limits;
mod loader;
mod logit_bias;
mod logits_processor;
mod logprobs;
mod matryoshka;
mod memory;
pub(crate) mod metrics;
mod model_dir;
mod model_files;
mod older_images;
mod output;
mod picture;
mod pipeline;
mod placement;
mod prompt;
mod quirks;
mod reasoning;
mod reserved_text;
mod sampler;
mod size_rule;
mod stop_filter;
mod supervise;
#[cfg(test)]
mod tests;
mod think_filter;
mod token_table;
mod tool_parser;
mod tool_prompt;
mod utf8_decoder;
mod validate;

pub use config::{Device, MistralRsConfig, ModelSource, Quantise};
#[cfg(test)]
pub(crate) use decode::decode;

use admission::Admission;
use embedder::Embedder;
use engine::Engine;
use metrics::EngineMetrics;
use supervise::{LoadedEngine, ModelTask, State};

/// A model that mistral.rs runs in this process.
#[derive(Clone)]
pub struct MistralRs {
    older_images: OlderImages,
    coordinates: Coordinates,
    state: watch::Receiver<State>,
    /// Whether the model shall be loaded.
    wanted: Arc<watch::Sender<bool>>,
    admission: Arc<Admission>,
    decode_pool: BlockingPool,
    grammar_pool: BlockingPool,
}

impl MistralRs {
    /// Starts to load the model, and returns immediately.
    #[must_use]
    pub fn start(config: MistralRsConfig) -> Self {
        let metrics = EngineMetrics::new(&config.name);
        let admission = Arc::new(Admission::new(config.queue_limits(), metrics));
        let wanted = Arc::new(watch::Sender::new(true));
        Self {
            older_images: config.older_images,
            coordinates: config.coordinates,
            admission: admission.clone(),
            decode_pool: BlockingPool::per_core(),
            grammar_pool: BlockingPool::per_core(),
            state: supervise::start(config, admission, wanted.subscribe()),
            wanted,
        }
    }

    /// Waits until the model has loaded or failed to load.
    pub async fn settled(&self) -> Phase {
        let mut state = self.state.clone();
        let settled = |state: &State| !matches!(state.phase, Phase::Loading(_));
        match state.wait_for(settled).await {
            Ok(state) => state.phase.clone(),
            // The supervisor has ended, so the state is final.
            Err(_) => self.state.borrow().phase.clone(),
        }
    }

    /// How many times a generation was resumed because of a fault of the engine.
    pub fn resumes(&self) -> u64 {
        self.admission.metrics.resumes()
    }

    fn engine(&self) -> Result<Arc<Engine>, BackendError> {
        match self.loaded()? {
            LoadedEngine::Chat(engine) => Ok(engine),
            LoadedEngine::Embedding(_) => Err(BackendError::UnsupportedApi),
        }
    }

    fn embedder(&self) -> Result<Arc<Embedder>, BackendError> {
        match self.loaded()? {
            LoadedEngine::Embedding(embedder) => Ok(embedder),
            LoadedEngine::Chat(_) => Err(BackendError::UnsupportedApi),
        }
    }

    fn loaded(&self) -> Result<LoadedEngine, BackendError> {
        let state = self.state.borrow();
        match (&state.phase, &state.engine) {
            (Phase::Ready, Some(engine)) => Ok(engine.clone()),
            (Phase::Failed(_), _) => Err(BackendError::Failed),
            (Phase::Unloaded, _) => Err(BackendError::Unloaded),
            _ => Err(BackendError::Loading),
        }
    }
}

impl fmt::Debug for MistralRs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MistralRs")
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

impl Backend for MistralRs {
    fn status(&self) -> Status {
        let state = self.state.borrow();
        Status {
            phase: state.phase.clone(),
            device: state.device.clone(),
            bytes: state.bytes,
            memory: state.memory.clone(),
        }
    }

    fn load(&self) -> Option<Load> {
        Some(self.admission.load())
    }

    fn chat(
        &self,
        request: ChatRequest,
        meter: UsageMeter,
    ) -> BoxFuture<'static, Result<Generation, BackendError>> {
        Box::pin(self.clone().answer(request, meter))
    }

    fn count_tokens(
        &self,
        request: ChatRequest,
    ) -> BoxFuture<'static, Result<usize, BackendError>> {
        Box::pin(self.clone().count(request))
    }

    fn images(&self) -> Option<ImageSupport> {
        let LoadedEngine::Chat(engine) = self.loaded().ok()? else {
            return None;
        };
        let sizes = engine.info.images?.sizes;
        Some(ImageSupport {
            resize: "smart_resize",
            factor: sizes.factor,
            min_pixels: sizes.min_pixels,
            max_pixels: sizes.max_pixels,
            max_images: quirks::MAX_IMAGES,
            older_images: self.older_images.name(),
            coordinates: self.coordinates.name(),
        })
    }

    fn can_unload(&self) -> bool {
        true
    }

    fn set_loaded(&self, loaded: bool) {
        self.wanted.send_replace(loaded);
    }

    fn accepts_extension(&self, name: &str) -> bool {
        name == IMAGE_PIXELS_FIELD && self.images().is_some()
    }

    fn supports(&self, param: &str) -> bool {
        param == "count_tokens" && self.has_api(RelayApi::CountTokens)
    }

    fn tokenize(&self, text: String) -> BoxFuture<'static, Result<Tokens, BackendError>> {
        let backend = self.clone();
        Box::pin(async move {
            let engine = backend.loaded()?;
            let encode = move || match engine {
                LoadedEngine::Chat(engine) => {
                    let encoding = engine.info.tokenizer.encode_fast(text, false);
                    let encoding = encoding.map_err(|_| BackendError::Engine)?;
                    Ok(Tokens {
                        ids: encoding.get_ids().to_vec(),
                        context: engine.info.context,
                    })
                }
                // With the tokens that the model adds, so that the ids have the same embedding.
                LoadedEngine::Embedding(embedder) => Ok(Tokens {
                    ids: embedder.info.encode(text)?,
                    context: embedder.info.max_tokens(),
                }),
            };
            let tokens = backend.decode_pool.run(encode).await;
            tokens.unwrap_or(Err(BackendError::Engine))
        })
    }

    fn embed(
        &self,
        request: EmbeddingRequest,
        meter: UsageMeter,
    ) -> BoxFuture<'static, Result<Embeddings, BackendError>> {
        Box::pin(self.clone().embeddings(request, meter))
    }

    fn has_api(&self, api: RelayApi) -> bool {
        match (self.state.borrow().task, api) {
            (Some(_), RelayApi::Tokenize) => true,
            (Some(ModelTask::Embedding), api) => api == RelayApi::Embeddings,
            (Some(ModelTask::Chat), RelayApi::Embeddings | RelayApi::Rerank) => false,
            (Some(ModelTask::Chat), _) => true,
            (None, _) => false,
        }
    }
}
