//! A message in the body of a chat request.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{
        Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
};

use super::{BoundedVec, ValueKind};

/// The maximum number of parts in a message.
const MAX_PARTS: usize = 256;

/// The maximum number of other fields in a message.
const MAX_OTHER_FIELDS: usize = 16;

/// A message. It accepts the fields of OpenAI's response messages, so that a client can send a
/// completion back as it received it.
#[derive(Default)]
pub(in crate::api::chat) struct MessageBody<'a> {
    pub(in crate::api::chat) role: Option<String>,
    pub(in crate::api::chat) content: Content<'a>,
    /// All other fields, with their names.
    pub(in crate::api::chat) other_fields: Vec<(String, ValueKind)>,
}

impl<'de: 'a, 'a> Deserialize<'de> for MessageBody<'a> {
    fn deserialize<D>(deserializer: D) -> Result<Self, D::Error>
    where
        D: Deserializer<'de>,
    {
        deserializer.deserialize_map(MessageVisitor)
    }
}

struct MessageVisitor;

impl<'de> Visitor<'de> for MessageVisitor {
    type Value = MessageBody<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message")
    }

    fn visit_map<A>(self, mut map: A) -> Result<Self::Value, A::Error>
    where
        A: MapAccess<'de>,
    {
        let mut message = MessageBody::default();
        let mut content = None;
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "role" if message.role.is_some() => {
                    return Err(A::Error::duplicate_field("role"));
                }
                "content" if content.is_some() => {
                    return Err(A::Error::duplicate_field("content"));
                }
                "role" => message.role = Some(map.next_value()?),
                "content" => content = Some(map.next_value()?),
                _ if message.other_fields.len() == MAX_OTHER_FIELDS => {
                    return Err(A::Error::custom("too many fields"));
                }
                _ => message.other_fields.push((name, map.next_value()?)),
            }
        }
        if message.role.is_none() {
            return Err(A::Error::missing_field("role"));
        }
        message.content = content.unwrap_or_default();
        Ok(message)
    }
}

/// The content of a message.
#[derive(Default)]
pub(in crate::api::chat) enum Content<'a> {
    /// Missing or `null`.
    #[default]
    Absent,
    Text(String),
    Parts(Vec<Part<'a>>),
}

/// A part of a message. The required fields depend on `type`.
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
    /// A hint for prompt caches, which does not affect the completion.
    #[serde(default, rename = "cache_control")]
    _cache_control: IgnoredAny,
    /// Parts of other types are refused by their `type`; their fields are ignored here.
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

/// The URL of an image: a string, or an object with a `url`.
pub(in crate::api::chat) struct ImageUrl<'a> {
    pub(in crate::api::chat) url: Cow<'a, str>,
    /// The path of the URL within `image_url`.
    pub(in crate::api::chat) at: &'static str,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ImageUrlObject<'a> {
    #[serde(borrow)]
    url: Cow<'a, str>,
    /// The detail level, which these models do not support.
    #[serde(default, rename = "detail")]
    _detail: IgnoredAny,
}

impl<'de: 'a, 'a> Deserialize<'de> for ImageUrl<'a> {
    fn deserialize<D>(deserializer: D) -> Result<Self, D::Error>
    where
        D: Deserializer<'de>,
    {
        deserializer.deserialize_any(ImageUrlVisitor)
    }
}

struct ImageUrlVisitor;

impl<'de> Visitor<'de> for ImageUrlVisitor {
    type Value = ImageUrl<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a URL or an object with one")
    }

    fn visit_borrowed_str<E>(self, url: &'de str) -> Result<Self::Value, E> {
        let url = url.into();
        Ok(ImageUrl { url, at: "" })
    }

    fn visit_str<E>(self, url: &str) -> Result<Self::Value, E> {
        let url = url.to_owned().into();
        Ok(ImageUrl { url, at: "" })
    }

    fn visit_map<A>(self, map: A) -> Result<Self::Value, A::Error>
    where
        A: MapAccess<'de>,
    {
        let object = ImageUrlObject::deserialize(MapAccessDeserializer::new(map))?;
        Ok(ImageUrl {
            url: object.url,
            at: ".url",
        })
    }
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
        Ok(Content::Absent)
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
        let parts = BoundedVec::<_, MAX_PARTS>::deserialize(SeqAccessDeserializer::new(seq))?;
        Ok(Content::Parts(parts.0))
    }
}
