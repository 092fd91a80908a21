//! Why an image is refused.

use std::{error::Error, fmt, time::Duration};

use stockade_core::refusal::{Refusal, RefusalKind, RefusalReason};

/// Why an image is refused.
///
/// Its text is one of a fixed set: it holds nothing of the image, of its address, or of the
/// parser. It turns into a [`Refusal`], to which the caller adds the field's path.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ImageError {
    kind: ImageErrorKind,
}

/// The kinds of [`ImageError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ImageErrorKind {
    /// Not a `data:` URL, whatever else it is: an address, a path, another scheme.
    RemoteUrl,
    /// A `data:` URL that is not in the one accepted form.
    DataUrl,
    /// A type of image that is not taken, or no image at all.
    Unsupported,
    /// Not base64 of the standard alphabet, padded canonically.
    Base64,
    /// Its bytes are not of the type that it is declared as.
    TypeMismatch,
    /// Its structure is broken or cut short, or it has no pixels.
    Malformed,
    /// Bytes follow its end.
    TrailingData,
    /// More bytes than the rules allow.
    TooManyBytes,
    /// Wider or higher than the rules allow.
    DimensionsTooLarge,
    /// More pixels than the rules allow, all frames together.
    TooManyPixels,
    /// More frames than the rules allow.
    TooManyFrames,
    /// A JPEG of more than 100 scans, each of which costs a pass over all pixels.
    TooManyScans,
    /// The decoder cannot make pixels of it.
    Undecodable,
    /// The decoder has no place for it now.
    Busy,
}

impl ImageErrorKind {
    const fn row(self) -> (RefusalKind, &'static str, &'static str) {
        use RefusalKind as R;
        match self {
            Self::RemoteUrl => (
                R::Invalid,
                "REMOTE_IMAGE",
                "images are taken as base64 data: URLs only; nothing is fetched",
            ),
            Self::DataUrl => (
                R::Invalid,
                "INVALID_IMAGE",
                "the image's URL must be `data:`, its media type, `;base64,` and the data, and nothing else",
            ),
            Self::Unsupported => (
                R::Invalid,
                "UNSUPPORTED_IMAGE",
                "this type of image is not accepted",
            ),
            Self::Base64 => (
                R::Invalid,
                "INVALID_IMAGE",
                "the image is not in standard base64 with its padding",
            ),
            Self::TypeMismatch => (
                R::Invalid,
                "INVALID_IMAGE",
                "the image is not of the type that it is declared as",
            ),
            Self::Malformed => (
                R::Invalid,
                "INVALID_IMAGE",
                "the image is broken or cut short",
            ),
            Self::TrailingData => (
                R::Invalid,
                "INVALID_IMAGE",
                "there is more data after the image's end",
            ),
            Self::TooManyBytes => (
                R::TooLarge,
                "IMAGE_TOO_LARGE",
                "the image has more bytes than is allowed",
            ),
            Self::DimensionsTooLarge => (
                R::TooLarge,
                "IMAGE_TOO_LARGE",
                "the image is wider or higher than is allowed",
            ),
            Self::TooManyPixels => (
                R::TooLarge,
                "IMAGE_TOO_LARGE",
                "the image has more pixels than is allowed",
            ),
            Self::TooManyFrames => (
                R::TooLarge,
                "IMAGE_TOO_LARGE",
                "the image has more frames than is allowed",
            ),
            Self::TooManyScans => (
                R::TooLarge,
                "IMAGE_TOO_LARGE",
                "the image has more scans than is allowed",
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

    /// What is wrong.
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
            // Mistakes of clients that know another API.
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
