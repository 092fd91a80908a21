//! Image errors.

use std::{error::Error, fmt, time::Duration};

use stockade_core::refusal::{Refusal, RefusalKind, RefusalReason};

/// The reason for refusing an image.
///
/// The message is one of a fixed set and does not quote the image, its address or the
/// parser. It converts into a [`Refusal`], to which the caller adds the field's path.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ImageError {
    kind: ImageErrorKind,
}

/// The kinds of [`ImageError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ImageErrorKind {
    /// Not a `data:` URL: an address, a path or another scheme.
    RemoteUrl,
    /// A `data:` URL in another than the accepted form.
    DataUrl,
    /// An image type that is not accepted, or not an image.
    Unsupported,
    /// Not base64 in the standard alphabet with canonical padding.
    Base64,
    /// The bytes are of another type than declared.
    TypeMismatch,
    /// The structure is broken or truncated, or there are no pixels.
    Malformed,
    /// Data follows the end of the image.
    TrailingData,
    /// More bytes than the rules allow.
    TooManyBytes,
    /// Wider or higher than the rules allow.
    DimensionsTooLarge,
    /// More pixels in all frames together than the rules allow.
    TooManyPixels,
    /// More frames than the rules allow.
    TooManyFrames,
    /// A JPEG with more than 100 scans, each of which costs a pass over all pixels.
    TooManyScans,
    /// The image cannot be decoded.
    Undecodable,
    /// The decoder is at its limits.
    Busy,
}

impl ImageErrorKind {
    const fn row(self) -> (RefusalKind, &'static str, &'static str) {
        use RefusalKind as R;
        match self {
            Self::RemoteUrl => (
                R::Invalid,
                "REMOTE_IMAGE",
                "images must be base64 `data:` URLs; remote URLs are not fetched",
            ),
            Self::DataUrl => (
                R::Invalid,
                "INVALID_IMAGE",
                "the image's URL must consist of `data:`, the media type, `;base64,` and the data",
            ),
            Self::Unsupported => (
                R::Invalid,
                "UNSUPPORTED_IMAGE",
                "this image type is not accepted",
            ),
            Self::Base64 => (
                R::Invalid,
                "INVALID_IMAGE",
                "the image is not standard base64 with padding",
            ),
            Self::TypeMismatch => (
                R::Invalid,
                "INVALID_IMAGE",
                "the image is not of the declared type",
            ),
            Self::Malformed => (
                R::Invalid,
                "INVALID_IMAGE",
                "the image is broken or truncated",
            ),
            Self::TrailingData => (
                R::Invalid,
                "INVALID_IMAGE",
                "data follows the end of the image",
            ),
            Self::TooManyBytes => (
                R::TooLarge,
                "IMAGE_TOO_LARGE",
                "the image has more bytes than allowed",
            ),
            Self::DimensionsTooLarge => (
                R::TooLarge,
                "IMAGE_TOO_LARGE",
                "the image is wider or higher than allowed",
            ),
            Self::TooManyPixels => (
                R::TooLarge,
                "IMAGE_TOO_LARGE",
                "the image has more pixels than allowed",
            ),
            Self::TooManyFrames => (
                R::TooLarge,
                "IMAGE_TOO_LARGE",
                "the image has more frames than allowed",
            ),
            Self::TooManyScans => (
                R::TooLarge,
                "IMAGE_TOO_LARGE",
                "the image has more scans than allowed",
            ),
            Self::Undecodable => (R::Invalid, "INVALID_IMAGE", "the image cannot be decoded"),
            Self::Busy => (
                R::Unavailable,
                "UNAVAILABLE",
                "too many images are being decoded; try again",
            ),
        }
    }
}

impl ImageError {
    pub(super) const fn new(kind: ImageErrorKind) -> Self {
        Self { kind }
    }

    /// Returns the kind of error.
    pub const fn kind(self) -> ImageErrorKind {
        self.kind
    }
}

impl From<ImageErrorKind> for ImageError {
    fn from(kind: ImageErrorKind) -> Self {
        Self::new(kind)
    }
}

impl From<ImageError> for Refusal {
    fn from(error: ImageError) -> Self {
        let (kind, code, message) = error.kind.row();
        use ImageErrorKind as K;
        let refusal = Self::new(kind, message).with_code(code);
        match error.kind {
            K::Busy => refusal.retry_after(Duration::from_secs(1)),
            // Typical of clients written for another API.
            K::RemoteUrl | K::DataUrl | K::Unsupported | K::TypeMismatch => {
                refusal.with_reason(RefusalReason::UnsupportedContent)
            }
            K::Base64 | K::Malformed | K::TrailingData | K::Undecodable => {
                refusal.with_reason(RefusalReason::InvalidImage)
            }
            K::TooManyBytes
            | K::DimensionsTooLarge
            | K::TooManyPixels
            | K::TooManyFrames
            | K::TooManyScans => refusal.with_reason(RefusalReason::TooLarge),
        }
    }
}

impl fmt::Debug for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ImageError").field(&self.kind).finish()
    }
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.row().2)
    }
}

impl Error for ImageError {}
