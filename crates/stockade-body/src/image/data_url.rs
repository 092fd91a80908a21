//! The accepted form of `data:` URLs.

use crate::{ImageError, ImageErrorKind, ImageFormat};

/// An image in a `data:` URL (RFC 2397) in its canonical form.
///
/// The form is `data:`, the media type, `;base64,` and the data, byte for byte: lower case,
/// without parameters, white space or percent-encoding. Other forms of the same image are
/// refused, so that every reader sees the same bytes. `image/jpg`, which many clients write
/// for JPEG, is accepted unless the rules are [strict](crate::ImageRules::strict). Everything
/// that does not start with `data:` gives the same error, whether it is an address, a path or
/// empty.
///
/// ```
/// use stockade_body::{DataUrl, ImageErrorKind, ImageFormat};
///
/// let url = DataUrl::parse(b"data:image/png;base64,iVBORw0KGgo=")?;
/// assert_eq!(url.format(), ImageFormat::Png);
/// assert_eq!(url.base64(), b"iVBORw0KGgo=");
///
/// for remote in ["https://example.com/a.png", "file:///etc/passwd", "DATA:image/png;base64,"] {
///     let error = DataUrl::parse(remote.as_bytes()).unwrap_err();
///     assert_eq!(error.kind(), ImageErrorKind::RemoteUrl);
/// }
/// # Ok::<(), stockade_body::ImageError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DataUrl<'a> {
    format: ImageFormat,
    is_registered: bool,
    base64: &'a [u8],
}

impl<'a> DataUrl<'a> {
    /// Parses the URL up to the data, which
    /// [`ImageRules::check_data_url`](crate::ImageRules::check_data_url) checks.
    ///
    /// # Errors
    /// [`RemoteUrl`](ImageErrorKind::RemoteUrl) for all that is not a `data:` URL,
    /// [`Unsupported`](ImageErrorKind::Unsupported) for a `data:` URL of another type in
    /// the accepted form, [`DataUrl`](ImageErrorKind::DataUrl) for the rest.
    pub fn parse(url: &'a [u8]) -> Result<Self, ImageError> {
        let rest = url
            .strip_prefix(b"data:")
            .ok_or(ImageErrorKind::RemoteUrl)?;
        let known = ImageFormat::COMMON.into_iter().find_map(|(name, format)| {
            let base64 = rest
                .strip_prefix(name.as_bytes())?
                .strip_prefix(b";base64,")?;
            Some(Self {
                format,
                is_registered: name == format.media_type(),
                base64,
            })
        });
        known.ok_or_else(|| other_type(rest).into())
    }

    /// Returns the declared type.
    pub fn format(&self) -> ImageFormat {
        self.format
    }

    /// Whether the declared media type is registered.
    pub(super) fn is_registered(&self) -> bool {
        self.is_registered
    }

    /// Returns the data, unchecked.
    pub fn base64(&self) -> &'a [u8] {
        self.base64
    }
}

/// Classifies a `data:` URL without a known type.
fn other_type(rest: &[u8]) -> ImageErrorKind {
    let is_type = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'/' | b'.' | b'+' | b'-');
    let length = rest.iter().take_while(|byte| is_type(byte)).count();
    let (media_type, rest) = rest.split_at(length);
    let known = ImageFormat::from_media_type(media_type).is_some();
    if !known && length > 0 && rest.starts_with(b";base64,") {
        ImageErrorKind::Unsupported
    } else {
        ImageErrorKind::DataUrl
    }
}

impl std::fmt::Debug for DataUrl<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataUrl")
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}
