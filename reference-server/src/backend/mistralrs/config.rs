//! The backend's settings.

use std::{path::PathBuf, time::Duration};

use stockade_server_config::{Coordinates, MemoryCheck, OlderImages};

use super::{
    admission::QueueLimits, embedding_dir::is_embedding, hub, model_files::ModelFiles, placement,
    supervise::ModelTask,
};

/// How a model is loaded, and its limits.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MistralRsConfig {
    /// The name of the model, for metrics.
    pub name: String,
    /// The source of the weights.
    pub model: ModelSource,
    /// The devices that run the model.
    pub device: Device,
    /// The maximum number of running chats; 0 counts as 1. Chats with images, and all chats on
    /// the CPU, always run alone.
    pub max_running: usize,
    /// The maximum number of waiting chats; further ones are refused immediately.
    pub max_queued: usize,
    /// The maximum time to wait for a slot.
    pub queue_wait: Duration,
    /// The maximum estimate of the engine's time for a request; costlier ones are refused.
    pub max_cost: Option<Duration>,
    /// The maximum estimate for all running and waiting requests of a client.
    pub max_client_cost: Option<Duration>,
    /// The engine is restarted if a request makes no progress for this time, or three times its
    /// estimate if that is longer.
    pub stuck_after: Duration,
    /// The maximum number of pixels of an image; larger images are scaled down. By default that of
    /// the model's files, as far as the device permits it. The work grows with its square.
    pub max_pixels: Option<u64>,
    /// The minimum number of pixels of an image; smaller images are scaled up. By default that of
    /// the model's files.
    pub min_pixels: Option<u64>,
    /// What happens to images of a chat beyond those that the engine can show to the model.
    pub older_images: OlderImages,
    /// The space of coordinates in answers.
    pub coordinates: Coordinates,
    /// Quantises the weights while loading.
    pub quantise: Option<Quantise>,
    /// The maximum number of tokens of a chat, prompt and completion together; `None` is the
    /// context of the model.
    pub context: Option<usize>,
    /// The number of tokens that the limits of requests leave for a chat without images; `None` is
    /// the context of the model. Only for the estimate of the memory.
    pub request_tokens: Option<u64>,
    /// What happens if the model does not fit into the available memory.
    pub memory_check: MemoryCheck,
    /// Whether a text model on a GPU has a paged KV cache.
    pub paged_attention: bool,
}

impl MistralRsConfig {
    /// Creates the default settings for a model: the GPU if the build supports it, 8 running chats,
    /// and 32 waiting for at most 30 seconds.
    pub fn new(model: ModelSource) -> Self {
        Self {
            name: "model".to_owned(),
            model,
            device: Device::Auto,
            max_running: 8,
            max_queued: 32,
            queue_wait: Duration::from_secs(30),
            max_cost: None,
            max_client_cost: None,
            stuck_after: Duration::from_secs(60),
            max_pixels: None,
            min_pixels: None,
            older_images: OlderImages::default(),
            coordinates: Coordinates::default(),
            quantise: None,
            context: None,
            request_tokens: None,
            memory_check: MemoryCheck::default(),
            paged_attention: false,
        }
    }
}

impl MistralRsConfig {
    /// Checks for permanent errors: a missing or incomplete directory, an unsupported architecture,
    /// an invalid repository name, or a device that this build does not have. Reads a few small
    /// files.
    ///
    /// # Errors
    /// Returns one line with the setting, the problem and the remedy.
    pub fn check(&self) -> Result<(), String> {
        placement::check(&self.device).map_err(|error| format!("model.device: {error}"))?;
        let files = match &self.model {
            ModelSource::Directory(path) => ModelFiles::read(path).and_then(|files| {
                files.check_quantise(self.quantise)?;
                files.check_images(self)
            }),
            ModelSource::Hub(id) => hub::check(id),
        };
        files.map_err(|error| format!("model.source: {error}"))
    }

    /// The context length of a model, limited by the setting.
    pub(super) fn limit_context(&self, tokens: usize) -> usize {
        tokens.min(self.context.unwrap_or(usize::MAX))
    }

    pub(super) fn queue_limits(&self) -> QueueLimits {
        QueueLimits {
            running: self.max_running,
            queued: self.max_queued,
            wait: self.queue_wait,
            cost: self.max_cost,
            client_cost: self.max_client_cost,
            stuck_after: self.stuck_after,
        }
    }

    /// What the model is for, as far as that is known before it is downloaded.
    pub(super) fn task(&self) -> Option<ModelTask> {
        match &self.model {
            ModelSource::Directory(path) if is_embedding(path) => Some(ModelTask::Embedding),
            ModelSource::Directory(_) => Some(ModelTask::Chat),
            ModelSource::Hub(_) => None,
        }
    }
}

/// The source of the weights.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelSource {
    /// A directory in the layout of a Hugging Face Hub repository, or a GGUF file.
    Directory(PathBuf),
    /// A Hugging Face Hub repository, `owner/name`; downloaded once, then read from the Hub's
    /// cache.
    Hub(String),
}

/// The devices that run the model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Device {
    /// The first GPU if the build supports CUDA and the machine has a GPU, otherwise the CPU.
    #[default]
    Auto,
    /// The CPU, even if there is a GPU.
    Cpu,
    /// GPUs by their numbers. The layers of the model are divided between several.
    Cuda(Vec<u16>),
}

/// How weights are quantised while loading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Quantise {
    /// 8 bits per weight, with little loss of quality.
    Q8,
    /// About 4.5 bits per weight: a 7B model fits into 6 GB.
    Q4,
}
