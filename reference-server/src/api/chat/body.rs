//! The body of a chat request: types are checked, values are not yet.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};

mod bounded_vec;
mod message;
mod stop_sequences;
mod value_kind;

pub(super) use bounded_vec::BoundedVec;
pub(super) use message::{Content, MessageBody, Part};
pub(super) use stop_sequences::StopSequences;
pub(super) use value_kind::ValueKind;

/// The maximum number of messages in a chat.
const MAX_MESSAGES: usize = 1_024;
/// The maximum number of other fields in a chat.
const MAX_OTHER_FIELDS: usize = 64;

/// A chat request as received. Image data is borrowed from the body where possible.
#[derive(Default)]
pub(super) struct ChatBody<'a> {
    pub(super) model: Option<String>,
    pub(super) messages: Option<BoundedVec<MessageBody<'a>, MAX_MESSAGES>>,
    pub(super) max_tokens: Option<u64>,
    pub(super) max_completion_tokens: Option<u64>,
    pub(super) temperature: Option<f64>,
    pub(super) top_p: Option<f64>,
    pub(super) n: Option<u64>,
    pub(super) seed: Option<i64>,
    pub(super) stop: Option<StopSequences>,
    pub(super) stream: Option<bool>,
    pub(super) stream_options: Option<StreamOptions>,
    pub(super) response_format: Option<ResponseFormat>,
    /// All other fields, with their names.
    pub(super) other_fields: Vec<(String, ValueKind)>,
}

/// The names of the fields of [`ChatBody`].
pub(super) const FIELDS: &[&str] = &[
    "model",
    "messages",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "n",
    "seed",
    "stop",
    "stream",
    "stream_options",
    "response_format",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StreamOptions {
    pub(super) include_usage: Option<bool>,
    /// OpenAI's padding against traffic analysis; its clients send `false`.
    pub(super) include_obfuscation: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct ResponseFormat {
    #[serde(rename = "type")]
    pub(super) kind: String,
}

impl<'de: 'a, 'a> Deserialize<'de> for ChatBody<'a> {
    fn deserialize<D>(deserializer: D) -> Result<Self, D::Error>
    where
        D: Deserializer<'de>,
    {
        deserializer.deserialize_map(BodyVisitor)
    }
}

/// Implemented by hand: a derived implementation either keeps unknown fields in a tree that takes
/// many times the memory of the body, or refuses them without their name.
struct BodyVisitor;

impl<'de> Visitor<'de> for BodyVisitor {
    type Value = ChatBody<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a chat object")
    }

    fn visit_map<A>(self, mut map: A) -> Result<Self::Value, A::Error>
    where
        A: MapAccess<'de>,
    {
        let mut body = ChatBody::default();
        let mut seen = 0_u16;
        while let Some(name) = map.next_key::<String>()? {
            if let Some(at) = FIELDS.iter().position(|field| *field == name) {
                if seen & 1 << at != 0 {
                    return Err(A::Error::duplicate_field(FIELDS[at]));
                }
                seen |= 1 << at;
            }
            match name.as_str() {
                "model" => body.model = map.next_value()?,
                "messages" => body.messages = map.next_value()?,
                "max_tokens" => body.max_tokens = map.next_value()?,
                "max_completion_tokens" => body.max_completion_tokens = map.next_value()?,
                "temperature" => body.temperature = map.next_value()?,
                "top_p" => body.top_p = map.next_value()?,
                "n" => body.n = map.next_value()?,
                "seed" => body.seed = map.next_value()?,
                "stop" => body.stop = map.next_value()?,
                "stream" => body.stream = map.next_value()?,
                "stream_options" => body.stream_options = map.next_value()?,
                "response_format" => body.response_format = map.next_value()?,
                _ if body.other_fields.len() == MAX_OTHER_FIELDS => {
                    return Err(A::Error::custom("too many fields"));
                }
                _ => body.other_fields.push((name, map.next_value()?)),
            }
        }
        Ok(body)
    }
}
