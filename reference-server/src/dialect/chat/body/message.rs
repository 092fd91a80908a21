//! A message in the body of a chat request.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, de::IgnoredAny};

use crate::dialect::{
    bounded_vec::BoundedVec,
    object_body::object_body,
    string_or::{StringOrList, StringOrObject},
    tools::MAX_CALLS,
};

/// The maximum number of parts in a message.
const MAX_PARTS: usize = 256;

object_body! {
    /// A message. It accepts the fields of OpenAI's response messages, and those that OpenAI's
    /// SDKs add to them, so that a client can send a completion back as it received it.
    pub(in crate::dialect) struct MessageBody<'a>: "a message" {
        role = "role": String,
        content = "content": StringOrList<'a, PartBody<'a>, MAX_PARTS>,
        tool_calls = "tool_calls": BoundedVec<ToolCallBody, MAX_CALLS>,
        tool_call_id = "tool_call_id": String,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::dialect) struct ToolCallBody {
    pub(in crate::dialect) id: String,
    #[serde(rename = "type")]
    pub(in crate::dialect) kind: Option<String>,
    pub(in crate::dialect) function: CallBody,
    /// The position in a stream, which clients that collect one may send back.
    #[serde(default, rename = "index")]
    _index: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::dialect) struct CallBody {
    pub(in crate::dialect) name: String,
    pub(in crate::dialect) arguments: Option<String>,
    /// The arguments as a value, which the `parse` methods of OpenAI's SDKs add.
    #[serde(default, rename = "parsed_arguments")]
    _parsed_arguments: IgnoredAny,
}

/// A part of a message. The required fields depend on `type`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::dialect) struct PartBody<'a> {
    #[serde(rename = "type")]
    pub(in crate::dialect) kind: String,
    pub(in crate::dialect) text: Option<String>,
    #[serde(borrow)]
    pub(in crate::dialect) image_url: Option<ImageUrl<'a>>,
    #[serde(borrow)]
    pub(in crate::dialect) image: Option<InlineImage<'a>>,
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
pub(in crate::dialect) struct ImageUrl<'a> {
    pub(in crate::dialect) url: Cow<'a, str>,
    /// The path of the URL within `image_url`.
    pub(in crate::dialect) at: &'static str,
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
        let (url, at) = match StringOrObject::<ImageUrlObject<'a>>::deserialize(deserializer)? {
            StringOrObject::String(url) => (url, ""),
            StringOrObject::Object(object) => (object.url, ".url"),
        };
        Ok(Self { url, at })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::dialect) struct InlineImage<'a> {
    #[serde(borrow)]
    pub(in crate::dialect) b64: Cow<'a, str>,
}
