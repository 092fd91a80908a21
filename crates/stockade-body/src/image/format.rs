//! Image types.

use std::fmt;

/// An image type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ImageFormat {
    /// `image/png`, APNG included.
    Png,
    /// `image/jpeg`: baseline, extended and progressive, Huffman-coded, 8 bits.
    Jpeg,
    /// `image/webp`.
    WebP,
    /// `image/gif`.
    Gif,
}

impl ImageFormat {
    /// All image types.
    pub const ALL: [Self; 4] = [Self::Png, Self::Jpeg, Self::WebP, Self::Gif];

    /// Returns the media type, such as `image/png`.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::WebP => "image/webp",
            Self::Gif => "image/gif",
        }
    }

    /// Returns the type with exactly this media type, in lower case without parameters.
    pub fn from_media_type(media_type: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|format| format.media_type().as_bytes() == media_type)
    }

    /// Returns the type that clients mean: the unregistered `image/jpg` is JPEG.
    pub(crate) fn from_common_media_type(media_type: &[u8]) -> Option<Self> {
        let mut names = Self::COMMON.into_iter();
        names
            .find(|(name, _)| name.as_bytes() == media_type)
            .map(|(_, format)| format)
    }

    /// The media types that clients use.
    pub(crate) const COMMON: [(&str, Self); 5] = [
        ("image/png", Self::Png),
        ("image/jpeg", Self::Jpeg),
        ("image/webp", Self::WebP),
        ("image/gif", Self::Gif),
        ("image/jpg", Self::Jpeg),
    ];

    /// Detects the type by its magic bytes.
    pub(super) fn sniff(head: &[u8; 12]) -> Option<Self> {
        match head {
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => Some(Self::Png),
            [0xFF, 0xD8, 0xFF, ..] => Some(Self::Jpeg),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P'] => Some(Self::WebP),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Self::Gif),
            _ => None,
        }
    }
}

impl fmt::Display for ImageFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.media_type())
    }
}
