//! Images in requests: inline data only, never a remote URL.
//!
//! This module opens no file and no connection. [`ImageRules`], which the fence uses too, reads
//! type, size and structure without inflating or decoding. The bytes that the fence has validated
//! are therefore the bytes that are decoded here.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use stockade_body::{DataUrl, ImageError, ImageErrorKind, ImageFormat, ImageRules, ValidatedImage};

/// The maximum size of an image file, in bytes.
const MAX_BYTES: u64 = 10 * 1024 * 1024;
/// The maximum length of a side, in pixels.
const MAX_SIDE: u32 = 16_384;
/// The maximum number of pixels.
pub(crate) const MAX_PIXELS: u64 = 40_000_000;

/// An image of a message, still encoded.
#[derive(Clone, Debug)]
pub struct Image {
    pub(crate) file: EncodedImage,
    /// The path of the image in the request, for errors.
    pub(crate) param: String,
}

impl Image {
    /// The path of the image in the request, such as `messages[0].content[1].image_url`.
    pub fn param(&self) -> &str {
        &self.param
    }
}

/// An image file whose type and size have been validated.
#[derive(Clone, Debug)]
pub(crate) struct EncodedImage(ValidatedImage);

/// Why an image is rejected. The messages are fixed, because a decoder's error may reveal details
/// of this machine and the input may be long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ImageRejection {
    /// Not a data URL of an image.
    NotInline,
    InvalidBase64,
    FileTooLarge,
    /// None of the four supported types.
    UnsupportedFormat,
    /// Too many pixels, frames or scans.
    TooManyPixels,
    /// The image cannot be decoded.
    Corrupt,
}

impl ImageRejection {
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::NotInline => {
                "an image must be inline, as data:image/png;base64,… (or jpeg, webp, gif): \
                 this server fetches no URLs"
            }
            Self::InvalidBase64 => "the image is not valid base64 (standard alphabet)",
            Self::FileTooLarge => "the image file is larger than 10 MiB: send a smaller one",
            Self::UnsupportedFormat => "the image is not a PNG, JPEG, WebP or GIF",
            Self::TooManyPixels => {
                "the image is larger than 16384 pixels per side or 40 megapixels: send a smaller one"
            }
            Self::Corrupt => "the image cannot be decoded: it is truncated or damaged",
        }
    }
}

impl From<ImageError> for ImageRejection {
    fn from(error: ImageError) -> Self {
        match error.kind() {
            ImageErrorKind::RemoteUrl | ImageErrorKind::DataUrl => Self::NotInline,
            ImageErrorKind::Unsupported => Self::UnsupportedFormat,
            ImageErrorKind::Base64 => Self::InvalidBase64,
            ImageErrorKind::TooManyBytes => Self::FileTooLarge,
            ImageErrorKind::DimensionsTooLarge
            | ImageErrorKind::TooManyPixels
            | ImageErrorKind::TooManyFrames
            | ImageErrorKind::TooManyScans => Self::TooManyPixels,
            // Corrupt, truncated, or more than one file; also kinds that are added later.
            _ => Self::Corrupt,
        }
    }
}

impl EncodedImage {
    /// Parses `data:image/(png|jpeg|webp|gif);base64,…`. The bytes determine the type; the fence
    /// decides whether the declared type may differ.
    pub(crate) fn from_url(url: &str) -> Result<Self, ImageRejection> {
        let url = DataUrl::parse(url.as_bytes()).map_err(|_| ImageRejection::NotInline)?;
        Self::read(Some(url.format()), url.base64())
    }

    /// Parses bare base64; the bytes determine the type.
    pub(crate) fn from_base64(data: &str) -> Result<Self, ImageRejection> {
        Self::read(None, data.as_bytes())
    }

    fn read(declared: Option<ImageFormat>, base64: &[u8]) -> Result<Self, ImageRejection> {
        let text = Bytes::copy_from_slice(base64);
        let image = ValidatedImage::from_base64(&rules(), declared, text)?;
        Ok(Self(image.compact()))
    }

    /// The image as a data URL; the bytes determine its type.
    pub(crate) fn to_data_url(&self) -> String {
        let mut url = format!("data:{};base64,", self.0.info().format.media_type());
        BASE64_STANDARD.encode_string(self.0.bytes(), &mut url);
        url
    }

    /// The validated file.
    #[cfg(feature = "mistralrs")]
    pub(crate) fn validated(&self) -> &ValidatedImage {
        &self.0
    }

    /// The number of pixels of the decoded image.
    #[cfg(feature = "mistralrs")]
    pub(crate) fn pixels(&self) -> u64 {
        let info = self.0.info();
        u64::from(info.width) * u64::from(info.height)
    }
}

/// The server's own limits, which apply in addition to the fence's. The number of frames is
/// limited by the fence only; the model sees the first one.
fn rules() -> ImageRules {
    ImageRules::default()
        .bytes(MAX_BYTES)
        .side(MAX_SIDE)
        .pixels(MAX_PIXELS)
        .frames(u32::MAX)
}

// The decoder belongs to the engine.
#[cfg(test)]
#[cfg(feature = "mistralrs")]
mod tests;
