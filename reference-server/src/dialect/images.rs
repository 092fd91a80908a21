//! The images of a request.

use stockade_core::refusal::{Refusal, RefusalReason};

use super::refusals::invalid;
use crate::chat::{EncodedImage, Image, ImageRejection, Part};

/// The maximum number of images in a request; a model may support fewer.
const MAX_IMAGES: usize = 8;
/// The maximum number of pixels of all images together, which bounds the memory of a request.
const MAX_PIXELS: u64 = 80_000_000;

/// Counts the images and pixels of a request.
#[derive(Default)]
pub(super) struct ImageBudget {
    images: usize,
    pixels: u64,
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
        self.pixels += file.pixels();
        if self.images > MAX_IMAGES {
            return Err(invalid(param, "a request may have at most 8 images"));
        }
        if self.pixels > MAX_PIXELS {
            let text = "the images of a request may have at most 80 megapixels in total";
            return Err(invalid(param, text));
        }
        Ok(Part::Image(Image { file, param }))
    }
}
