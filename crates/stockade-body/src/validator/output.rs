//! The result of validating a body.

use std::sync::Arc;

use stockade_core::{guard::Head, llm::ModelRequest};

use crate::{ImageInfo, ValidatedImage, ValidatedImages, prompt::PromptHasher};

/// What validation found in a body, for later layers and the handler.
#[derive(Debug)]
pub(crate) struct ValidationOutput {
    pub(super) model: Option<Arc<str>>,
    pub(super) prompt_chars: u64,
    /// Estimated prompt tokens without images, in thirds.
    pub(super) token_thirds: u64,
    pub(super) max_tokens: Option<u64>,
    pub(super) choices: u64,
    pub(super) images: Vec<ValidatedImage>,
    /// Images of another type than declared.
    pub(super) relabelled_images: u32,
    /// The digest of the prompt so far, if prompts are digested.
    pub(super) hasher: Option<PromptHasher>,
}

impl Default for ValidationOutput {
    fn default() -> Self {
        Self {
            model: None,
            prompt_chars: 0,
            token_thirds: 0,
            max_tokens: None,
            choices: 1,
            images: Vec::new(),
            relabelled_images: 0,
            hasher: None,
        }
    }
}

impl ValidationOutput {
    pub(super) fn images(&self) -> impl Iterator<Item = &ValidatedImage> {
        self.images.iter()
    }

    /// Publishes a [`ModelRequest`] if a model is requested, and [`ValidatedImages`] as an
    /// extension if there are images.
    pub(crate) fn publish(self, head: &mut Head) {
        let image_tokens: u64 = self.images().map(|image| tokens_of(image.info())).sum();
        let prompt_tokens = self.token_thirds.div_ceil(3) + image_tokens;
        let max_tokens = self.max_tokens.map(|most| most * self.choices);
        if self.model.is_some() || prompt_tokens > 0 {
            let request = ModelRequest::new(self.model, prompt_tokens, max_tokens);
            let digest = self.hasher.map(PromptHasher::finish);
            let request = request
                .with_prompt_digest(digest)
                .with_relabelled_images(self.relabelled_images);
            head.context().set_model_request(request);
        }
        if !self.images.is_empty() {
            head.extensions
                .insert(ValidatedImages::from_iter(self.images));
        }
    }
}

/// Estimates the tokens of an image: one for each 28 × 28 pixels, as in Qwen's models, from 4
/// to 16,384, plus two markers. Other models use fewer.
fn tokens_of(info: &ImageInfo) -> u64 {
    let patches = |pixels: u32| u64::from(pixels.div_ceil(28));
    (patches(info.width) * patches(info.height)).clamp(4, 16_384) + 2
}
