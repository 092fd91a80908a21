//! Body profiles: a table of rules and their limits.

mod anthropic;
mod members;
mod ollama;
mod openai;
mod plain_chat;
mod rule;
mod table;
mod tree;
mod upload;

use std::{borrow::Cow, sync::Arc};

use crate::{ImageFormat, ImageRules, JsonLimits};

pub(crate) use members::MemberMatch;
pub(crate) use plain_chat::{Member, PlainChat};
pub use rule::Rule;
pub(crate) use rule::ValueKinds;
pub(crate) use tree::{Node, RuleTree};

/// Describes the bodies that a route accepts.
///
/// A profile is a table of [`Rule`]s at JSON pointers (RFC 6901, with `*` for every element of
/// an array), with limits. The built-in profiles know the members that make a model server
/// expensive and let unknown members pass, except in parts of a message: parts of an unknown
/// type are refused. Use [`rule`](Self::rule) to change them.
///
/// ```
/// use stockade_body::{Profile, Rule};
///
/// let chat = Profile::openai_chat()
///     .models(["tiny"])
///     .max_prompt_chars(50_000)
///     .rule("/temperature", Rule::Number(0.0, 1.0))
///     // Audio is refused unless allowed.
///     .rule("/messages/*/content/*/type", Rule::one_of(["text", "input_audio"]))
///     .rule("/messages/*/content/*/input_audio", Rule::Any);
///
/// let search = Profile::json()
///     .max_bytes(16 << 10)
///     .rule("/query", Rule::Required)
///     .rule("/query", Rule::MaxChars(500))
///     .rule("/limit", Rule::Integer(1, 100));
/// # let _ = (chat, search);
/// ```
#[derive(Clone, Debug)]
pub struct Profile {
    pub(crate) format: BodyFormat,
    /// Empty if any type is accepted.
    pub(crate) content_types: Vec<Cow<'static, str>>,
    pub(crate) max_bytes: Option<u64>,
    pub(crate) tree: RuleTree,
    /// Where the rules for a plain chat are, if it is subject to no others.
    pub(crate) plain_chat: Option<PlainChat>,
    pub(crate) json_limits: JsonLimits,
    pub(crate) models: Option<Vec<Arc<str>>>,
    pub(crate) max_prompt_chars: u64,
    pub(crate) max_tokens: i64,
    pub(crate) images: ImageRules,
    pub(crate) max_images: usize,
    pub(crate) max_image_bytes: u64,
}

/// How a body is read and validated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyFormat {
    Streamed,
    Whole,
    Json,
    Image,
    #[cfg(feature = "multipart")]
    Multipart,
}

impl Profile {
    /// No body: one byte is too large.
    pub fn empty() -> Self {
        Self::bytes().max_bytes(0)
    }

    /// A body of any type, passed through while it arrives and only counted: an upload to
    /// disk, a gRPC stream. Over the limit, the handler's read fails.
    pub fn streamed() -> Self {
        Self::new(BodyFormat::Streamed, &[])
    }

    /// A body of any type, read completely before the handler runs and not inspected.
    pub fn bytes() -> Self {
        Self::new(BodyFormat::Whole, &[])
    }

    /// A JSON document without rules.
    pub fn json() -> Self {
        Self::new(BodyFormat::Json, &["application/json"])
    }

    /// A single image as the whole body.
    pub fn image() -> Self {
        let types = ImageFormat::COMMON.map(|(media_type, _)| media_type);
        Self::new(BodyFormat::Image, &types)
    }

    /// A form of fields and images (`multipart/form-data`, RFC 7578).
    ///
    /// Rules see a field as a member of the root object, and numbers in fields as numbers. All
    /// files must be images.
    #[cfg(feature = "multipart")]
    pub fn multipart() -> Self {
        Self::new(BodyFormat::Multipart, &["multipart/form-data"]).rules(upload::form())
    }

    /// `{"type":"image","image":{"b64":…}}`, with an optional prompt.
    pub fn image_json() -> Self {
        Self::json().rules(upload::image_json())
    }

    /// OpenAI's `POST /v1/chat/completions`.
    pub fn openai_chat() -> Self {
        Self::json().rules(openai::chat())
    }

    /// OpenAI's `POST /v1/completions`.
    pub fn openai_completions() -> Self {
        Self::json().rules(openai::completions())
    }

    /// OpenAI's `POST /v1/embeddings`.
    pub fn openai_embeddings() -> Self {
        Self::json().rules(openai::embeddings())
    }

    /// OpenAI's `POST /v1/responses`.
    pub fn openai_responses() -> Self {
        Self::json().rules(openai::responses())
    }

    /// Anthropic's `POST /v1/messages`.
    pub fn anthropic_messages() -> Self {
        Self::json().rules(anthropic::messages())
    }

    /// Ollama's `POST /api/chat`.
    pub fn ollama_chat() -> Self {
        Self::json().rules(ollama::chat())
    }

    /// Ollama's `POST /api/generate`.
    pub fn ollama_generate() -> Self {
        Self::json().rules(ollama::generate())
    }

    fn new(format: BodyFormat, content_types: &[&'static str]) -> Self {
        Self {
            format,
            content_types: content_types.iter().copied().map(Cow::Borrowed).collect(),
            max_bytes: None,
            tree: RuleTree::new(),
            plain_chat: None,
            json_limits: JsonLimits::default(),
            models: None,
            max_prompt_chars: 10_000,
            max_tokens: 8_192,
            images: ImageRules::default(),
            max_images: 8,
            max_image_bytes: 20 << 20,
        }
    }

    fn rules(self, rules: Vec<(String, Rule)>) -> Self {
        let add = |profile: Self, (pointer, rule): (String, Rule)| profile.rule(&pointer, rule);
        rules.into_iter().fold(self, add)
    }

    /// Adds a rule for the value at a JSON pointer, in which `*` stands for every element of
    /// an array; the empty pointer is the whole body. It replaces an earlier rule of the same
    /// kind.
    pub fn rule(mut self, pointer: &str, rule: Rule) -> Self {
        self.tree.insert(pointer, rule);
        self.plain_chat = PlainChat::of(&self.tree);
        self
    }

    /// Sets the accepted media types, in lower case and without parameters.
    pub fn content_types<I, T>(mut self, types: I) -> Self
    where
        I: IntoIterator<Item = T>,
        T: Into<Cow<'static, str>>,
    {
        self.content_types = types.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the maximum body size. Default: that of [`BodyRules`](crate::BodyRules).
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// Sets the limits on JSON structure.
    pub fn json_limits(mut self, limits: JsonLimits) -> Self {
        self.json_limits = limits;
        self
    }

    /// Sets the available models. Default: any. A principal that is restricted to certain
    /// models may use only those that are listed here as well. A body without a model passes
    /// only if its API makes the model optional; chats and completions require it.
    pub fn models<I, T>(mut self, models: I) -> Self
    where
        I: IntoIterator<Item = T>,
        T: Into<Box<str>>,
    {
        let models = models.into_iter().map(|model| Arc::from(model.into()));
        self.models = Some(models.collect());
        self
    }

    /// Sets the maximum number of prompt characters in all texts together. Default: 10,000.
    pub fn max_prompt_chars(mut self, chars: u64) -> Self {
        self.max_prompt_chars = chars;
        self
    }

    /// Sets the maximum number of tokens that a client may request. Default: 8,192.
    pub fn max_tokens(mut self, tokens: u32) -> Self {
        self.max_tokens = tokens.into();
        self
    }

    /// Sets the rules for images.
    pub fn images(mut self, rules: ImageRules) -> Self {
        self.images = rules;
        self
    }

    /// Sets the maximum number of images. Default: 8.
    pub fn max_images(mut self, images: usize) -> Self {
        self.max_images = images;
        self
    }

    /// Sets the maximum decoded size of all images together. Default: 20 MiB.
    pub fn max_image_bytes(mut self, bytes: u64) -> Self {
        self.max_image_bytes = bytes;
        self
    }
}
