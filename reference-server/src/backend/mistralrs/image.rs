//! Prepares images for the model: without transparency, at the size of its [`SizeRule`].

use fast_image_resize::{
    FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer,
    images::{Image, ImageRef},
};
use image::{DynamicImage, GenericImageView, Rgb, RgbImage, imageops};

use super::size_rule::{Layout, SizeRule};
use crate::chat::ImageSize;

/// An image at the size that the model sees.
#[derive(Clone, Debug)]
pub(super) struct PreparedImage {
    pub(super) pixels: DynamicImage,
    pub(super) geometry: Geometry,
    /// The number of tokens in the prompt.
    pub(super) tokens: usize,
}

/// The sizes of an image.
#[derive(Clone, Copy, Debug)]
pub(super) struct Geometry {
    /// The size in the request.
    pub(super) original: (u32, u32),
    pub(super) layout: Layout,
}

impl Geometry {
    /// The size that the model sees.
    pub(super) fn size(&self) -> ImageSize {
        let (width, height) = self.layout.shown;
        ImageSize { width, height }
    }
}

/// Prepares an image. Blocking: a large image takes tens of milliseconds.
///
/// An image that is too narrow for the model is padded with black at the right and the bottom, so
/// that coordinates stay valid.
///
/// # Errors
/// Returns `None` if the image has no pixels.
pub(super) fn prepare(image: DynamicImage, rule: &SizeRule) -> Option<PreparedImage> {
    let original = image.dimensions();
    if original.0 == 0 || original.1 == 0 {
        return None;
    }
    let layout = rule.layout(original);
    tracing::debug!(?original, shown = ?layout.shown, "image");
    let padded = pad(flatten(image), layout.padded);
    let pixels = if layout.padded == layout.shown {
        padded
    } else {
        resize(&padded, layout.shown)?
    };
    Some(PreparedImage {
        pixels: DynamicImage::ImageRgb8(pixels),
        geometry: Geometry { original, layout },
        tokens: rule.tokens(layout.shown),
    })
}

/// Composes an image onto white, as a browser would; the engine would drop the alpha channel, and
/// hidden pixels would become visible.
fn flatten(image: DynamicImage) -> RgbImage {
    if !image.color().has_alpha() {
        return image.into_rgb8();
    }
    let image = image.into_rgba8();
    let (width, height) = image.dimensions();
    let pixels = image.pixels().flat_map(|pixel| {
        let [red, green, blue, alpha] = pixel.0.map(u16::from);
        [red, green, blue].map(|channel| {
            let sum = channel * alpha + 255 * (255 - alpha);
            u8::try_from((sum + 127) / 255).unwrap_or(u8::MAX)
        })
    });
    let mut bytes = Vec::with_capacity(image.len() / 4 * 3);
    bytes.extend(pixels);
    RgbImage::from_raw(width, height, bytes).expect("three bytes for each pixel")
}

fn pad(image: RgbImage, (width, height): (u32, u32)) -> RgbImage {
    if image.dimensions() == (width, height) {
        return image;
    }
    let mut page = RgbImage::from_pixel(width, height, Rgb([0; 3]));
    imageops::replace(&mut page, &image, 0, 0);
    page
}

/// Resizes with the bicubic filter of the model's own preprocessor. Unlike `imageops`, this needs
/// no copy of the image in floating point, which takes over five times the memory.
fn resize(image: &RgbImage, (width, height): (u32, u32)) -> Option<RgbImage> {
    let (from, to) = (image.dimensions(), (width, height));
    let source = ImageRef::new(from.0, from.1, image.as_raw(), PixelType::U8x3).ok()?;
    let mut target = Image::new(to.0, to.1, PixelType::U8x3);
    let filter = ResizeAlg::Convolution(FilterType::CatmullRom);
    let options = ResizeOptions::new().resize_alg(filter);
    Resizer::new().resize(&source, &mut target, &options).ok()?;
    RgbImage::from_raw(to.0, to.1, target.into_vec())
}

#[cfg(test)]
mod tests {
    use image::{Rgba, RgbaImage};

    use super::*;

    const RULE: SizeRule = SizeRule {
        factor: 28,
        min_pixels: 3_136,
        max_pixels: 12_845_056,
    };

    fn prepared(image: impl Into<DynamicImage>) -> RgbImage {
        prepare(image.into(), &RULE).unwrap().pixels.into_rgb8()
    }

    #[test]
    fn sides_become_those_of_the_rule() {
        for (from, to) in [
            ((224, 168), (224, 168)),
            ((230, 180), (224, 168)),
            ((1, 1), (56, 56)),
            ((1_920, 1_080), (1_932, 1_092)),
        ] {
            let image = prepare(DynamicImage::new_rgb8(from.0, from.1), &RULE).unwrap();
            assert_eq!(image.pixels.dimensions(), to);
        }
    }

    #[test]
    fn an_image_of_the_right_size_is_unchanged() {
        let image = RgbImage::from_fn(56, 84, |x, y| Rgb([x as u8, y as u8, 7]));
        assert_eq!(prepared(image.clone()), image);
    }

    #[test]
    fn a_narrow_image_keeps_its_coordinates() {
        let mut image = RgbImage::from_pixel(4_200, 20, Rgb([255; 3]));
        image.put_pixel(0, 0, Rgb([255, 0, 0]));
        let shown = prepared(image);
        assert_eq!(shown.dimensions(), (4_200, 56));
        assert!(shown.get_pixel(0, 0).0[2] < 100 && shown.get_pixel(9, 55).0[0] < 9);
    }

    #[test]
    fn transparent_pixels_become_white() {
        let clear = RgbaImage::from_pixel(56, 56, Rgba([9, 9, 9, 0]));
        assert_eq!(prepared(clear).get_pixel(0, 0).0, [255; 3]);
        let half = RgbaImage::from_pixel(56, 56, Rgba([0, 100, 255, 51]));
        assert_eq!(prepared(half).get_pixel(9, 9).0, [204, 224, 255]);
    }

    #[test]
    fn a_resized_edge_stays_in_its_place() {
        let image = RgbImage::from_fn(560, 560, |x, _| Rgb([if x < 280 { 0 } else { 255 }; 3]));
        let rule = SizeRule {
            max_pixels: 78_400,
            ..RULE
        };
        let shown = prepare(image.into(), &rule).unwrap().pixels.into_rgb8();
        assert_eq!(shown.dimensions(), (280, 280));
        assert!(shown.get_pixel(137, 9).0[0] < 9 && shown.get_pixel(142, 9).0[0] > 246);
    }

    #[test]
    fn an_image_without_pixels_is_refused() {
        assert!(prepare(DynamicImage::new_rgb8(0, 5), &RULE).is_none());
    }
}
