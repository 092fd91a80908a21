//! `[model]` and `[[models]]`: the served models.

use std::{
    num::{NonZeroU16, NonZeroU32},
    path::Path,
};

use serde::Deserialize;
use stockade::BodyConfig;

use crate::{DeviceConfig, UpstreamConfig, nonzero};

/// `[model]`, or an entry of `[[models]]`: a model that an engine runs in the server's process, or
/// that upstreams serve.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ModelConfig {
    /// The name of the model in the API; by default the name of the directory or repository. A
    /// model with upstreams needs one.
    pub name: Option<String>,
    /// Other names of the model in the API.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// The engine that runs the model; `mistralrs` by default.
    pub engine: Option<EngineConfig>,
    /// A directory with the weights, a GGUF file, or a repository on the Hugging Face hub
    /// (`owner/name`). A relative path starts with `./` or `../`.
    #[serde(default, deserialize_with = "crate::source::deserialize")]
    pub source: Option<String>,
    /// The devices that run the model.
    pub device: Option<DeviceConfig>,
    /// The quantisation of the weights at load time.
    pub quantise: Option<QuantiseConfig>,
    /// The maximum number of tokens of a chat, prompt and completion together; by default the
    /// context of the model.
    pub context: Option<NonZeroU32>,
    /// What happens if the model does not fit into the available memory.
    pub memory_check: Option<MemoryCheck>,
    /// Whether a text model on a GPU has a paged KV cache.
    pub paged_attention: Option<PagedAttention>,
    /// The maximum number of pixels of an image; larger images are scaled down for the model. At
    /// most that of the model, which is the default.
    pub max_pixels: Option<NonZeroU32>,
    /// The minimum number of pixels of an image; smaller images are scaled up for the model. At
    /// least that of the model, which is the default.
    pub min_pixels: Option<NonZeroU32>,
    /// What happens to images of a chat beyond those that the engine can show to the model.
    pub older_images: Option<OlderImages>,
    /// The space of coordinates in answers.
    pub coordinates: Option<Coordinates>,
    /// The servers that serve the model, in place of an engine.
    #[serde(default)]
    pub upstream: Vec<UpstreamConfig>,
    /// The APIs that the upstreams have; other chat APIs are translated to chat completions.
    pub apis: Option<Vec<ApiConfig>>,
    /// The names of models that answer when this one is unavailable, in order.
    #[serde(default)]
    pub fallback: Vec<String>,
    /// The maximum number of concurrent chats; of each upstream, if there are several.
    pub max_running: Option<NonZeroU16>,
    /// The maximum number of chats in the queue; further ones are refused.
    pub max_queued: Option<u16>,
    /// The maximum time in the queue.
    pub queue_wait_secs: Option<u32>,
    /// The maximum estimate of the engine's time for a request; costlier ones are refused. By
    /// default the timeout of requests, because they would not end in time.
    pub max_cost_secs: Option<NonZeroU32>,
    /// The maximum estimate for all running and waiting requests of a client together; without a
    /// default.
    pub max_client_cost_secs: Option<NonZeroU32>,
    /// The engine is restarted if a request makes no progress for this time, or three times its
    /// estimate if that is longer.
    pub stuck_after_secs: Option<NonZeroU32>,
    /// The default for `max_tokens` of a chat.
    #[serde(default = "ModelConfig::default_max_tokens")]
    pub default_max_tokens: NonZeroU32,
    /// The maximum for `max_tokens` of a chat.
    #[serde(default = "ModelConfig::max_tokens_limit")]
    pub max_tokens_limit: NonZeroU32,
}

impl ModelConfig {
    /// The model from this source, with default settings.
    pub fn new(source: impl Into<String>) -> Self {
        Self {
            source: Some(source.into()),
            ..Self::empty()
        }
    }

    /// The model that these servers serve, with default settings.
    pub fn with_upstreams(name: impl Into<String>, upstream: Vec<UpstreamConfig>) -> Self {
        Self {
            name: Some(name.into()),
            upstream,
            ..Self::empty()
        }
    }

    fn empty() -> Self {
        Self {
            name: None,
            aliases: Vec::new(),
            engine: None,
            source: None,
            device: None,
            quantise: None,
            context: None,
            memory_check: None,
            paged_attention: None,
            max_pixels: None,
            min_pixels: None,
            older_images: None,
            coordinates: None,
            upstream: Vec::new(),
            apis: None,
            fallback: Vec::new(),
            max_running: None,
            max_queued: None,
            queue_wait_secs: None,
            max_cost_secs: None,
            max_client_cost_secs: None,
            stuck_after_secs: None,
            default_max_tokens: Self::default_max_tokens(),
            max_tokens_limit: Self::max_tokens_limit(),
        }
    }

    /// The name of the model in the API.
    pub fn api_name(&self) -> String {
        let default = || match self.source.as_deref().map(Path::new) {
            // A repository keeps its owner.
            Some(source) if crate::source::is_directory(source) => source
                .file_name()
                .map(|name| name.to_string_lossy().into_owned()),
            source => source.map(|source| source.to_string_lossy().into_owned()),
        };
        let name = self.name.clone().or_else(default);
        name.unwrap_or_else(|| "model".to_owned())
    }

    /// The maximum number of concurrent chats: 8 in the server's process, 64 on an upstream.
    pub fn max_running_or_default(&self) -> NonZeroU16 {
        let default = match self.upstream.is_empty() {
            true => nonzero!(8),
            false => nonzero!(64),
        };
        self.max_running.unwrap_or(default)
    }

    /// The maximum number of chats in the queue: 32 in the server's process, 256 on an upstream.
    pub fn max_queued_or_default(&self) -> u16 {
        let default = if self.upstream.is_empty() { 32 } else { 256 };
        self.max_queued.unwrap_or(default)
    }

    /// The maximum time in the queue: 30 seconds.
    pub fn queue_wait_secs_or_default(&self) -> u32 {
        self.queue_wait_secs.unwrap_or(30)
    }

    /// How long a request may make no progress, at least: 60 seconds.
    pub fn stuck_after_secs_or_default(&self) -> NonZeroU32 {
        self.stuck_after_secs.unwrap_or(nonzero!(60))
    }

    /// The maximum number of tokens of a chat without images that the limits of requests leave: one
    /// for each character of the prompt, and those of the completion.
    pub fn request_tokens(&self, body: &BodyConfig) -> u64 {
        let completion = self.max_tokens_limit.min(body.max_tokens);
        u64::from(body.prompt_chars.get()) + u64::from(completion.get())
    }

    /// The APIs that the upstreams have.
    pub fn apis_or_default(&self) -> &[ApiConfig] {
        const DEFAULT: &[ApiConfig] = &[
            ApiConfig::Chat,
            ApiConfig::Completions,
            ApiConfig::Embeddings,
            ApiConfig::Rerank,
            ApiConfig::Tokenize,
        ];
        self.apis.as_deref().unwrap_or(DEFAULT)
    }

    fn default_max_tokens() -> NonZeroU32 {
        nonzero!(256)
    }

    fn max_tokens_limit() -> NonZeroU32 {
        nonzero!(8_192)
    }
}

/// An engine that runs a model in the server's process.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum EngineConfig {
    /// mistral.rs.
    MistralRs,
}

/// An API of an upstream.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ApiConfig {
    /// `/chat/completions`.
    Chat,
    /// `/completions`.
    Completions,
    /// `/embeddings`.
    Embeddings,
    /// `/messages` and `/messages/count_tokens`, Anthropic's API.
    Messages,
    /// `/rerank`.
    Rerank,
    /// `/responses`.
    Responses,
    /// `/tokenize`, at the root of the server.
    Tokenize,
}

/// What happens to a model that does not fit into the available memory.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum MemoryCheck {
    /// Refuses a model whose weights do not fit, and warns if its largest requests do not.
    #[default]
    Weights,
    /// Refuses a model unless its largest requests fit, too.
    Enforce,
    /// Loads it, with a warning.
    Warn,
    /// Estimates nothing.
    Off,
}

/// The use of PagedAttention.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum PagedAttention {
    /// The usual KV cache.
    #[default]
    Off,
    /// For text models on a GPU; others have the usual KV cache.
    Auto,
}

/// What happens to images of a chat beyond those that the engine can show to the model.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum OlderImages {
    /// The chat is refused: an answer never lacks an image that the client sent.
    #[default]
    Refuse,
    /// A text takes the place of each older image, and the response has their number.
    Drop,
}

impl OlderImages {
    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Drop => "drop",
        }
    }
}

/// The space of coordinates in answers.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Coordinates {
    /// The image as the model sees it; the answer is unchanged.
    #[default]
    Model,
    /// The last image of the chat as the client sent it.
    Original,
}

impl Coordinates {
    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Original => "original",
        }
    }
}

/// A quantisation of the weights.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum QuantiseConfig {
    /// 8 bits per weight.
    Q8,
    /// About 4.5 bits per weight.
    Q4,
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use stockade::{Environment, Format};

    use super::*;
    use crate::ServerFile;

    #[test]
    fn names_a_model_after_its_source() {
        for (source, name) in [("a/b", "a/b"), ("./x/tiny", "tiny"), ("/x/tiny", "tiny")] {
            assert_eq!(ModelConfig::new(source).api_name(), name);
        }
        let relay = ModelConfig::with_upstreams(
            "holo",
            vec![UpstreamConfig::new("http://h/v1".parse().unwrap())],
        );
        assert_eq!(relay.api_name(), "holo");
    }

    #[test]
    fn reads_the_devices() {
        let device = |value: &str| {
            let text =
                format!("[auth]\nkeys_file = \"k\"\n[model]\nsource = \"./a\"\ndevice = {value}\n");
            ServerFile::parse(&text, Format::Toml, &Environment::default())
                .map(|file| file.models[0].device.clone().unwrap().to_string())
                .map_err(|error| error.to_string())
        };
        assert_eq!(device("\"cuda:1\"").unwrap(), "cuda:1");
        assert_eq!(device("[\"cuda:1\", \"cuda:0\"]").unwrap(), "cuda:1,cuda:0");
        for (value, reason) in [
            ("\"gpu\"", "\"gpu\" is no device"),
            ("[]", "is empty"),
            ("1", "a device"),
        ] {
            let error = device(value).unwrap_err();
            assert!(
                error.contains(reason) && error.contains("line 5"),
                "{error}"
            );
        }
    }
}
