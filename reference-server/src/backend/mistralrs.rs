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
//! 6. If the engine dies, its chats fail with [`BackendError::Engine`] and it is loaded again.
//!
//! `panic = "abort"` must not be set, because mistral.rs panics on recoverable errors.

use std::{fmt, sync::Arc, time::Instant};

use futures_util::{StreamExt, future::BoxFuture, stream};
use stockade_server_config::{Coordinates, OlderImages};
use tokio::sync::watch;
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::{
    Backend, BackendError, Generation, ImageSupport, Load, Phase, RelayApi, Status, Tokens,
    UsageMeter,
};
use crate::{
    blocking_pool::BlockingPool,
    chat::{
        ChatRequest, Event, FinishReason, ImageRejection, ImageReport, Message, Part,
        ResponseFormat, Role, Usage,
    },
    dialect::IMAGE_PIXELS_FIELD,
    embedding::{EmbeddingRequest, Embeddings},
};

mod activity;
mod admission;
mod calibrate;
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
use constraint::Constraint;
use coordinates::{CoordinateMapper, CoordinateSpace};
use embedder::Embedder;
use engine::{Engine, ModelInfo};
use generate::{GenerationTask, Thinking};
use grammar::{Grammar, GrammarError};
use metrics::EngineMetrics;
use picture::Picture;
use prompt::Prompt;
use supervise::{LoadedEngine, ModelTask, State};

/// A model that mistral.rs runs in this process.
#[derive(Clone)]
pub struct MistralRs {
    older_images: OlderImages,
    coordinates: Coordinates,
    state: watch::Receiver<State>,
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
        Self {
            older_images: config.older_images,
            coordinates: config.coordinates,
            admission: admission.clone(),
            decode_pool: BlockingPool::per_core(),
            grammar_pool: BlockingPool::per_core(),
            state: supervise::start(config, admission),
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
            _ => Err(BackendError::Loading),
        }
    }

    async fn answer(
        self,
        mut request: ChatRequest,
        meter: UsageMeter,
    ) -> Result<Generation, BackendError> {
        let arrival = Instant::now();
        // Before the queue: requests that can never succeed are refused immediately.
        let engine = self.engine()?;
        validate::features(&engine.info, &request)?;
        let dropped = self.drop_older_images(&engine.info, &mut request);
        validate::messages(&engine.info, &request.messages)?;
        validate::tools(&request)?;
        let constraint = Constraint::new(&request)?;
        let grammar = self.compile(&engine, &constraint).await?;
        let share = demand::share(&meter);
        let pictures = self.pictures(&engine.info, &request, share.key).await?;
        let has_images = !pictures.is_empty();
        let coordinates = self.coordinate_mapper(&request, &pictures);
        let report = ImageReport {
            sizes: pictures
                .iter()
                .map(|picture| picture.geometry.size())
                .collect(),
            dropped,
            maps_coordinates: coordinates.is_some(),
        };
        let image_tokens = picture::tokens(&pictures);
        let demand = self.demand(&engine, &request, &pictures, share).await?;
        drop(engine);
        let slot = self.admission.enter(demand).await?;

        // The engine may have died while the chat was waiting.
        let engine = self.engine()?;
        let (prompt, tokens, prompt_tokens) = self.prompt(&engine, &request, &pictures).await?;
        let work = demand::work(&engine, &request, prompt_tokens - image_tokens, &pictures);
        for picture in &pictures {
            engine.cached_pictures.add(picture);
        }
        let thinking = engine.thinking(&prompt, &tokens);
        let grammar = if thinking == Thinking::Open {
            self.compile(&engine, &constraint.after_reasoning()).await?
        } else {
            grammar
        };
        let tools = tool_prompt::active(&request).iter();
        let tools = tools.map(|tool| tool.name.clone()).collect();
        let single_call = constraint::is_single(&request);
        let sampling = request.sampling;
        let is_raw = prompt.raw_tokens().is_some();
        let asked = sampling.max_tokens;
        let max_tokens = validate::token_limit(&engine.info, is_raw, prompt_tokens, asked)?;

        let task = GenerationTask {
            engine,
            prompt,
            seed: sampling.seed.unwrap_or_else(rand::random),
            sampling,
            choices: request.choices,
            max_tokens,
            top_logprobs: request.top_logprobs,
            thinking,
            grammar,
            schema_param: constraint.param,
            tools,
            single_call,
            coordinates,
            slot,
            estimate: self.admission.estimate(&work),
            admission: self.admission,
            arrival,
            work,
            prompt_tokens,
            meter,
        };
        let mut items = task.start();
        // Waits for the first event, so that a refusal by the engine still has a status.
        let first = items.recv().await.unwrap_or(Err(BackendError::Engine))?;
        let rest = UnboundedReceiverStream::new(items);
        let items = stream::iter([Ok(first)]).chain(rest);
        let items = items.map(move |item| match item {
            Ok(Event::Done(usage)) => Ok(Event::Done(Usage {
                image_tokens,
                ..usage
            })),
            item => item,
        });
        let images = has_images.then_some(Ok(Event::Images(report)));
        Ok(stream::iter(images).chain(items).boxed())
    }

    /// Counts the prompt tokens of a chat, without a slot.
    async fn count(self, mut request: ChatRequest) -> Result<usize, BackendError> {
        let engine = self.engine()?;
        self.drop_older_images(&engine.info, &mut request);
        validate::messages(&engine.info, &request.messages)?;
        validate::tools(&request)?;
        let pictures = self.pictures(&engine.info, &request, 0).await?;
        let (_, _, count) = self.prompt(&engine, &request, &pictures).await?;
        Ok(count)
    }

    /// The prompt of a request, its tokens with one for each image, and their number with all
    /// tokens of the images.
    async fn prompt(
        &self,
        engine: &Engine,
        request: &ChatRequest,
        pictures: &[Picture],
    ) -> Result<(Prompt, Vec<u32>, usize), BackendError> {
        let image_extra = picture::tokens(pictures) - pictures.len();
        let images = pictures
            .iter()
            .map(|picture| picture.image.clone())
            .collect();
        let info = &engine.info;
        let prompt = match &request.raw_prompt {
            Some(text) => {
                let encoded = info.tokenizer.encode(text.as_str(), true);
                let encoded = encoded.map_err(|error| {
                    engine::log("tokenizer", &error.to_string());
                    BackendError::Engine
                })?;
                Prompt::raw(encoded.get_ids().to_vec())
            }
            None => {
                let reasoning = info.reasoning.values(request.reasoning_effort);
                Prompt::new(request, images, info.tool_style, &info.reserved)
                    .with_reasoning(reasoning.unwrap_or_default())
            }
        };
        let tokens = engine.tokenize(&prompt).await?;
        let count = tokens.len() + image_extra;
        Ok((prompt, tokens, count))
    }

    /// Compiles the grammar of a constraint off the async threads.
    async fn compile(
        &self,
        engine: &Arc<Engine>,
        constraint: &Constraint,
    ) -> Result<Option<Grammar>, BackendError> {
        let Some(source) = constraint.source.clone() else {
            return Ok(None);
        };
        let engine = engine.clone();
        let job = move || engine.info.grammars.compile(&source);
        let compiled = self.grammar_pool.run(job).await;
        let compiled = compiled.unwrap_or_else(|| Err(GrammarError::panicked()));
        compiled
            .map(Some)
            .map_err(|error| validate::invalid_schema(constraint.param, &error))
    }

    /// Replaces older images that the engine cannot show, if the operator permits it; returns their
    /// number.
    fn drop_older_images(&self, info: &ModelInfo, request: &mut ChatRequest) -> usize {
        if self.older_images != OlderImages::Drop || info.images.is_none() {
            return 0;
        }
        let dropped = older_images::drop_older(&mut request.messages, quirks::MAX_IMAGES);
        if dropped > 0 {
            tracing::info!(dropped, "older images of a chat are not shown to the model");
            let count = u64::try_from(dropped).unwrap_or(u64::MAX);
            ::metrics::counter!("stockade_dropped_images_total").increment(count);
        }
        dropped
    }

    /// The mapper of coordinates in the answer, for a chat with images.
    fn coordinate_mapper(
        &self,
        request: &ChatRequest,
        pictures: &[Picture],
    ) -> Option<CoordinateMapper> {
        if self.coordinates != Coordinates::Original {
            return None;
        }
        let is_json = matches!(request.response_format, ResponseFormat::JsonSchema { .. });
        let space = CoordinateSpace::of(&pictures.last()?.geometry);
        Some(CoordinateMapper::new(space, is_json))
    }

    /// Decodes the images, in their order, at the sizes that the model sees.
    ///
    /// Before the queue, so that waiting chats keep no pictures that are larger than the model's.
    async fn pictures(
        &self,
        info: &ModelInfo,
        request: &ChatRequest,
        owner: u64,
    ) -> Result<Vec<Picture>, BackendError> {
        // A text model has no images to prepare.
        let Some(limits) = info.images else {
            return Ok(Vec::new());
        };
        let sizes = validate::sizes(&limits.sizes, request.image_pixels)?;
        let mut pictures = Vec::new();
        for input in request.messages.iter().flat_map(Message::images) {
            let file = input.file.clone();
            let prepare = move || {
                let image = decode::decode(&file)?;
                let image = image::prepare(image, &sizes).ok_or(ImageRejection::Corrupt)?;
                Ok(Picture::new(image, owner))
            };
            // A job for each image, so that a chat with many images does not delay others.
            let image = self.decode_pool.run(prepare).await;
            let image = image.unwrap_or(Err(ImageRejection::Corrupt));
            pictures.push(image.map_err(|rejection| BackendError::InvalidImage {
                param: input.param.clone(),
                message: rejection.message().to_owned(),
            })?);
        }
        validate::image_tokens(&limits, &pictures)?;
        Ok(pictures)
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
