//! `[body]`: limits of request bodies.

use std::{num::NonZeroU32, time::Duration};

use serde::Deserialize;
use stockade_body::{BodyRules, ImageRules, Profile};

use super::value::{self, nonzero};

/// `[body]`: limits of request bodies. The `body` setting of a route selects its profile.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct BodyConfig {
    /// The largest body, in MiB. It includes images, whose base64 is a third larger.
    pub max_mb: NonZeroU32,
    /// The time within which a client must send the body, in seconds.
    pub read_timeout_secs: NonZeroU32,
    /// The memory for all bodies together while they are read and used, in MiB.
    pub max_memory_mb: NonZeroU32,
    /// The memory for the bodies of one key, token or anonymous address, in MiB. The default is
    /// a quarter of `max_memory_mb`; it always holds one body of the largest size.
    pub max_memory_per_key_mb: Option<NonZeroU32>,
    /// The models that requests may name; any if the list is empty.
    #[serde(deserialize_with = "value::list")]
    pub models: Vec<String>,
    /// The longest prompt, in characters.
    pub prompt_chars: NonZeroU32,
    /// The largest `max_tokens` that a client may request.
    pub max_tokens: NonZeroU32,
    /// Limits of images.
    pub images: ImagesConfig,
}

/// `[body.images]`: limits of images.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ImagesConfig {
    /// The maximum number of images in a request.
    pub max_count: u32,
    /// The largest image, in MiB.
    pub max_mb: NonZeroU32,
    /// The longest side, in pixels.
    pub max_side: NonZeroU32,
    /// The maximum number of pixels.
    pub max_pixels: NonZeroU32,
    /// The maximum number of frames of an animation.
    pub max_frames: NonZeroU32,
    /// Refuses images whose declared type is not their actual type, the type `image/jpg`, and
    /// base64 without padding.
    pub strict: bool,
}

impl Default for BodyConfig {
    fn default() -> Self {
        Self {
            max_mb: nonzero!(20),
            read_timeout_secs: nonzero!(60),
            max_memory_mb: nonzero!(512),
            max_memory_per_key_mb: None,
            models: Vec::new(),
            prompt_chars: nonzero!(10_000),
            max_tokens: nonzero!(8_192),
            images: ImagesConfig::default(),
        }
    }
}

impl Default for ImagesConfig {
    fn default() -> Self {
        Self {
            max_count: 8,
            max_mb: nonzero!(10),
            max_side: nonzero!(16_384),
            max_pixels: nonzero!(40_000_000),
            max_frames: nonzero!(1),
            strict: false,
        }
    }
}

impl BodyConfig {
    /// The rules without routes: bodies of routes without a rule are streamed, up to the size
    /// limit.
    pub fn rules(&self) -> BodyRules {
        let bytes = |mb| usize::try_from(mebibytes(mb)).unwrap_or(usize::MAX);
        let rules = BodyRules::new()
            .max_bytes(mebibytes(self.max_mb))
            .deadline(Duration::from_secs(self.read_timeout_secs.get().into()))
            .total_memory(bytes(self.max_memory_mb))
            .fallback(Profile::streamed());
        match self.max_memory_per_key_mb {
            Some(mb) => rules.memory_per_client(bytes(mb)),
            None => rules,
        }
    }

    /// Applies the limits of this section to a profile.
    pub fn limited(&self, profile: Profile) -> Profile {
        let images = ImageRules::default()
            .bytes(mebibytes(self.images.max_mb))
            .side(self.images.max_side.get())
            .pixels(self.images.max_pixels.get().into())
            .frames(self.images.max_frames.get());
        let images = match self.images.strict {
            true => images.strict(),
            false => images,
        };
        let profile = profile
            .max_prompt_chars(self.prompt_chars.get().into())
            .max_tokens(self.max_tokens.get())
            .max_images(self.images.max_count as usize)
            .max_image_bytes(mebibytes(self.max_mb))
            .images(images);
        match self.models.is_empty() {
            true => profile,
            false => profile.models(self.models.iter().map(String::as_str)),
        }
    }
}

fn mebibytes(count: NonZeroU32) -> u64 {
    u64::from(count.get()) << 20
}

/// The type of a route's request bodies.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum BodyProfile {
    /// No body.
    None,
    /// Any body, streamed to the handler.
    Streamed,
    /// Any body, read before the handler runs.
    Bytes,
    /// Any JSON.
    Json,
    /// One image.
    Image,
    /// `{"type":"image","image":{"b64":…}}`.
    ImageJson,
    /// A multipart form of fields and images.
    Multipart,
    /// An OpenAI chat completions request.
    OpenaiChat,
    /// An OpenAI completions request.
    OpenaiCompletions,
    /// An OpenAI embeddings request.
    OpenaiEmbeddings,
    /// An OpenAI responses request.
    OpenaiResponses,
    /// An Anthropic messages request.
    AnthropicMessages,
    /// An Ollama chat request.
    OllamaChat,
    /// An Ollama generate request.
    OllamaGenerate,
}

impl BodyProfile {
    /// The profile with its default limits.
    pub fn profile(self) -> Profile {
        match self {
            Self::None => Profile::empty(),
            Self::Streamed => Profile::streamed(),
            Self::Bytes => Profile::bytes(),
            Self::Json => Profile::json(),
            Self::Image => Profile::image(),
            Self::ImageJson => Profile::image_json(),
            Self::Multipart => Profile::multipart(),
            Self::OpenaiChat => Profile::openai_chat(),
            Self::OpenaiCompletions => Profile::openai_completions(),
            Self::OpenaiEmbeddings => Profile::openai_embeddings(),
            Self::OpenaiResponses => Profile::openai_responses(),
            Self::AnthropicMessages => Profile::anthropic_messages(),
            Self::OllamaChat => Profile::ollama_chat(),
            Self::OllamaGenerate => Profile::ollama_generate(),
        }
    }
}
