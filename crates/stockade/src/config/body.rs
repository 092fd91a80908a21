//! `[body]`: what requests may carry.

use std::{num::NonZeroU32, time::Duration};

use serde::Deserialize;
use stockade_body::{BodyRules, ImageRules, Profile};

use super::value::{self, nonzero};

/// `[body]`: what requests may carry. Which of it a route takes is said by its `body`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BodyConfig {
    /// The largest body, in MiB. Images travel within it, a third larger as base64.
    pub max_mb: NonZeroU32,
    /// The longest time in which a client may send it, in seconds.
    pub read_timeout_secs: NonZeroU32,
    /// All bodies together, in MiB, while they are read and used.
    pub max_memory_mb: NonZeroU32,
    /// The bodies of one key, token or anonymous address, in MiB; a quarter of `max_memory_mb`
    /// unless it is set, and never less than one body of the largest size.
    pub max_memory_per_key_mb: Option<NonZeroU32>,
    /// The only models that there are; any, where none are named.
    #[serde(deserialize_with = "value::list")]
    pub models: Vec<String>,
    /// The longest prompt, in characters.
    pub prompt_chars: NonZeroU32,
    /// The most tokens that a client may ask for.
    pub max_tokens: NonZeroU32,
    /// Images of a request.
    pub images: ImagesConfig,
}

/// `[body.images]`: what images may be.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImagesConfig {
    /// The most images of a request.
    pub max_count: u32,
    /// The largest image, in MiB.
    pub max_mb: NonZeroU32,
    /// The longest side, in pixels.
    pub max_side: NonZeroU32,
    /// The most pixels.
    pub max_pixels: NonZeroU32,
    /// The most frames of an animation.
    pub max_frames: NonZeroU32,
    /// Refuses images that are declared as another type than they are, the type `image/jpg`,
    /// and base64 without its padding.
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
    /// The rules, without any route: what no rule is for is handed on as it comes in, up
    /// to the limit.
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

    /// A profile with the limits of this section.
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

/// What the body of a route's requests is.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum BodyProfile {
    /// There is none.
    None,
    /// Anything, handed on as it comes in.
    Streamed,
    /// Anything, read before the handler runs.
    Bytes,
    /// Any JSON.
    Json,
    /// One image.
    Image,
    /// `{"type":"image","image":{"b64":…}}`.
    ImageJson,
    /// A form of fields and images.
    Multipart,
    /// OpenAI's chat completions.
    OpenaiChat,
    /// OpenAI's completions.
    OpenaiCompletions,
    /// OpenAI's embeddings.
    OpenaiEmbeddings,
    /// OpenAI's responses.
    OpenaiResponses,
    /// Anthropic's messages.
    AnthropicMessages,
    /// Ollama's chat.
    OllamaChat,
    /// Ollama's generate.
    OllamaGenerate,
}

impl BodyProfile {
    /// The profile, with its own limits.
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
