//! A model in mistral.rs, loaded like by the server, and chats with it.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use clap::ValueEnum;
use image::DynamicImage;
use mistralrs::{
    DeviceMapSetting, Model, ModelBuilder, ModelDType, RequestBuilder, Response, SamplingParams,
    TextMessageRole, TokenSource,
    core::{DeviceLayerMapMetadata, DeviceMapMetadata},
};

/// Where a model runs.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(crate) enum Target {
    Cpu,
    /// The first GPU.
    Cuda,
}

impl Target {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
        }
    }
}

/// Loads the model in a directory.
pub(crate) async fn load(dir: &Path, target: Target, dtype: ModelDType) -> anyhow::Result<Model> {
    if target == Target::Cuda {
        // The builder would use the CPU without a notice.
        mistralrs::Device::new_cuda(0).context("cannot use the GPU cuda:0")?;
    }
    // All layers; the automatic map may choose the CPU.
    let layers = DeviceLayerMapMetadata {
        ordinal: 0,
        layers: usize::MAX,
    };
    let map = DeviceMapMetadata::from_num_device_layers(vec![layers]);
    let builder = ModelBuilder::new(dir.display())
        .with_token_source(TokenSource::None)
        .with_dtype(dtype)
        .with_device_mapping(DeviceMapSetting::Map(map))
        .with_prefix_cache_n(None);
    let builder = match target {
        Target::Cpu => builder.with_force_cpu(),
        Target::Cuda => builder,
    };
    builder.build().await
}

/// The answer to a chat.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) tokens: usize,
    pub(crate) first_token: Option<Duration>,
    pub(crate) total: Duration,
    /// The first line of the engine's error.
    pub(crate) error: Option<String>,
}

/// Sends a chat with one message, and reads its whole answer at temperature 0.
pub(crate) async fn ask(
    model: &Model,
    text: &str,
    images: Vec<DynamicImage>,
    max_tokens: usize,
) -> Answer {
    let request = RequestBuilder::new().set_sampling(SamplingParams {
        temperature: Some(0.0),
        max_len: Some(max_tokens),
        ..SamplingParams::neutral()
    });
    let user = TextMessageRole::User;
    let request = match images.is_empty() {
        true => request.add_message(user, text),
        false => request.add_image_message(user, text, images),
    };
    let start = Instant::now();
    let mut answer = Answer::default();
    let mut stream = match model.stream_chat_request(request).await {
        Ok(stream) => stream,
        Err(error) => {
            answer.error = Some(first_line(&error.to_string()));
            return answer;
        }
    };
    let mut finished = false;
    while let Some(response) = stream.next().await {
        match response {
            Response::Chunk(chunk) => {
                answer.first_token.get_or_insert_with(|| start.elapsed());
                if let Some(choice) = chunk.choices.first() {
                    answer.text += choice.delta.content.as_deref().unwrap_or_default();
                    finished |= choice.finish_reason.is_some();
                }
                if let Some(usage) = chunk.usage {
                    answer.tokens = usage.completion_tokens;
                }
            }
            Response::ModelError(error, _) => answer.error = Some(first_line(&error)),
            Response::InternalError(error) | Response::ValidationError(error) => {
                answer.error = Some(first_line(&error.to_string()));
            }
            _ => {}
        }
    }
    answer.total = start.elapsed();
    if !finished && answer.error.is_none() {
        answer.error = Some("the answer has no end".to_owned());
    }
    answer
}

/// An error without its backtrace.
pub(crate) fn first_line(error: &str) -> String {
    error.lines().next().unwrap_or_default().to_owned()
}
