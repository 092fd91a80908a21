//! Rules for images.

use super::{gif, jpeg, png, reader::Reader, webp};
use crate::{DataUrl, ImageError, ImageErrorKind, ImageFormat, ImageInfo, work_budget::WorkBudget};

/// Rules for images.
///
/// An image is checked by walking its container's structure from the first byte to the last,
/// in linear time and constant memory. No pixel, profile or text in it is decompressed, so an
/// image that claims to be huge is only a claim. Regular images cost little more than checking
/// their base64, which is as fast as a copy; the worst 10 MiB that can be constructed cost
/// some 15 ms. The walk checks:
/// 1. The magic bytes are of an accepted type. They decide: an image that is declared as
///    another type is taken for what it is, with [`ImageInfo::declared_as`] set;
///    [`strict`](Self::strict) rules refuse it.
/// 2. Width, height and frames are within limits and not 0, and so are the pixels of all
///    frames together. Dimensions are those of the stored pixels, whatever the metadata says
///    about orientation.
/// 3. The structure is complete. PNG: chunks from `IHDR` to `IEND`, checksums not verified.
///    GIF: blocks up to the trailer, each frame inside the screen. WebP: the RIFF chunks, each
///    frame inside the canvas. JPEG: segments up to the first scan; with several scans also
///    those, at most 100, since a few bytes of scan cost a pass over all pixels.
/// 4. Nothing follows the end of a PNG, GIF or WebP. The end of a JPEG with one scan is known
///    only to a decoder, and cameras append data, so this is not checked.
///
/// This does not prove that an image can be decoded: only decoding does, with `ImageDecoder`
/// of the feature `decode`.
///
/// ```
/// use stockade_body::{ImageErrorKind, ImageFormat, ImageRules};
///
/// let rules = ImageRules::default().formats([ImageFormat::Png, ImageFormat::Gif]);
///
/// let info = rules.check_data_url(
///     b"data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7",
/// )?;
/// assert_eq!((info.width, info.height, info.frames), (1, 1, 1));
///
/// // The bytes decide what it is, unless the rules are strict.
/// let url = b"data:image/png;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7";
/// let info = rules.check_data_url(url)?;
/// assert_eq!(info.format, ImageFormat::Gif);
/// assert_eq!(info.declared_as, Some(ImageFormat::Png));
/// let error = rules.clone().strict().check_data_url(url).unwrap_err();
/// assert_eq!(error.kind(), ImageErrorKind::TypeMismatch);
///
/// let error = rules.check_data_url(b"http://169.254.169.254/").unwrap_err();
/// assert_eq!(error.kind(), ImageErrorKind::RemoteUrl);
/// # Ok::<(), stockade_body::ImageError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ImageRules {
    formats: Vec<ImageFormat>,
    bytes: u64,
    side: u32,
    pixels: u64,
    frames: u32,
    trailing_data: bool,
    strict: bool,
}

impl Default for ImageRules {
    /// All formats, 10 MiB, 16,384 pixels per side, 40 million pixels and 1 frame.
    fn default() -> Self {
        Self {
            formats: ImageFormat::ALL.to_vec(),
            bytes: 10 << 20,
            side: 16_384,
            pixels: 40_000_000,
            frames: 1,
            trailing_data: false,
            strict: false,
        }
    }
}

impl ImageRules {
    /// Sets the accepted formats. Default: all.
    pub fn formats<I>(mut self, formats: I) -> Self
    where
        I: IntoIterator<Item = ImageFormat>,
    {
        self.formats = formats.into_iter().collect();
        self
    }

    /// Sets the maximum size of an encoded image, without base64. Default: 10 MiB.
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }

    /// Sets the maximum width and height in pixels. Default: 16,384.
    pub fn side(mut self, pixels: u32) -> Self {
        self.side = pixels;
        self
    }

    /// Sets the maximum number of pixels in all frames together. Default: 40 million.
    pub fn pixels(mut self, pixels: u64) -> Self {
        self.pixels = pixels;
        self
    }

    /// Sets the maximum number of frames. Default: 1.
    pub fn frames(mut self, frames: u32) -> Self {
        self.frames = frames;
        self
    }

    /// Accepts images only in their canonical form. By default three common mistakes pass,
    /// none of which makes the bytes ambiguous: an image declared as another type, the type
    /// `image/jpg`, and base64 without padding.
    pub fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    /// Accepts data after the end of an image. Two readers may then see different images in
    /// the same bytes.
    pub fn dangerous_trailing_data(mut self) -> Self {
        self.trailing_data = true;
        self
    }

    /// Checks the image in a `data:` URL.
    ///
    /// # Errors
    /// Those of [`DataUrl::parse`] and [`check_base64`](Self::check_base64).
    pub fn check_data_url(&self, url: &[u8]) -> Result<ImageInfo, ImageError> {
        let url = self.parse(url)?;
        self.check_base64(Some(url.format()), url.base64())
    }

    /// Parses a URL up to its data.
    pub(super) fn parse<'a>(&self, url: &'a [u8]) -> Result<DataUrl<'a>, ImageError> {
        let url = DataUrl::parse(url)?;
        if self.strict && !url.is_registered() {
            return Err(ImageErrorKind::Unsupported.into());
        }
        Ok(url)
    }

    /// Returns the format of a declared media type, in lower case without parameters.
    pub(crate) fn declared(&self, media_type: &[u8]) -> Option<ImageFormat> {
        match self.strict {
            true => ImageFormat::from_media_type(media_type),
            false => ImageFormat::from_common_media_type(media_type),
        }
    }

    pub(crate) fn is_strict(&self) -> bool {
        self.strict
    }

    /// Checks an image in base64: standard alphabet, no white space; with padding if the rules
    /// are [strict](Self::strict).
    ///
    /// All of the text is checked; only the parts that the walk needs are decoded.
    ///
    /// # Errors
    /// Every [`ImageErrorKind`] except those of URLs and of decoding.
    pub fn check_base64(
        &self,
        declared: Option<ImageFormat>,
        base64: &[u8],
    ) -> Result<ImageInfo, ImageError> {
        self.base64_within(declared, base64, &WorkBudget::unlimited())
    }

    /// Checks an image in binary form.
    ///
    /// # Errors
    /// Every [`ImageErrorKind`] except those of URLs, base64 and decoding.
    pub fn check_bytes(
        &self,
        declared: Option<ImageFormat>,
        bytes: &[u8],
    ) -> Result<ImageInfo, ImageError> {
        self.bytes_within(declared, bytes, &WorkBudget::unlimited())
    }

    /// [`check_base64`](Self::check_base64), within this budget.
    pub(super) fn base64_within(
        &self,
        declared: Option<ImageFormat>,
        base64: &[u8],
        budget: &WorkBudget,
    ) -> Result<ImageInfo, ImageError> {
        // The length alone gives the decoded length, within two bytes.
        if base64.len() as u64 / 4 * 3 > self.bytes.saturating_add(2) {
            return Err(ImageErrorKind::TooManyBytes.into());
        }
        self.check(declared, Reader::base64(base64, self.strict, budget)?)
    }

    /// [`check_bytes`](Self::check_bytes), within this budget.
    pub(super) fn bytes_within(
        &self,
        declared: Option<ImageFormat>,
        bytes: &[u8],
        budget: &WorkBudget,
    ) -> Result<ImageInfo, ImageError> {
        self.check(declared, Reader::bytes(bytes, budget))
    }

    fn check(
        &self,
        declared: Option<ImageFormat>,
        mut reader: Reader<'_>,
    ) -> Result<ImageInfo, ImageError> {
        let bytes = reader.length() as u64;
        if bytes > self.bytes {
            return Err(ImageErrorKind::TooManyBytes.into());
        }
        let format = self.format(declared, &mut reader)?;
        let shape = match format {
            ImageFormat::Png => png::walk(&mut reader),
            ImageFormat::Jpeg => jpeg::walk(&mut reader),
            ImageFormat::WebP => webp::walk(&mut reader),
            ImageFormat::Gif => gif::walk(&mut reader),
        }?;
        let ended = reader.is_at_end() || format == ImageFormat::Jpeg || self.trailing_data;
        if !ended {
            return Err(ImageErrorKind::TrailingData.into());
        }
        let info = ImageInfo {
            format,
            declared_as: declared.filter(|declared| *declared != format),
            width: shape.width,
            height: shape.height,
            frames: shape.frames,
            bytes,
        };
        self.validate(&info)?;
        Ok(info)
    }

    /// Returns the format by magic bytes if it is accepted and, under strict rules, declared.
    fn format(
        &self,
        declared: Option<ImageFormat>,
        reader: &mut Reader<'_>,
    ) -> Result<ImageFormat, ImageErrorKind> {
        let is_taken = |format: &ImageFormat| self.formats.contains(format);
        if self.strict && declared.is_some_and(|format| !is_taken(&format)) {
            return Err(ImageErrorKind::Unsupported);
        }
        let found = reader
            .take()
            .ok()
            .and_then(|head| ImageFormat::sniff(&head));
        reader.rewind();
        if self.strict && declared.is_some() && declared != found {
            return Err(ImageErrorKind::TypeMismatch);
        }
        found.filter(is_taken).ok_or(ImageErrorKind::Unsupported)
    }

    fn validate(&self, info: &ImageInfo) -> Result<(), ImageErrorKind> {
        if info.pixels() == 0 {
            Err(ImageErrorKind::Malformed)
        } else if info.width.max(info.height) > self.side {
            Err(ImageErrorKind::DimensionsTooLarge)
        } else if info.frames > self.frames {
            Err(ImageErrorKind::TooManyFrames)
        } else if info.pixels() > self.pixels {
            Err(ImageErrorKind::TooManyPixels)
        } else {
            Ok(())
        }
    }
}
