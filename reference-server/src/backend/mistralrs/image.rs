//! Resizes images to the model's input size.

use image::{DynamicImage, GenericImageView, Rgb, RgbImage, Rgba, RgbaImage, imageops};

use super::quirks;

/// The side of the square, in pixels, that is one token in the Qwen2.5-VL family.
const TILE: u32 = 28;

/// The image sizes that a model supports.
#[derive(Clone, Copy, Debug)]
pub(super) struct ImageBounds {
    /// The maximum length of a side, in pixels.
    pub(super) max_side: u32,
    /// The minimum and maximum number of pixels, from the model's files.
    pub(super) pixels: (u64, u64),
}

/// Prepares an image for the engine: without transparency, with sides that are whole tiles.
///
/// An image that is too small or too narrow is padded with black at the right and the bottom, so
/// that coordinates stay valid.
pub(super) fn resize(image: &DynamicImage, bounds: ImageBounds) -> DynamicImage {
    let padded = pad(flatten(image));
    let (width, height) = target(padded.dimensions(), bounds);
    let resized = if padded.dimensions() == (width, height) {
        padded
    } else {
        imageops::resize(&padded, width, height, imageops::FilterType::CatmullRom)
    };
    DynamicImage::ImageRgb8(resized)
}

/// The number of tokens of a resized image.
pub(super) fn tokens(resized: &DynamicImage) -> usize {
    let (width, height) = resized.dimensions();
    usize::try_from(width / TILE * (height / TILE)).unwrap_or(usize::MAX)
}

/// Composes an image onto white, as a browser would; the engine would drop the alpha channel, and
/// hidden pixels would become visible.
fn flatten(image: &DynamicImage) -> RgbImage {
    if !image.color().has_alpha() {
        return image.to_rgb8();
    }
    let (width, height) = image.dimensions();
    let mut page = RgbaImage::from_pixel(width, height, Rgba([255; 4]));
    imageops::overlay(&mut page, &image.to_rgba8(), 0, 0);
    DynamicImage::ImageRgba8(page).to_rgb8()
}

fn pad(image: RgbImage) -> RgbImage {
    let (width, height) = image.dimensions();
    let min = (width.max(height) / quirks::MAX_ASPECT_RATIO).max(quirks::MIN_SIDE);
    if width >= min && height >= min {
        return image;
    }
    let mut page = RgbImage::from_pixel(width.max(min), height.max(min), Rgb([0; 3]));
    imageops::replace(&mut page, &image, 0, 0);
    page
}

/// The nearest size of whole tiles within the bounds. The engine's own resize rounds in the same
/// way, so it leaves the result unchanged.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sides are between 1 and 2^32"
)]
fn target((width, height): (u32, u32), bounds: ImageBounds) -> (u32, u32) {
    let (width, height) = (f64::from(width), f64::from(height));
    let (min, max) = bounds.pixels;
    let longest = bounds.max_side.max(TILE) / TILE * TILE;
    let shrink = (f64::from(longest) / width.max(height)).min(1.0);
    let tiles =
        |side: f64, round: fn(f64) -> f64| (round(side / f64::from(TILE)) as u32).max(1) * TILE;
    let scaled = |scale: f64, round: fn(f64) -> f64| {
        (tiles(width * scale, round), tiles(height * scale, round))
    };
    let area = |(w, h): (u32, u32)| u64::from(w) * u64::from(h);
    #[expect(clippy::cast_precision_loss, reason = "areas are far below 2^53")]
    let to_area = |pixels: u64| (pixels as f64 / (width * height)).sqrt();

    let size = scaled(shrink, f64::round);
    if area(size) > max {
        scaled(to_area(max), f64::floor)
    } else if area(size) < min {
        scaled(to_area(min), f64::ceil)
    } else {
        size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: ImageBounds = ImageBounds {
        max_side: 1440,
        pixels: (3136, 12_845_056),
    };

    fn resized(width: u32, height: u32) -> (u32, u32) {
        resize(&DynamicImage::new_rgb8(width, height), BOUNDS).dimensions()
    }

    #[test]
    fn sides_become_whole_tiles() {
        assert_eq!(resized(224, 168), (224, 168));
        assert_eq!(resized(230, 180), (224, 168));
        assert_eq!(resized(3840, 2160), (1428, 812));
    }

    #[test]
    fn small_images_are_padded_and_grown() {
        assert_eq!(resized(1, 1), (56, 56));
        assert_eq!(resized(27, 400), (28, 392));
        let (width, height) = resized(3000, 1);
        assert!(height >= 28 && width / height < 200, "{width} x {height}");
    }

    #[test]
    fn stays_within_the_models_pixels() {
        let bounds = ImageBounds {
            max_side: 1440,
            pixels: (3136, 100_000),
        };
        let (width, height) = resize(&DynamicImage::new_rgb8(1000, 500), bounds).dimensions();
        assert!(width * height <= 100_000 && width * height > 80_000);
    }

    #[test]
    fn transparent_pixels_become_white() {
        let image = RgbaImage::from_pixel(56, 56, Rgba([9, 9, 9, 0]));
        let resized = resize(&DynamicImage::ImageRgba8(image), BOUNDS).to_rgb8();
        assert_eq!(resized.get_pixel(0, 0).0, [255; 3]);
    }

    #[test]
    fn counts_one_token_per_tile() {
        assert_eq!(
            tokens(&resize(&DynamicImage::new_rgb8(224, 168), BOUNDS)),
            48
        );
    }
}
