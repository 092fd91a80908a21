//! What a model has responded with.

/// What the response of a model states about itself.
///
/// The handler sets it
/// ([`RequestContext::set_model_response`](crate::context::RequestContext::set_model_response)).
/// Its texts may be those of another server, so they are cut at
/// [`MAX_TEXT`](Self::MAX_TEXT) bytes.
///
/// ```
/// use stockade_core::{context::RequestContext, llm::ModelResponse};
///
/// let mut response = ModelResponse::default();
/// response.set_model("small-2026");
/// response.add_finish_reason("stop");
/// let context = RequestContext::new();
/// context.set_model_response(response);
/// assert_eq!(context.model_response().unwrap().finish_reasons(), ["stop".into()]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelResponse {
    id: Option<Box<str>>,
    model: Option<Box<str>>,
    finish_reasons: Vec<Box<str>>,
}

impl ModelResponse {
    /// The maximum length of a text in bytes.
    pub const MAX_TEXT: usize = 128;

    /// The maximum number of finish reasons. Further ones are dropped.
    pub const MAX_FINISH_REASONS: usize = 16;

    /// The id of the response, if its server gave it one.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Sets the id of the response.
    pub fn set_id(&mut self, id: &str) {
        self.id = Some(cut(id));
    }

    /// The name of the model that has responded, if it is known.
    pub fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// Sets the name of the model that has responded.
    pub fn set_model(&mut self, model: &str) {
        self.model = Some(cut(model));
    }

    /// Why each choice has ended, in the words of the API of the request.
    pub fn finish_reasons(&self) -> &[Box<str>] {
        &self.finish_reasons
    }

    /// Adds why a choice has ended.
    pub fn add_finish_reason(&mut self, reason: &str) {
        if self.finish_reasons.len() < Self::MAX_FINISH_REASONS {
            self.finish_reasons.push(cut(reason));
        }
    }
}

/// The start of a text.
fn cut(text: &str) -> Box<str> {
    let ends = text.char_indices().map(|(at, char)| at + char.len_utf8());
    let end = ends
        .take_while(|end| *end <= ModelResponse::MAX_TEXT)
        .last();
    text[..end.unwrap_or(0)].into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_another_server_are_bounded() {
        let mut response = ModelResponse::default();
        response.set_id("");
        response.set_model(&"é".repeat(ModelResponse::MAX_TEXT));
        for _ in 0..100 {
            response.add_finish_reason(&"x".repeat(1000));
        }
        assert_eq!(response.id(), Some(""));
        assert_eq!(response.model().map(str::len), Some(128));
        let reasons = response.finish_reasons();
        assert_eq!(reasons.len(), ModelResponse::MAX_FINISH_REASONS);
        assert!(reasons.iter().all(|reason| reason.len() == 128));
        // Not in the middle of a character.
        response.set_model(&format!("x{}", "é".repeat(100)));
        assert_eq!(response.model().map(str::len), Some(127));
    }
}
