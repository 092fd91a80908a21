//! What a route takes: a table of rules, and the limits that they go by.

mod anthropic;
mod members;
mod ollama;
mod openai;
mod rule;
mod table;
mod tree;
mod upload;

use std::{borrow::Cow, sync::Arc};

use crate::{ImageFormat, ImageRules, JsonLimits};

pub(crate) use members::MemberMatch;
pub use rule::Rule;
pub(crate) use rule::ValueKinds;
pub(crate) use tree::{Node, RuleTree};

/// What the body of a request to one kind of route may be.
///
/// A profile is a table of [`Rule`]s at JSON pointers (RFC 6901, with `*` for each element
/// of an array) and the limits that they go by. Those that come with this crate know what
/// can cost a model server dear, and let members pass that they do not know, but for parts
/// of a message: parts of an unknown type are refused. [`rule`](Self::rule) changes and adds
/// to each of them.
///
/// ```
/// use stockade_body::{Profile, Rule};
///
/// let chat = Profile::openai_chat()
///     .models(["tiny"])
///     .max_prompt_chars(50_000)
///     .rule("/temperature", Rule::Number(0.0, 1.0))
///     // Sound is refused unless it is allowed.
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
    pub(crate) form: BodyFormat,
    /// Empty where any type is taken.
    pub(crate) content_types: Vec<Cow<'static, str>>,
    pub(crate) max_bytes: Option<u64>,
    pub(crate) tree: RuleTree,
    pub(crate) json_limits: JsonLimits,
    pub(crate) models: Option<Vec<Arc<str>>>,
    pub(crate) max_prompt_chars: u64,
    pub(crate) max_tokens: i64,
    pub(crate) images: ImageRules,
    pub(crate) max_images: usize,
    pub(crate) max_image_bytes: u64,
}

/// How a body is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyFormat {
    Streamed,
    Whole,
    Json,
    Image,
    Multipart,
}

impl Profile {
    /// No body: a body of one byte is too large.
    pub fn empty() -> Self {
        Self::bytes().max_bytes(0)
    }

    /// A body of any type that is handed on as it comes in, and only counted: an upload to
    /// a disk, a gRPC stream. Where it exceeds its limit the handler's reading fails.
    pub fn streamed() -> Self {
        Self::new(BodyFormat::Streamed, &[])
    }

    /// A body of any type that is read before the handler runs, and not looked into.
    pub fn bytes() -> Self {
        Self::new(BodyFormat::Whole, &[])
    }

    /// A JSON text; the rules are yours to add.
    pub fn json() -> Self {
        Self::new(BodyFormat::Json, &["application/json"])
    }

    /// One image that is the whole body.
    pub fn image() -> Self {
        let types = ImageFormat::COMMON.map(|(media_type, _)| media_type);
        Self::new(BodyFormat::Image, &types)
    }

    /// A form of fields and images (`multipart/form-data`, RFC 7578).
    ///
    /// A field is a member of the root to the rules; a number in it is read as one. All
    /// files must be images.
    pub fn multipart() -> Self {
        Self::new(BodyFormat::Multipart, &["multipart/form-data"]).rules(upload::form())
    }

    /// `{"type":"image","image":{"b64":…}}`, with a prompt perhaps.
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

    fn new(form: BodyFormat, content_types: &[&'static str]) -> Self {
        Self {
            form,
            content_types: content_types.iter().copied().map(Cow::Borrowed).collect(),
            max_bytes: None,
            tree: RuleTree::new(),
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

    /// Asks this of the value at this JSON pointer, in which `*` stands for each element of
    /// an array; the empty pointer is the whole body. A rule of the same kind for the same
    /// place gives way.
    pub fn rule(mut self, pointer: &str, rule: Rule) -> Self {
        self.tree.insert(pointer, rule);
        self
    }

    /// The only media types that are taken: lower case, without parameters.
    pub fn content_types<I, T>(mut self, types: I) -> Self
    where
        I: IntoIterator<Item = T>,
        T: Into<Cow<'static, str>>,
    {
        self.content_types = types.into_iter().map(Into::into).collect();
        self
    }

    /// The most bytes of body; those of [`BodyRules`](crate::BodyRules) unless it is set.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// How much structure JSON may have.
    pub fn json_limits(mut self, limits: JsonLimits) -> Self {
        self.json_limits = limits;
        self
    }

    /// The only models that there are; any unless it is set. A principal that may use
    /// certain models only may use those of them that are also named here. A body that
    /// names no model passes where its API lets it: not in those of chats and texts.
    pub fn models<I, T>(mut self, models: I) -> Self
    where
        I: IntoIterator<Item = T>,
        T: Into<Box<str>>,
    {
        let models = models.into_iter().map(|model| Arc::from(model.into()));
        self.models = Some(models.collect());
        self
    }

    /// The most characters of prompt, all texts together; 10,000 unless it is set.
    pub fn max_prompt_chars(mut self, chars: u64) -> Self {
        self.max_prompt_chars = chars;
        self
    }

    /// The most tokens that a client may want back; 8,192 unless it is set.
    pub fn max_tokens(mut self, tokens: u32) -> Self {
        self.max_tokens = tokens.into();
        self
    }

    /// Which images are taken.
    pub fn images(mut self, rules: ImageRules) -> Self {
        self.images = rules;
        self
    }

    /// The most images of a request; 8 unless it is set.
    pub fn max_images(mut self, images: usize) -> Self {
        self.max_images = images;
        self
    }

    /// The most bytes of all images of a request together, base64 undone; 20 MiB unless it
    /// is set.
    pub fn max_image_bytes(mut self, bytes: u64) -> Self {
        self.max_image_bytes = bytes;
        self
    }
}
