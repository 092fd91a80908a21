//! What a header tells of an image.

use crate::ImageFormat;

/// What is known of an image that was not decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageInfo {
    /// Its type, by its magic bytes.
    pub format: ImageFormat,
    /// The type that it is declared as, where its bytes are of another one.
    pub declared_as: Option<ImageFormat>,
    /// Pixels in a row, as stored: an orientation in the metadata turns nothing here.
    pub width: u32,
    /// Rows of pixels, as stored.
    pub height: u32,
    /// 1, or the number of frames of an animation.
    pub frames: u32,
    /// Length of the encoded image in bytes, base64 undone.
    pub bytes: u64,
}

impl ImageInfo {
    /// Pixels in all frames together.
    pub fn pixels(&self) -> u64 {
        u64::from(self.width)
            .saturating_mul(u64::from(self.height))
            .saturating_mul(u64::from(self.frames))
    }
}

/// The picture that a walk through a file found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dimensions {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) frames: u32,
}
