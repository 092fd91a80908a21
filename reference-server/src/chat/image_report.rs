//! What a model sees of the images of a chat.

use std::fmt;

/// What a model sees of the images of a chat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageReport {
    /// The sizes of the images that it sees, in their order.
    pub sizes: Vec<ImageSize>,
    /// The number of older images that it does not see.
    pub dropped: usize,
    /// Whether coordinates in the answer are those of the last image as it was sent.
    pub maps_coordinates: bool,
}

/// A size in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageSize {
    /// The width.
    pub width: u32,
    /// The height.
    pub height: u32,
}

impl fmt::Display for ImageSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// The number of pixels of images that a request asks for; `None` is that of the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImagePixels {
    /// The minimum.
    pub min: Option<u64>,
    /// The maximum.
    pub max: Option<u64>,
}
