//! Image checks by magic bytes and container structure, without decoding.

mod data_url;
#[cfg(feature = "decode")]
mod decode_limits;
#[cfg(feature = "decode")]
mod decoder;
mod error;
mod format;
mod gif;
mod info;
mod jpeg;
#[cfg(feature = "decode")]
mod pixels;
mod png;
mod reader;
mod rules;
#[cfg(feature = "decode")]
mod strip;
mod validated;
mod webp;

pub use data_url::DataUrl;
#[cfg(feature = "decode")]
pub use decode_limits::DecodeLimits;
#[cfg(feature = "decode")]
pub use decoder::{DecodedImage, ImageDecoder};
pub use error::{ImageError, ImageErrorKind};
pub use format::ImageFormat;
pub use info::ImageInfo;
#[cfg(feature = "decode")]
pub use pixels::{PixelFormat, Pixels};
pub use rules::ImageRules;
pub use validated::{ValidatedImage, ValidatedImages};
