//! What a request asks of a model.

use std::sync::Arc;

use crate::llm::PromptDigest;

/// What a request asks of a model, as far as its body shows before the model runs.
///
/// The guard that reads the body sets it
/// ([`RequestContext::set_model_request`](crate::context::RequestContext::set_model_request));
/// budgets reserve by it, and the audit log names the model.
///
/// ```
/// use stockade_core::{context::RequestContext, llm::ModelRequest};
///
/// // A guard that reads bodies of another API publishes what the model will do.
/// let request = ModelRequest::new(Some("small".into()), 50, Some(256));
/// let context = RequestContext::builder().model_request(request).build();
/// let known = context.model_request().unwrap();
/// assert_eq!(known.prompt_tokens, 50);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelRequest {
    /// The model's name as the client wrote it; `None` where the body names none.
    pub model: Option<Arc<str>>,
    /// Tokens that the prompt may come to, images included: counted, or estimated from its
    /// size. What was used beyond it is charged when it is known.
    pub prompt_tokens: u64,
    /// The most tokens that the client wants back; `None` where it sets no bound.
    pub max_tokens: Option<u64>,
    /// A digest of the prompt; `None` if prompts are not digested.
    pub prompt_digest: Option<PromptDigest>,
    /// Images that were declared as another type than they are, and taken for what they are.
    pub relabelled_images: u32,
}

impl ModelRequest {
    /// A demand for this model.
    pub fn new(model: Option<Arc<str>>, prompt_tokens: u64, max_tokens: Option<u64>) -> Self {
        Self {
            model,
            prompt_tokens,
            max_tokens,
            prompt_digest: None,
            relabelled_images: 0,
        }
    }

    /// With the digest of its prompt.
    pub fn with_prompt_digest(mut self, digest: Option<PromptDigest>) -> Self {
        self.prompt_digest = digest;
        self
    }

    /// With this number of images whose declared type was wrong.
    pub fn with_relabelled_images(mut self, images: u32) -> Self {
        self.relabelled_images = images;
        self
    }
}
