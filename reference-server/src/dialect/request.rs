//! A request of any dialect.

use stockade_core::refusal::Refusal;

use super::{
    limits::ChatLimits,
    response::{ResponseHead, ResponseWriter},
    unknown_fields::UnknownFieldHandler,
};
use crate::{chat::ChatRequest, config::UnknownFields};

/// What a dialect needs to know to read a request.
pub(crate) struct ReadContext<'a> {
    /// Looks up the limits of a model.
    pub(crate) limits: &'a dyn Fn(&str) -> Result<ChatLimits, Refusal>,
    /// How unknown fields are handled.
    pub(crate) unknown_fields: UnknownFields,
    /// The fields that all objects of the response share.
    pub(crate) head: ResponseHead,
}

/// A request that is valid as far as that needs no model, with its images still encoded.
pub(crate) struct DialectRequest {
    /// The name of the model.
    pub(crate) model: String,
    /// The chat.
    pub(crate) chat: ChatRequest,
    /// Whether the response is streamed.
    pub(crate) is_stream: bool,
    /// The fields that were ignored.
    pub(crate) unknown: UnknownFieldHandler,
    /// Writes the response.
    pub(crate) writer: Box<dyn ResponseWriter>,
}

impl DialectRequest {
    /// Removes the extensions that do not affect the model, and lists them as ignored.
    pub(crate) fn retain_extensions(&mut self, accepts: impl Fn(&str) -> bool) {
        let unknown = &mut self.unknown;
        self.chat.extensions.retain(|(name, _)| {
            let is_accepted = accepts(name);
            if !is_accepted {
                unknown.ignore(name, "");
            }
            is_accepted
        });
    }
}
