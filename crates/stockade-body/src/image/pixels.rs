//! Decoded pixels, in a type that does not change with the version of a codec.

use std::fmt;

use image::ColorType;

/// The pixels of an image, row by row from the top, without padding.
///
/// ```
/// use bytes::Bytes;
/// use stockade_body::{ImageRules, PixelFormat, ValidatedImage};
///
/// # fn main() -> Result<(), stockade_body::ImageError> {
/// let url = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7";
/// let image = ValidatedImage::from_data_url(&ImageRules::default(), Bytes::from(url))?;
/// let pixels = image.decode_blocking(1 << 20)?;
///
/// assert_eq!((pixels.width(), pixels.height()), (1, 1));
/// assert_eq!(pixels.format(), PixelFormat::Rgba8);
/// // Transparent.
/// assert_eq!(pixels.as_bytes(), [0, 0, 0, 0]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Pixels {
    width: u32,
    height: u32,
    format: PixelFormat,
    bytes: Vec<u8>,
}

/// The channels of a pixel in the order of its bytes. Those with 16 bits are in the byte order
/// of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PixelFormat {
    /// Grey.
    Luma8,
    /// Grey and opacity.
    LumaA8,
    /// Red, green and blue.
    Rgb8,
    /// Red, green, blue and opacity.
    Rgba8,
    /// Grey, 16 bits.
    Luma16,
    /// Grey and opacity, 16 bits each.
    LumaA16,
    /// Red, green and blue, 16 bits each.
    Rgb16,
    /// Red, green, blue and opacity, 16 bits each.
    Rgba16,
}

impl Pixels {
    pub(super) fn new(width: u32, height: u32, format: PixelFormat, bytes: Vec<u8>) -> Self {
        Self {
            width,
            height,
            format,
            bytes,
        }
    }

    /// Returns the pixels in a row.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Returns the number of rows.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Returns the format of each pixel.
    pub fn format(&self) -> PixelFormat {
        self.format
    }

    /// Returns all bytes: width × height × the bytes of a pixel.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Takes the bytes out.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl PixelFormat {
    /// The format of what a codec decodes; `None` if no codec of this crate does.
    pub(super) fn of(color: ColorType) -> Option<Self> {
        Some(match color {
            ColorType::L8 => Self::Luma8,
            ColorType::La8 => Self::LumaA8,
            ColorType::Rgb8 => Self::Rgb8,
            ColorType::Rgba8 => Self::Rgba8,
            ColorType::L16 => Self::Luma16,
            ColorType::La16 => Self::LumaA16,
            ColorType::Rgb16 => Self::Rgb16,
            ColorType::Rgba16 => Self::Rgba16,
            _ => return None,
        })
    }
}

impl fmt::Debug for Pixels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pixels")
            .field("width", &self.width)
            .field("height", &self.height)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}
