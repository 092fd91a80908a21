//! The path of a chat: from its request to the events of its answer.

use std::{sync::Arc, time::Instant};

use futures_util::{StreamExt as _, stream};
use stockade_server_config::{Coordinates, OlderImages};
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::{
    BackendError, Generation, MistralRs, UsageMeter,
    constraint::{self, Constraint},
    coordinates::{CoordinateMapper, CoordinateSpace},
    decode, demand,
    engine::{self, Engine, ModelInfo},
    generate::{GenerationTask, Thinking},
    grammar::{Grammar, GrammarError},
    image, older_images,
    picture::{self, Picture},
    prompt::Prompt,
    quirks, tool_prompt, validate,
};
use crate::chat::{
    ChatRequest, Event, ImageRejection, ImageReport, Message, ResponseFormat, Usage,
};

impl MistralRs {
    pub(super) async fn answer(
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
    pub(super) async fn count(self, mut request: ChatRequest) -> Result<usize, BackendError> {
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
