//! Images that clients send: bytes within the request, never an address.
//!
//! Nothing here opens a file or a connection. What the bytes claim (type, size) is
//! checked from their first few, before anything is decoded.

use std::io::Cursor;

use base64::{Engine, prelude::BASE64_STANDARD};
use image::{ImageFormat, ImageReader};

mod decode;
mod workbench;

pub(crate) use decode::decode;
pub(crate) use workbench::Workbench;

/// The most bytes of one image file.
const MAX_BYTES: usize = 10 * 1024 * 1024;
/// The longest side, in pixels.
const MAX_SIDE: u32 = 16_384;
/// The most pixels.
const MAX_PIXELS: u64 = 40_000_000;

const FORMATS: [(&str, ImageFormat); 4] = [
    ("png", ImageFormat::Png),
    ("jpeg", ImageFormat::Jpeg),
    ("webp", ImageFormat::WebP),
    ("gif", ImageFormat::Gif),
];

/// An image file whose type and size are known and allowed.
#[derive(Clone, PartialEq)]
pub(crate) struct Picture {
    bytes: Vec<u8>,
    format: ImageFormat,
    pixels: u64,
}

/// What is wrong with an image. The texts are fixed: what a decoder says may tell about
/// this machine, and what a client sent is long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ImageFault {
    /// Not an inline image.
    Url,
    Base64,
    Bytes,
    /// None of the four types.
    Format,
    /// Another type than the URL says.
    Declared,
    /// Too many pixels.
    Size,
    /// It cannot be decoded.
    Broken,
}

impl ImageFault {
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::Url => {
                "an image must be sent within the request, as \
                 data:image/png;base64,… (or jpeg, webp, gif): this server fetches nothing"
            }
            Self::Base64 => "the image is not valid base64 (standard alphabet, with padding)",
            Self::Bytes => "the image file is larger than 10 MiB: shrink it",
            Self::Format => "the image is none of PNG, JPEG, WebP or GIF",
            Self::Declared => "the image is of another type than its data URL says",
            Self::Size => {
                "the image is larger than 16384 pixels a side or 40 megapixels: shrink it"
            }
            Self::Broken => "the image cannot be decoded: it is cut off or damaged",
        }
    }
}

impl Picture {
    /// Reads `data:image/(png|jpeg|webp|gif);base64,…`, in exactly this form.
    pub(crate) fn from_url(url: &str) -> Result<Self, ImageFault> {
        let (declared, data) = url
            .strip_prefix("data:image/")
            .and_then(|rest| rest.split_once(";base64,"))
            .ok_or(ImageFault::Url)?;
        let (_, declared) = FORMATS
            .into_iter()
            .find(|(name, _)| *name == declared)
            .ok_or(ImageFault::Url)?;
        let picture = Self::from_base64(data)?;
        if picture.format == declared {
            Ok(picture)
        } else {
            Err(ImageFault::Declared)
        }
    }

    /// Reads bare base64; the bytes say of which type they are.
    pub(crate) fn from_base64(data: &str) -> Result<Self, ImageFault> {
        if data.len() / 4 * 3 > MAX_BYTES + 3 {
            return Err(ImageFault::Bytes);
        }
        let bytes = BASE64_STANDARD
            .decode(data)
            .map_err(|_| ImageFault::Base64)?;
        Self::from_bytes(bytes)
    }

    fn from_bytes(bytes: Vec<u8>) -> Result<Self, ImageFault> {
        if bytes.len() > MAX_BYTES {
            return Err(ImageFault::Bytes);
        }
        let format = image::guess_format(&bytes)
            .ok()
            .filter(|format| FORMATS.iter().any(|(_, known)| known == format))
            .ok_or(ImageFault::Format)?;
        let (width, height) = ImageReader::with_format(Cursor::new(&bytes), format)
            .into_dimensions()
            .map_err(|_| ImageFault::Broken)?;
        let pixels = u64::from(width) * u64::from(height);
        if width.max(height) > MAX_SIDE || pixels > MAX_PIXELS {
            return Err(ImageFault::Size);
        }
        if pixels == 0 {
            return Err(ImageFault::Broken);
        }
        Ok(Self {
            bytes,
            format,
            pixels,
        })
    }

    /// How many pixels it will have.
    pub(crate) fn pixels(&self) -> u64 {
        self.pixels
    }
}

#[cfg(test)]
mod tests;
