//! Decodes image files to pixels.

use std::panic::{self, AssertUnwindSafe};

use image::{DynamicImage, ImageBuffer, Pixel};
use stockade_body::{PixelFormat, Pixels};

use crate::chat::{EncodedImage, ImageRejection, MAX_PIXELS};

/// The maximum size of a decoded image, in bytes: [`MAX_PIXELS`] at 8 bits per channel. Images
/// with 16 bits per channel may have half as many pixels.
const MAX_DECODED: u64 = MAX_PIXELS * 4;

/// Decodes an image, or the first frame of an animation. Blocking: run it in the decode pool.
///
/// The limits are those of the server, whatever size the model sees.
pub(crate) fn decode(encoded: &EncodedImage) -> Result<DynamicImage, ImageRejection> {
    // Decoders have panicked on hostile files before.
    let decode = AssertUnwindSafe(|| encoded.validated().decode_blocking(MAX_DECODED));
    let pixels = panic::catch_unwind(decode).map_err(|_| ImageRejection::Corrupt)??;
    to_image(pixels).ok_or(ImageRejection::Corrupt)
}

/// `None` for a format that this server does not know.
fn to_image(pixels: Pixels) -> Option<DynamicImage> {
    let (format, size) = (pixels.format(), (pixels.width(), pixels.height()));
    let bytes = pixels.into_bytes();
    Some(match format {
        PixelFormat::Luma8 => DynamicImage::ImageLuma8(buffer(size, bytes)?),
        PixelFormat::LumaA8 => DynamicImage::ImageLumaA8(buffer(size, bytes)?),
        PixelFormat::Rgb8 => DynamicImage::ImageRgb8(buffer(size, bytes)?),
        PixelFormat::Rgba8 => DynamicImage::ImageRgba8(buffer(size, bytes)?),
        PixelFormat::Luma16 => DynamicImage::ImageLuma16(buffer(size, words(&bytes))?),
        PixelFormat::LumaA16 => DynamicImage::ImageLumaA16(buffer(size, words(&bytes))?),
        PixelFormat::Rgb16 => DynamicImage::ImageRgb16(buffer(size, words(&bytes))?),
        PixelFormat::Rgba16 => DynamicImage::ImageRgba16(buffer(size, words(&bytes))?),
        _ => return None,
    })
}

fn buffer<P>(
    (width, height): (u32, u32),
    channels: Vec<P::Subpixel>,
) -> Option<ImageBuffer<P, Vec<P::Subpixel>>>
where
    P: Pixel,
{
    ImageBuffer::from_raw(width, height, channels)
}

fn words(bytes: &[u8]) -> Vec<u16> {
    let (words, _) = bytes.as_chunks();
    words.iter().copied().map(u16::from_ne_bytes).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn decodes_every_format_of_png_without_a_change() {
        let gradient = DynamicImage::ImageRgba16(ImageBuffer::from_fn(5, 3, |x, y| {
            image::Rgba([x as u16 * 9_001, y as u16 * 20_011, 77, 60_000])
        }));
        for image in [
            DynamicImage::ImageLuma8(gradient.to_luma8()),
            DynamicImage::ImageLumaA8(gradient.to_luma_alpha8()),
            DynamicImage::ImageRgb8(gradient.to_rgb8()),
            DynamicImage::ImageRgba8(gradient.to_rgba8()),
            DynamicImage::ImageLuma16(gradient.to_luma16()),
            DynamicImage::ImageLumaA16(gradient.to_luma_alpha16()),
            DynamicImage::ImageRgb16(gradient.to_rgb16()),
            gradient.clone(),
        ] {
            let mut png = Cursor::new(Vec::new());
            image.write_to(&mut png, image::ImageFormat::Png).unwrap();
            let base64 = base64(&png.into_inner());
            let encoded = EncodedImage::from_base64(&base64).unwrap();
            assert_eq!(decode(&encoded).unwrap(), image);
        }
    }

    fn base64(bytes: &[u8]) -> String {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(bytes)
    }
}
