//! A request of any dialect.

use std::borrow::Cow;

use stockade_core::refusal::Refusal;

use super::{
    field_rules::FieldRules,
    limits::ChatLimits,
    refusals::missing,
    response::{ResponseHead, ResponseWriter},
    unknown_fields::UnknownFieldHandler,
    value_kind::ValueKind,
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

/// What all dialects read first.
pub(super) struct Opened {
    pub(super) model: String,
    pub(super) limits: ChatLimits,
    pub(super) unknown: UnknownFieldHandler,
}

impl ReadContext<'_> {
    /// Looks up the model, and checks the fields that the dialect does not read.
    pub(super) fn open(
        &self,
        model: Option<String>,
        rules: &FieldRules,
        other_fields: &[(Cow<'_, str>, ValueKind)],
    ) -> Result<Opened, Refusal> {
        let model = model.ok_or_else(|| missing("model"))?;
        let limits = (self.limits)(&model)?;
        let mut unknown = UnknownFieldHandler::new(self.unknown_fields);
        rules.check("", other_fields, &mut unknown)?;
        Ok(Opened {
            model,
            limits,
            unknown,
        })
    }
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
