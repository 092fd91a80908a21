//! Images that clients send: bytes within the request, never an address.
//!
//! Nothing here opens a file or a connection. Type, size and structure are read by
//! [`ImageRules`], the same reader as the fence's, which inflates and decodes nothing. So the
//! bytes that the fence judged are the bytes that are decoded here.

use bytes::Bytes;
use stockade_body::{DataUrl, ImageError, ImageErrorKind, ImageFormat, ImageRules, ValidatedImage};

mod decode;
mod decode_pool;

pub(crate) use decode::decode;
pub(crate) use decode_pool::DecodePool;

/// The most bytes of one image file.
const MAX_BYTES: u64 = 10 * 1024 * 1024;
/// The longest side, in pixels.
const MAX_SIDE: u32 = 16_384;
/// The most pixels.
const MAX_PIXELS: u64 = 40_000_000;

/// An image file whose type and size are known and allowed.
#[derive(Clone, Debug)]
pub(crate) struct EncodedImage(ValidatedImage);

/// What is wrong with an image. The texts are fixed: what a decoder says may tell about
/// this machine, and what a client sent is long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ImageRejection {
    /// Not an inline image.
    NotInline,
    InvalidBase64,
    FileTooLarge,
    /// None of the four types.
    UnsupportedFormat,
    /// Too many pixels.
    TooManyPixels,
    /// It cannot be decoded.
    Corrupt,
}

impl ImageRejection {
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::NotInline => {
                "an image must be sent within the request, as \
                 data:image/png;base64,… (or jpeg, webp, gif): this server fetches nothing"
            }
            Self::InvalidBase64 => "the image is not valid base64 (standard alphabet)",
            Self::FileTooLarge => "the image file is larger than 10 MiB: shrink it",
            Self::UnsupportedFormat => "the image is none of PNG, JPEG, WebP or GIF",
            Self::TooManyPixels => {
                "the image is larger than 16384 pixels a side or 40 megapixels: shrink it"
            }
            Self::Corrupt => "the image cannot be decoded: it is cut off or damaged",
        }
    }
}

impl From<ImageError> for ImageRejection {
    fn from(error: ImageError) -> Self {
        match error.kind() {
            ImageErrorKind::Remote | ImageErrorKind::DataUrl => Self::NotInline,
            ImageErrorKind::Unsupported => Self::UnsupportedFormat,
            ImageErrorKind::Base64 => Self::InvalidBase64,
            ImageErrorKind::TooManyBytes => Self::FileTooLarge,
            ImageErrorKind::TooLong
            | ImageErrorKind::TooManyPixels
            | ImageErrorKind::TooManyFrames
            | ImageErrorKind::TooManyScans => Self::TooManyPixels,
            // Broken, cut off, or more than one file; kinds that are added later, too.
            _ => Self::Corrupt,
        }
    }
}

impl EncodedImage {
    /// Reads `data:image/(png|jpeg|webp|gif);base64,…`. The bytes decide of which type the
    /// image is; whether they may differ from the URL is the fence's to say.
    pub(crate) fn from_url(url: &str) -> Result<Self, ImageRejection> {
        let url = DataUrl::parse(url.as_bytes()).map_err(|_| ImageRejection::NotInline)?;
        Self::read(Some(url.format()), url.base64())
    }

    /// Reads bare base64; the bytes say of which type they are.
    pub(crate) fn from_base64(data: &str) -> Result<Self, ImageRejection> {
        Self::read(None, data.as_bytes())
    }

    fn read(declared: Option<ImageFormat>, base64: &[u8]) -> Result<Self, ImageRejection> {
        let text = Bytes::copy_from_slice(base64);
        let image = ValidatedImage::from_base64(&rules(), declared, text)?;
        Ok(Self(image.compact()))
    }

    /// How many pixels it will have.
    pub(crate) fn pixels(&self) -> u64 {
        let facts = self.0.facts();
        u64::from(facts.width) * u64::from(facts.height)
    }
}

/// The server's own limits, whatever those of the fence are. How many frames an animation may
/// have is the fence's to say; the model sees the first one.
fn rules() -> ImageRules {
    ImageRules::default()
        .bytes(MAX_BYTES)
        .side(MAX_SIDE)
        .pixels(MAX_PIXELS)
        .frames(u32::MAX)
}

#[cfg(test)]
mod tests;
