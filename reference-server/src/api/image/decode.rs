//! From an image file to pixels.

use std::{io::Cursor, panic};

use image::{DynamicImage, ImageReader, Limits};

use super::{ImageFault, MAX_PIXELS, MAX_SIDE, Picture};

/// The most memory a decoder may ask for: all pixels at 8 bits a channel, and some room
/// to work in. Sixteen-bit images may have half as many.
const MAX_ALLOCATION: u64 = MAX_PIXELS * 4 + 32 * 1024 * 1024;

/// Decodes an image; of an animation, the first frame. Blocks: run it on the workbench.
///
/// An image that is far larger than the model looks at is shrunk at once, so that the
/// ones that wait for the model are small. `side` is the model's longest side; what
/// remains is at least twice that, so the model's own resize loses nothing.
pub(crate) fn decode(picture: &Picture, side: u32) -> Result<DynamicImage, ImageFault> {
    // Decoders have panicked on hostile files before, and will again.
    let image = panic::catch_unwind(|| read(picture)).map_err(|_| ImageFault::Broken)??;
    let most = side.saturating_mul(2);
    if image.width().max(image.height()) > most {
        Ok(image.thumbnail(most, most))
    } else {
        Ok(image)
    }
}

fn read(picture: &Picture) -> Result<DynamicImage, ImageFault> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_ALLOCATION);
    let mut reader = ImageReader::with_format(Cursor::new(&picture.bytes), picture.format);
    reader.limits(limits);
    reader.decode().map_err(|error| match error {
        image::ImageError::Limits(_) => ImageFault::Size,
        _ => ImageFault::Broken,
    })
}
