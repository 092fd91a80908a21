//! The image in the demo's example requests.

use std::io::Cursor;

use base64::{Engine, prelude::BASE64_STANDARD};
use image::{ImageFormat, Rgb, RgbImage};

/// A small PNG, a sun over a field, as a data URL that fits on a command line.
pub(super) fn data_url() -> String {
    let picture = RgbImage::from_fn(56, 56, |x, y| {
        let (right, down) = (x.abs_diff(40), y.abs_diff(16));
        if right * right + down * down < 100 {
            Rgb([255, 200, 0])
        } else if y > 40 {
            Rgb([40, 140, 60])
        } else {
            Rgb([130, 190, 240])
        }
    });
    let mut png = Cursor::new(Vec::new());
    picture
        .write_to(&mut png, ImageFormat::Png)
        .expect("encoding to memory cannot fail");
    format!(
        "data:image/png;base64,{}",
        BASE64_STANDARD.encode(png.into_inner())
    )
}
