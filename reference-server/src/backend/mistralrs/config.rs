//! What an operator chooses.

use std::{path::PathBuf, time::Duration};

use super::{hub, model_dir::ModelDir};

/// How a model is loaded and how much it may be asked at once.
#[derive(Clone, Debug)]
pub struct MistralRsConfig {
    /// Where the weights are.
    pub model: ModelSource,
    /// The name clients use in `model`.
    pub name: String,
    /// What the model runs on.
    pub device: Device,
    /// Chats answered at the same time; 0 counts as 1. Chats with images, and all chats on
    /// the CPU, run alone whatever this says.
    pub max_running: usize,
    /// Chats that may wait for a place; one more is refused at once.
    pub max_queued: usize,
    /// The longest wait for a place.
    pub queue_wait: Duration,
    /// Images are shrunk until neither side is longer, in pixels. Work grows with
    /// the fourth power of it.
    pub max_image_side: u32,
    /// Shrinks the weights while loading.
    pub quantise: Option<Quantise>,
}

impl MistralRsConfig {
    /// The defaults for a model: the GPU where the build has one, 8 chats at once,
    /// 32 waiting for at most 30 seconds.
    pub fn new(name: impl Into<String>, model: ModelSource) -> Self {
        Self {
            model,
            name: name.into(),
            device: Device::Auto,
            max_running: 8,
            max_queued: 32,
            queue_wait: Duration::from_secs(30),
            max_image_side: 1440,
            quantise: None,
        }
    }
}

impl MistralRsConfig {
    /// Looks for what no later attempt could find otherwise: a directory that is missing or
    /// lacks files, a model of a kind that is not supported, a repository's name that is none.
    /// Reads a few small files.
    ///
    /// # Errors
    /// One line that says what is wrong and how to fix it.
    pub fn check(&self) -> Result<(), String> {
        match &self.model {
            ModelSource::Directory(path) => ModelDir::read(path).map(|_| ()),
            ModelSource::Hub(id) => hub::check(id),
        }
    }
}

/// Where the weights are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelSource {
    /// A directory in the layout of the Hugging Face hub.
    Directory(PathBuf),
    /// A repository of the Hugging Face hub, `owner/name`: downloaded once, then taken
    /// from the hub's cache.
    Hub(String),
}

/// What the model runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// The first GPU if the build has CUDA and the machine a GPU, else the CPU.
    #[default]
    Auto,
    /// The CPU, even where there is a GPU.
    Cpu,
}

/// How weights are shrunk while loading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantise {
    /// 8 bits a weight: hardly a difference.
    Q8,
    /// About 4.5 bits a weight: a 7B model fits into 6 GB.
    Q4,
}
