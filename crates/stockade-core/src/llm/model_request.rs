//! What a request asks of a model.

use std::sync::Arc;

use http::Extensions;

use crate::{context::RequestContext, llm::PromptDigest};

/// What a request asks of a model, as far as its body tells before the model runs.
///
/// Whoever reads the body says so, with [`ModelRequest::tell`]; budgets reserve by it, and the
/// audit log names the model.
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
    /// Tells this prompt from others; `None` where nobody digests prompts.
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

    /// What the request with these extensions asks for, where anybody has said so.
    pub fn of(extensions: &Extensions) -> Option<&Self> {
        match RequestContext::of(extensions) {
            Some(context) => context.demand(),
            None => extensions.get(),
        }
    }

    /// Says it of the request with these extensions: in its context, where there is one,
    /// and as an extension of its own otherwise. The first word stays.
    pub fn tell(self, extensions: &mut Extensions) {
        match RequestContext::of(extensions) {
            Some(context) => {
                context.set_demand(self);
            }
            None => {
                extensions.get_or_insert_with(|| self);
            }
        }
    }
}
