//! Properties of an image that was not decoded.

use crate::ImageFormat;

/// Properties of an image, read from its structure without decoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageInfo {
    /// The type by magic bytes.
    pub format: ImageFormat,
    /// The declared type, if the bytes are of another one.
    pub declared_as: Option<ImageFormat>,
    /// The stored width in pixels; the orientation in the metadata is not applied.
    pub width: u32,
    /// The stored height in pixels.
    pub height: u32,
    /// The number of frames; 1 unless animated.
    pub frames: u32,
    /// The size of the encoded image in bytes, without base64.
    pub bytes: u64,
}

impl ImageInfo {
    /// Returns the number of pixels in all frames together.
    pub fn pixels(&self) -> u64 {
        u64::from(self.width)
            .saturating_mul(u64::from(self.height))
            .saturating_mul(u64::from(self.frames))
    }
}

/// The dimensions found by walking a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dimensions {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) frames: u32,
}
