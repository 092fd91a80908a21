//! Decodes images on a bounded number of threads.

use std::{fmt, io::Cursor, sync::Arc};

use bytes::Bytes;
use image::{
    ImageDecoder as Codec, ImageResult, Limits,
    codecs::{gif::GifDecoder, jpeg::JpegDecoder, png::PngDecoder, webp::WebPDecoder},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task,
};

use super::{
    pixels::{PixelFormat, Pixels},
    strip::strip,
};
use crate::{DecodeLimits, ImageError, ImageErrorKind, ImageFormat, ImageInfo, ValidatedImage};

/// Decodes images within limits on blocking threads. Clones share the limits.
///
/// Only decoding proves that an image is valid; [`ImageRules`](crate::ImageRules) check its
/// structure. Of an animation the first frame is decoded.
///
/// ```
/// use bytes::Bytes;
/// use stockade_body::{DecodeLimits, ImageDecoder, ImageErrorKind, ImageRules, ValidatedImage};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), stockade_body::ImageError> {
/// let decoder = ImageDecoder::new(DecodeLimits::default());
///
/// let url = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7";
/// let image = ValidatedImage::from_data_url(&ImageRules::default(), Bytes::from(url))?;
/// let pixels = decoder.decode(&image).await?;
/// assert_eq!(pixels.pixels().width(), 1);
///
/// // The same image without pixel data.
/// let url = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIAOw==";
/// let image = ValidatedImage::from_data_url(&ImageRules::default(), Bytes::from(url))?;
/// let error = decoder.decode(&image).await.unwrap_err();
/// assert_eq!(error.kind(), ImageErrorKind::Undecodable);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ImageDecoder {
    /// One permit for each image that is decoded or queued.
    slots: Arc<Semaphore>,
    running: Arc<Semaphore>,
    /// One permit per KiB.
    memory: Arc<Semaphore>,
}

impl ImageDecoder {
    /// Creates a decoder with these limits.
    pub fn new(limits: DecodeLimits) -> Self {
        let semaphore = |count: usize| Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
        let concurrency = limits.concurrency.get();
        let memory = usize::try_from(limits.memory / 1024).unwrap_or(usize::MAX);
        Self {
            slots: semaphore(concurrency.saturating_add(limits.queue)),
            running: semaphore(concurrency),
            memory: semaphore(memory),
        }
    }

    /// Decodes an image. Requires a tokio runtime.
    ///
    /// # Errors
    /// [`Undecodable`](ImageErrorKind::Undecodable), or [`Busy`](ImageErrorKind::Busy) if too
    /// many images are queued or the memory for pixels is used up.
    pub async fn decode(&self, image: &ValidatedImage) -> Result<DecodedImage, ImageError> {
        let slot = Arc::clone(&self.slots)
            .try_acquire_owned()
            .map_err(|_| ImageErrorKind::Busy)?;
        let running = Arc::clone(&self.running)
            .acquire_owned()
            .await
            .expect("the semaphore is never closed");
        let memory = Arc::clone(&self.memory);
        let image = image.clone();
        // The permits move with the work: a client that disconnects frees no slot while its
        // work still runs.
        let work = task::spawn_blocking(move || {
            let _held = (slot, running);
            decode(image.info(), image.bytes(), |bytes| reserve(memory, bytes))
        });
        // A codec that panics fails one image only.
        let (pixels, memory) = work.await.unwrap_or(Err(ImageErrorKind::Undecodable))?;
        Ok(DecodedImage {
            pixels,
            _memory: memory,
        })
    }
}

/// A decoded image. It counts towards the memory of the [`ImageDecoder`] until dropped.
pub struct DecodedImage {
    pixels: Pixels,
    _memory: OwnedSemaphorePermit,
}

impl DecodedImage {
    /// Returns the stored pixels; the orientation in the metadata is not applied.
    pub fn pixels(&self) -> &Pixels {
        &self.pixels
    }

    /// Takes the pixels out; their memory no longer counts towards the limit.
    pub fn into_pixels(self) -> Pixels {
        self.pixels
    }
}

impl fmt::Debug for DecodedImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecodedImage")
            .field("pixels", &self.pixels)
            .finish_non_exhaustive()
    }
}

/// Memory that a codec may allocate for tables and rows.
const CODEC_OVERHEAD: u64 = 16 << 20;

/// Never waits: a handler that keeps one image and waits for the next would deadlock.
fn reserve(memory: Arc<Semaphore>, bytes: u64) -> Result<OwnedSemaphorePermit, ImageErrorKind> {
    let kib = u32::try_from(bytes.div_ceil(1024)).map_err(|_| ImageErrorKind::Busy)?;
    memory
        .try_acquire_many_owned(kib)
        .map_err(|_| ImageErrorKind::Busy)
}

impl ValidatedImage {
    /// Decodes the image on this thread, for callers with their own threads; [`ImageDecoder`]
    /// has threads and limits for all images together. Of an animation the first frame is
    /// decoded.
    ///
    /// It uses at most `max_bytes` for the pixels, as much again for work, 16 MiB, and a copy
    /// of the encoded image if there is metadata to remove. Profiles and texts are removed
    /// first, so none is inflated. A codec may panic.
    ///
    /// # Errors
    /// [`TooManyPixels`](ImageErrorKind::TooManyPixels) if the pixels need more than
    /// `max_bytes`, or [`Undecodable`](ImageErrorKind::Undecodable).
    pub fn decode_blocking(&self, max_bytes: u64) -> Result<Pixels, ImageError> {
        let within = |bytes| match bytes > max_bytes {
            true => Err(ImageErrorKind::TooManyPixels),
            false => Ok(()),
        };
        let (pixels, ()) = decode(self.info(), self.bytes(), within)?;
        Ok(pixels)
    }
}

/// Decodes an image after `reserve_pixels` has reserved memory for its pixels.
fn decode<T>(
    info: &ImageInfo,
    bytes: Bytes,
    reserve_pixels: impl FnOnce(u64) -> Result<T, ImageErrorKind>,
) -> Result<(Pixels, T), ImageErrorKind> {
    let most = u64::from(info.width)
        .saturating_mul(info.height.into())
        .saturating_mul(8)
        .saturating_add(CODEC_OVERHEAD);
    let mut limits = Limits::no_limits();
    limits.max_image_width = Some(info.width);
    limits.max_image_height = Some(info.height);
    limits.max_alloc = Some(most);
    let bytes = strip(info.format, bytes)?;
    // Codec errors do not help a client and may quote the image.
    let mut codec = open(info.format, bytes, &limits).map_err(|_| ImageErrorKind::Undecodable)?;
    // The rules checked other dimensions than the codec would decode.
    if codec.dimensions() != (info.width, info.height) {
        return Err(ImageErrorKind::Undecodable);
    }
    let format = PixelFormat::of(codec.color_type()).ok_or(ImageErrorKind::Undecodable)?;
    let size = codec.total_bytes();
    let reserved = reserve_pixels(size)?;
    let size = usize::try_from(size).map_err(|_| ImageErrorKind::TooManyPixels)?;
    let mut pixels = vec![0; size];
    codec
        .set_limits(limits)
        .and_then(|()| codec.read_image(&mut pixels))
        .map_err(|_| ImageErrorKind::Undecodable)?;
    Ok((
        Pixels::new(info.width, info.height, format, pixels),
        reserved,
    ))
}

/// Opens the codec. Codecs other than PNG's get their limits later; until then they read only
/// headers.
fn open(format: ImageFormat, bytes: Bytes, limits: &Limits) -> ImageResult<Box<dyn Codec>> {
    let bytes = Cursor::new(bytes);
    Ok(match format {
        ImageFormat::Png => Box::new(PngDecoder::with_limits(bytes, limits.clone())?),
        ImageFormat::Jpeg => Box::new(JpegDecoder::new(bytes)?),
        ImageFormat::WebP => Box::new(WebPDecoder::new(bytes)?),
        ImageFormat::Gif => Box::new(GifDecoder::new(bytes)?),
    })
}

#[cfg(test)]
mod tests {
    use image::{DynamicImage, ImageEncoder, codecs::png::PngEncoder};

    use super::*;
    use crate::ImageRules;

    fn peak(bytes: Vec<u8>) -> u64 {
        let image = ValidatedImage::from_bytes(&ImageRules::default(), None, bytes.into());
        let image = image.expect("an image");
        let memory = Arc::new(Semaphore::new(1 << 30));
        let used = allocation_counter::measure(|| {
            let decoded = decode(image.info(), image.bytes(), |bytes| reserve(memory, bytes));
            assert!(decoded.is_ok());
        });
        used.bytes_max
    }

    /// Peak memory of decoding a black 8 × 8 PNG with these extra chunks.
    fn peak_with(chunks: &[(&[u8; 4], Vec<u8>)]) -> u64 {
        let mut bytes = Cursor::new(Vec::new());
        let black = DynamicImage::new_luma8(8, 8);
        let png = image::ImageFormat::Png;
        black.write_to(&mut bytes, png).expect("a picture");
        let bytes = bytes.into_inner();
        let (header, rest) = bytes.split_at(33);
        let mut bomb = header.to_vec();
        for (name, data) in chunks {
            let named = [name.as_slice(), data].concat();
            bomb.extend(u32::try_from(data.len()).expect("small").to_be_bytes());
            bomb.extend(&named);
            bomb.extend(crc32fast::hash(&named).to_be_bytes());
        }
        bomb.extend(rest);
        peak(bomb)
    }

    /// `count` zeros, compressed with zlib.
    fn zeros(count: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = PngEncoder::new(&mut bytes);
        let profile = vec![0; count];
        encoder.set_icc_profile(profile).expect("PNG has profiles");
        let black = DynamicImage::new_luma8(8, 8);
        black.write_with_encoder(encoder).expect("a picture");
        let at = bytes.windows(4).position(|name| name == b"iCCP");
        let at = at.expect("the profile");
        let length = bytes[at - 4..at].first_chunk().copied().expect("a length");
        let chunk = &bytes[at + 4..][..u32::from_be_bytes(length) as usize];
        let name = chunk.iter().position(|byte| *byte == 0).expect("a name");
        chunk[name + 2..].to_vec()
    }

    // FA01, I05, I13
    #[test]
    fn compressed_metadata_is_never_inflated() {
        const INFLATED: usize = 64 << 20;
        let zeros = zeros(INFLATED);
        assert!(zeros.len() < 1 << 20, "it is a bomb");
        let plain = peak_with(&[]);
        for (name, before) in [
            (b"iCCP", &b"a\0\0"[..]),
            (b"zTXt", b"a\0\0"),
            (b"zTXt", b"XML:com.adobe.xmp\0\0"),
            (b"zTXt", b"Raw profile type iptc\0\0"),
            (b"iTXt", b"XML:com.adobe.xmp\0\x01\0\0\0"),
            (b"eXIf", b"II*\0"),
            (b"teSt", b""),
        ] {
            let data = [before, &zeros].concat();
            let length = data.len() as u64;
            let peak = peak_with(&[(name, data)]);
            // The file exists before the measurement; the chunk is not copied.
            assert!(
                peak <= plain + 1_024,
                "{name:?}: {peak}, {plain} without {length} bytes"
            );
        }
    }

    // FA01
    #[test]
    fn excess_pixels_are_not_kept() {
        let peak_of = |data: Vec<u8>| {
            let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
            for (name, data) in [
                (
                    b"IHDR",
                    [&[0, 0, 0, 1, 0, 0, 0, 1][..], &[8, 0, 0, 0, 0]].concat(),
                ),
                (b"IDAT", data),
                (b"IEND", Vec::new()),
            ] {
                let named = [name.as_slice(), &data].concat();
                bytes.extend(u32::try_from(data.len()).expect("small").to_be_bytes());
                bytes.extend(&named);
                bytes.extend(crc32fast::hash(&named).to_be_bytes());
            }
            let image = ValidatedImage::from_bytes(&ImageRules::default(), None, bytes.into());
            let image = image.expect("an image");
            let used = allocation_counter::measure(|| {
                let _ = image.decode_blocking(1 << 20);
            });
            used.bytes_max
        };
        let peak = peak_of(zeros(64 << 20));
        assert!(peak < 1 << 20, "{peak}");
    }

    // I13
    #[test]
    fn memory_stays_within_the_limits() {
        let picture = DynamicImage::new_rgb8(512, 512);
        for format in ImageFormat::ALL {
            let codec = image::ImageFormat::from_mime_type(format.media_type()).expect("known");
            let mut bytes = Cursor::new(Vec::new());
            let picture = match format {
                ImageFormat::Gif | ImageFormat::WebP => picture.to_rgba8().into(),
                _ => picture.clone(),
            };
            picture.write_to(&mut bytes, codec).expect("a picture");
            let pixels = picture.as_bytes().len() as u64;
            let peak = peak(bytes.into_inner());
            assert!(
                peak <= pixels + 8 * 512 * 512 + CODEC_OVERHEAD,
                "{format}: {peak}"
            );
        }
        let progressive = include_bytes!("../../tests/image/files/progressive.jpg");
        assert!(peak(progressive.to_vec()) < CODEC_OVERHEAD);
    }
}
