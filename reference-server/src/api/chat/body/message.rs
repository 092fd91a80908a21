//! One message of a chat's body.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, SeqAccess, Visitor, value::SeqAccessDeserializer},
};

use super::{Few, Probe};

/// The most parts a message may have.
const MAX_PARTS: usize = 256;

/// The fields that OpenAI's own messages have, so that an answer can be sent back as it
/// was received.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::api::chat) struct MessageBody<'a> {
    pub(in crate::api::chat) role: String,
    #[serde(borrow, default)]
    pub(in crate::api::chat) content: Content<'a>,
    /// Tells speakers of one role apart; templates of this server's models have no
    /// place for it.
    #[serde(default, rename = "name")]
    _name: IgnoredAny,
    #[serde(default, rename = "annotations")]
    _annotations: IgnoredAny,
    pub(in crate::api::chat) refusal: Option<Probe>,
    pub(in crate::api::chat) audio: Option<Probe>,
    pub(in crate::api::chat) function_call: Option<Probe>,
    pub(in crate::api::chat) tool_calls: Option<Probe>,
    pub(in crate::api::chat) tool_call_id: Option<Probe>,
}

/// What a message says.
#[derive(Default)]
pub(in crate::api::chat) enum Content<'a> {
    /// Absent, or `null`.
    #[default]
    Nothing,
    Text(String),
    Parts(Vec<Part<'a>>),
}

/// One part of a message. Which fields it must have depends on `type`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::api::chat) struct Part<'a> {
    #[serde(rename = "type")]
    pub(in crate::api::chat) kind: String,
    pub(in crate::api::chat) text: Option<String>,
    #[serde(borrow)]
    pub(in crate::api::chat) image_url: Option<ImageUrl<'a>>,
    #[serde(borrow)]
    pub(in crate::api::chat) image: Option<InlineImage<'a>>,
    /// Parts of other kinds are refused by `type`; these are read over on the way.
    #[serde(default, rename = "input_audio")]
    _input_audio: IgnoredAny,
    #[serde(default, rename = "audio_url")]
    _audio_url: IgnoredAny,
    #[serde(default, rename = "video_url")]
    _video_url: IgnoredAny,
    #[serde(default, rename = "file")]
    _file: IgnoredAny,
    #[serde(default, rename = "refusal")]
    _refusal: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::api::chat) struct ImageUrl<'a> {
    #[serde(borrow)]
    pub(in crate::api::chat) url: Cow<'a, str>,
    /// How closely to look; these models always look as closely as they can.
    #[serde(default, rename = "detail")]
    _detail: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::api::chat) struct InlineImage<'a> {
    #[serde(borrow)]
    pub(in crate::api::chat) b64: Cow<'a, str>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D>(deserializer: D) -> Result<Self, D::Error>
    where
        D: Deserializer<'de>,
    {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or an array of parts")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Content::Nothing)
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E>
    where
        E: Error,
    {
        Ok(Content::Text(text.to_owned()))
    }

    fn visit_seq<A>(self, seq: A) -> Result<Self::Value, A::Error>
    where
        A: SeqAccess<'de>,
    {
        let parts = Few::<_, MAX_PARTS>::deserialize(SeqAccessDeserializer::new(seq))?;
        Ok(Content::Parts(parts.0))
    }
}
