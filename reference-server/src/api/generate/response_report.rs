//! Reports how a model has responded.

use std::mem;

use stockade_core::{context::RequestContext, llm::ModelResponse};

use crate::{chat::FinishReason, dialect::Dialect, models::Model};

/// What the context of a request gets when the response of the model is complete.
pub(super) struct ResponseReport {
    pub(super) context: RequestContext,
    dialect: Dialect,
    response: ModelResponse,
}

impl ResponseReport {
    pub(super) fn new(context: &RequestContext, dialect: Dialect, model: &Model) -> Self {
        let mut response = ModelResponse::default();
        response.set_model(&model.name);
        Self {
            context: context.clone(),
            dialect,
            response,
        }
    }

    /// Adds why a choice has ended.
    pub(super) fn add(&mut self, reason: &FinishReason) {
        let reason = self.dialect.finish_reason(reason);
        self.response.add_finish_reason(reason);
    }

    /// Reports the response; only the first report counts.
    pub(super) fn send(&mut self) {
        let response = mem::take(&mut self.response);
        self.context.set_model_response(response);
    }
}
