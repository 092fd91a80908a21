//! Decodes image files to pixels.

use std::panic::{self, AssertUnwindSafe};

use image::DynamicImage;

use super::{EncodedImage, ImageRejection, MAX_PIXELS};

/// The maximum size of a decoded image, in bytes: [`MAX_PIXELS`] at 8 bits per channel. Images
/// with 16 bits per channel may have half as many pixels.
const MAX_DECODED: u64 = MAX_PIXELS * 4;

/// Decodes an image, or the first frame of an animation. Blocking: run it in the decode pool.
///
/// An image that is much larger than the model's input is downscaled immediately, so that images
/// waiting for the model take little memory. `side` is the longest side of the model's input; the
/// result keeps twice that, so that the model's own resize loses no quality.
pub(crate) fn decode(encoded: &EncodedImage, side: u32) -> Result<DynamicImage, ImageRejection> {
    // Decoders have panicked on hostile files before.
    let decode = AssertUnwindSafe(|| encoded.0.decode_blocking(MAX_DECODED));
    let image = panic::catch_unwind(decode).map_err(|_| ImageRejection::Corrupt)??;
    let max_side = side.saturating_mul(2);
    if image.width().max(image.height()) > max_side {
        Ok(image.thumbnail(max_side, max_side))
    } else {
        Ok(image)
    }
}
