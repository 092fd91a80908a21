//! The images of a request.

use stockade_core::refusal::{Refusal, RefusalReason};

use super::refusals::invalid;
use crate::chat::{EncodedImage, Image, ImageRejection, Part};

/// The maximum number of images in a request. The fence permits fewer, unless its setting is
/// raised; a model may show only some of them, and only those are decoded.
const MAX_IMAGES: usize = 100;

/// Counts the images of a request.
#[derive(Default)]
pub(super) struct ImageBudget {
    images: usize,
}

impl ImageBudget {
    /// Adds an image, whose path is `param`.
    ///
    /// # Errors
    /// Returns a refusal if it is invalid, or exceeds the limits of a request.
    pub(super) fn add(
        &mut self,
        image: Result<EncodedImage, ImageRejection>,
        param: String,
    ) -> Result<Part, Refusal> {
        let file = image.map_err(|rejection| {
            invalid(param.as_str(), rejection.message())
                .with_code("INVALID_IMAGE")
                .with_reason(RefusalReason::InvalidImage)
        })?;
        self.images += 1;
        if self.images > MAX_IMAGES {
            return Err(invalid(param, "a request may have at most 100 images"));
        }
        Ok(Part::Image(Image { file, param }))
    }
}
