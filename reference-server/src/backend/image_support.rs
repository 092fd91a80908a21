//! What a model does with images.

use serde::Serialize;

/// What a model does with images, for `/v1/models`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ImageSupport {
    /// The rule by which images are resized: `smart_resize` of Qwen2.5-VL.
    pub resize: &'static str,
    /// The sides are multiples of this number of pixels; such a square is one token.
    pub factor: u32,
    /// The minimum number of pixels; smaller images are scaled up.
    pub min_pixels: u64,
    /// The maximum number of pixels; larger images are scaled down.
    pub max_pixels: u64,
    /// The maximum number of images that the model sees in a chat.
    pub max_images: usize,
    /// What happens to older ones: `refuse` or `drop`.
    pub older_images: &'static str,
    /// The space of coordinates in answers: `model`, the image that the model sees, or `original`.
    pub coordinates: &'static str,
}
