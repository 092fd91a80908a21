//! The picture in the demo's example requests.

use base64::{Engine, prelude::BASE64_STANDARD};
use image::{ImageFormat, RgbImage};

/// A picture of the generator that draws the pictures of the training, none of which it was:
/// `tools/demo-model/example.py`.
const PNG: &[u8] = include_bytes!("../../demo-model/example.png");

/// The picture as a data URL that fits on a command line.
pub(super) fn data_url() -> String {
    format!("data:image/png;base64,{}", BASE64_STANDARD.encode(PNG))
}

/// The picture in block characters with 24-bit colours, for a terminal.
///
/// A character shows two pixels, one above the other, of the picture at half its size.
pub(super) fn blocks() -> String {
    let picture = half(
        &image::load_from_memory_with_format(PNG, ImageFormat::Png)
            .expect("a constant picture")
            .to_rgb8(),
    );
    let mut text = String::new();
    for y in (0..picture.height() / 2 * 2).step_by(2) {
        text.push_str("  ");
        for x in 0..picture.width() {
            let [r, g, b] = picture.get_pixel(x, y).0;
            let [r2, g2, b2] = picture.get_pixel(x, y + 1).0;
            text.push_str(&format!(
                "\x1b[38;2;{r};{g};{b}m\x1b[48;2;{r2};{g2};{b2}m\u{2580}"
            ));
        }
        text.push_str("\x1b[0m\n");
    }
    text
}

fn half(picture: &RgbImage) -> RgbImage {
    RgbImage::from_fn(picture.width() / 2, picture.height() / 2, |x, y| {
        let pixels = [(0, 0), (1, 0), (0, 1), (1, 1)]
            .map(|(right, down)| picture.get_pixel(2 * x + right, 2 * y + down).0);
        let mean = |channel: usize| {
            let sum: u16 = pixels.iter().map(|pixel| u16::from(pixel[channel])).sum();
            u8::try_from(sum / 4).expect("a mean of bytes")
        };
        image::Rgb([mean(0), mean(1), mean(2)])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fits_on_a_command_line_and_in_a_terminal() {
        assert!(data_url().len() < 4096, "{} bytes", data_url().len());
        let blocks = blocks();
        assert!(blocks.lines().count() <= 40);
        let columns = blocks.lines().map(|line| line.matches('\u{2580}').count());
        assert!(columns.max().unwrap() <= 78);
        assert!(blocks.lines().all(|line| line.ends_with("\x1b[0m")));
    }

    #[test]
    fn halves_by_the_mean_of_four_pixels() {
        let picture = RgbImage::from_fn(2, 2, |x, y| {
            image::Rgb([if x == y { 200 } else { 0 }, 0, 255])
        });
        assert_eq!(half(&picture).get_pixel(0, 0).0, [100, 0, 255]);
    }
}
