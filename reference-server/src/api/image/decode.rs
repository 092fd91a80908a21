//! From an image file to pixels.

use std::panic::{self, AssertUnwindSafe};

use image::DynamicImage;

use super::{EncodedImage, ImageRejection, MAX_PIXELS};

/// The most bytes of pixels: all of them at 8 bits a channel. Sixteen-bit images may have half
/// as many.
const MAX_DECODED: u64 = MAX_PIXELS * 4;

/// Decodes an image; of an animation, the first frame. Blocks: run it on the workbench.
///
/// An image that is far larger than the model looks at is shrunk at once, so that the
/// ones that wait for the model are small. `side` is the model's longest side; what
/// remains is at least twice that, so the model's own resize loses nothing.
pub(crate) fn decode(encoded: &EncodedImage, side: u32) -> Result<DynamicImage, ImageRejection> {
    // Decoders have panicked on hostile files before, and will again.
    let decode = AssertUnwindSafe(|| encoded.0.decode_blocking(MAX_DECODED));
    let image = panic::catch_unwind(decode).map_err(|_| ImageRejection::Corrupt)??;
    let max_side = side.saturating_mul(2);
    if image.width().max(image.height()) > max_side {
        Ok(image.thumbnail(max_side, max_side))
    } else {
        Ok(image)
    }
}
