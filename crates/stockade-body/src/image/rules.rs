//! Which images are let in.

use super::{gif, jpeg, png, reader::Reader, webp};
use crate::{DataUrl, ImageError, ImageErrorKind, ImageFormat, ImageInfo, work_budget::WorkBudget};

/// Which images are let in.
///
/// An image is judged by its container's structure, which is walked from its first byte to
/// its end in time that grows with its length and in memory that does not. No pixel, no
/// profile and no text in it is decompressed, so an image that claims to be huge is only a
/// claim. An image from an encoder costs hardly more than the check of its base64, a fast
/// copy's time; the worst 10 MiB that can be made cost some 15 ms. What the walk finds:
/// 1. The magic bytes are those of a type that is taken. They decide: an image that is
///    declared as another type is taken for what it is, and
///    [`ImageInfo::declared_as`] says so; [`strict`](Self::strict) rules refuse it.
/// 2. Width, height and frames are in bounds and not 0, and so are the pixels of all frames
///    together. Dimensions are those of the stored pixels, whatever the metadata says of
///    orientation.
/// 3. The structure is whole. PNG: chunks from `IHDR` to `IEND`, checksums not looked at.
///    GIF: blocks up to the trailer, each frame inside of the screen. WebP: the RIFF chunks,
///    each frame inside of the canvas. JPEG: segments up to the first scan; in a picture
///    of several scans the scans as well, 100 at most, since a few bytes of scan cost a
///    pass over all pixels.
/// 4. Nothing follows the end of a PNG, GIF or WebP. The end of a JPEG of one scan is
///    known to a decoder only, and cameras put more behind it, so that is let be.
///
/// None of this makes an image decodable: only decoding it does, which the feature `decode`
/// offers as `ImageDecoder`.
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
    /// All formats, 10 MiB, 16,384 pixels a side, 40 million pixels, 1 frame.
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
    /// The formats that are taken; all of them unless they are set.
    pub fn formats<I>(mut self, formats: I) -> Self
    where
        I: IntoIterator<Item = ImageFormat>,
    {
        self.formats = formats.into_iter().collect();
        self
    }

    /// The most bytes an encoded image may have, base64 undone; 10 MiB unless it is set.
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }

    /// The most pixels that a row or a column may have; 16,384 unless it is set.
    pub fn side(mut self, pixels: u32) -> Self {
        self.side = pixels;
        self
    }

    /// The most pixels that an image may have, all its frames together; 40 million unless
    /// it is set.
    pub fn pixels(mut self, pixels: u64) -> Self {
        self.pixels = pixels;
        self
    }

    /// The most frames that an animation may have; 1 unless it is set.
    pub fn frames(mut self, frames: u32) -> Self {
        self.frames = frames;
        self
    }

    /// Takes images in their canonical form only. Unless this is called, three slips of usual
    /// clients are let pass, none of which leaves a doubt about the bytes: an image that is
    /// declared as another type than it is, the type `image/jpg`, and base64 without its
    /// padding.
    pub fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    /// Lets in what has more data after its end. Two readers may then see two different
    /// things in the same bytes.
    pub fn dangerous_trailing_data(mut self) -> Self {
        self.trailing_data = true;
        self
    }

    /// Judges the image in a `data:` URL.
    ///
    /// # Errors
    /// Those of [`DataUrl::parse`] and [`check_base64`](Self::check_base64).
    pub fn check_data_url(&self, url: &[u8]) -> Result<ImageInfo, ImageError> {
        let url = self.parse(url)?;
        self.check_base64(Some(url.format()), url.base64())
    }

    /// Reads a URL's head.
    pub(super) fn parse<'a>(&self, url: &'a [u8]) -> Result<DataUrl<'a>, ImageError> {
        let url = DataUrl::parse(url)?;
        if self.strict && !url.is_registered() {
            return Err(ImageErrorKind::Unsupported.into());
        }
        Ok(url)
    }

    /// The format of a declared media type, lower case and without parameters.
    pub(crate) fn declared(&self, media_type: &[u8]) -> Option<ImageFormat> {
        match self.strict {
            true => ImageFormat::from_media_type(media_type),
            false => ImageFormat::from_common_media_type(media_type),
        }
    }

    pub(crate) fn is_strict(&self) -> bool {
        self.strict
    }

    /// Judges an image in base64: standard alphabet, no white space; where the rules are
    /// [strict](Self::strict), with its padding.
    ///
    /// All of the text is checked; only the parts that the walk needs are decoded.
    ///
    /// # Errors
    /// What is wrong with the image, as [`ImageErrorKind`] lists it, but for the kinds of
    /// URLs and of decoding.
    pub fn check_base64(
        &self,
        declared: Option<ImageFormat>,
        base64: &[u8],
    ) -> Result<ImageInfo, ImageError> {
        self.base64_within(declared, base64, &WorkBudget::unlimited())
    }

    /// Judges an image as it is.
    ///
    /// # Errors
    /// What is wrong with the image, as [`ImageErrorKind`] lists it, but for the kinds of
    /// URLs, of base64 and of decoding.
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
        // Before a byte is looked at: the length alone tells the decoded length, give or
        // take two.
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

    /// The format by the magic bytes, where it is taken; with strict rules, where it is the
    /// declared one.
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
