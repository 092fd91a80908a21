//! The wire formats of chats, and their conversion to and from the canonical form in
//! [`chat`](crate::chat).
//!
//! Everything here is pure: bytes in, values out. Handlers read bodies and send responses.

mod bounded_vec;
pub mod chat;
mod completions;
pub(crate) mod embeddings;
mod extensions;
mod field_rules;
mod image_pixels;
mod images;
mod json;
mod limits;
mod messages;
mod object_body;
mod param_names;
mod refusals;
mod request;
mod response;
mod responses;
#[cfg(test)]
mod round_trips;
mod sampling;
mod sse;
mod string_or;
mod tools;
mod unknown_fields;
mod value_kind;

use stockade_core::refusal::Refusal;

use crate::{backend::RelayApi, chat::FinishReason};

pub(crate) use image_pixels::FIELD as IMAGE_PIXELS_FIELD;
pub(crate) use json::is_plain_path;
pub(crate) use limits::ChatLimits;
pub(crate) use refusals::missing;
pub(crate) use request::{DialectRequest, ReadContext};
pub(crate) use response::{Frame, ResponseHead, ResponseWriter};
pub(crate) use unknown_fields::{IGNORED_HEADER, is_plain, nearest, unknown_parameter};

/// The API that a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// OpenAI's chat completions.
    Chat,
    /// OpenAI's completions.
    Completions,
    /// OpenAI's responses.
    Responses,
    /// Anthropic's messages.
    Messages,
    /// Anthropic's count of the tokens of a messages request.
    CountTokens,
}

impl Dialect {
    /// The API of upstreams that have this dialect themselves.
    pub(crate) fn relay_api(self) -> RelayApi {
        match self {
            Self::Chat => RelayApi::Chat,
            Self::Completions => RelayApi::Completions,
            Self::Responses => RelayApi::Responses,
            Self::Messages => RelayApi::Messages,
            Self::CountTokens => RelayApi::CountTokens,
        }
    }

    /// The names of the fields that a request may have here, with those that are refused as
    /// unsupported.
    pub(crate) fn known_fields(self) -> impl Iterator<Item = &'static str> {
        let rules = match self {
            Self::Chat => &chat::FIELD_RULES,
            Self::Completions => &completions::FIELD_RULES,
            Self::Responses => &responses::FIELD_RULES,
            Self::Messages | Self::CountTokens => &messages::FIELD_RULES,
        };
        rules.names().chain(extensions::NAMES.iter().copied())
    }

    /// The API's name of a finish reason. Complete responses have only a status.
    pub(crate) fn finish_reason(self, reason: &FinishReason) -> &'static str {
        match self {
            Self::Chat | Self::Completions => chat::finish_reason(reason),
            Self::Responses => responses::incomplete_reason(reason).unwrap_or("completed"),
            Self::Messages | Self::CountTokens => messages::stop_reason(reason),
        }
    }

    /// Reads a request, and validates everything that needs neither the model nor a decoder.
    ///
    /// # Errors
    /// Returns a refusal that names the field.
    pub(crate) fn read(
        self,
        body: &[u8],
        context: ReadContext<'_>,
    ) -> Result<DialectRequest, Refusal> {
        match self {
            Self::Chat => chat::read(body, context),
            Self::Completions => completions::read(body, context),
            Self::Responses => responses::read(body, context),
            Self::Messages => messages::read(body, context),
            Self::CountTokens => messages::read_for_count(body, context),
        }
    }
}
