//! Small pictures of 37 × 21 pixels: one computed gradient, written by Pillow 13; the
//! interlaced one is hand-written.

use stockade_body::ImageFormat::{self, Gif, Jpeg, Png, WebP};

/// A file, its format and its number of frames.
pub(crate) type Row = (&'static str, &'static [u8], ImageFormat, u32);

macro_rules! row {
    ($name:literal, $format:ident, $frames:literal) => {
        (
            $name,
            include_bytes!(concat!("files/", $name)).as_slice(),
            $format,
            $frames,
        )
    };
}

pub(crate) const ALL: [Row; 18] = [
    row!("rgb.png", Png, 1),
    row!("palette.png", Png, 1),
    row!("alpha.png", Png, 1),
    row!("deep.png", Png, 1),
    row!("interlaced.png", Png, 1),
    row!("animated.png", Png, 3),
    row!("baseline.jpg", Jpeg, 1),
    row!("progressive.jpg", Jpeg, 1),
    row!("grey.jpg", Jpeg, 1),
    row!("cmyk.jpg", Jpeg, 1),
    row!("turned.jpg", Jpeg, 1),
    row!("lossy.webp", WebP, 1),
    row!("lossless.webp", WebP, 1),
    row!("alpha.webp", WebP, 1),
    row!("turned.webp", WebP, 1),
    row!("animated.webp", WebP, 3),
    row!("still.gif", Gif, 1),
    row!("animated.gif", Gif, 3),
];

/// The file of this name.
pub(crate) fn file(name: &str) -> Vec<u8> {
    let (_, bytes, ..) = ALL.iter().find(|row| row.0 == name).unwrap();
    bytes.to_vec()
}
