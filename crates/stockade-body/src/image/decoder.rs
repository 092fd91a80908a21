//! Pixels, made by a few threads at a time.

use std::{fmt, io::Cursor, sync::Arc};

use bytes::Bytes;
use image::{
    DynamicImage, ImageDecoder as Codec, ImageResult, Limits,
    codecs::{gif::GifDecoder, jpeg::JpegDecoder, png::PngDecoder, webp::WebPDecoder},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task,
};

use crate::{DecodeLimits, ImageError, ImageErrorKind, ImageFacts, ImageFormat, ValidatedImage};

/// Decodes images within limits, off the async threads. Clones share the limits.
///
/// Only this shows that an image is one: [`ImageRules`](crate::ImageRules) judge its
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
/// assert_eq!(pixels.image().width(), 1);
///
/// // The same, with nothing in the place of its pixels.
/// let url = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIAOw==";
/// let image = ValidatedImage::from_data_url(&ImageRules::default(), Bytes::from(url))?;
/// let error = decoder.decode(&image).await.unwrap_err();
/// assert_eq!(error.kind(), ImageErrorKind::Undecodable);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ImageDecoder {
    /// One for each image that is decoded or waits for it.
    places: Arc<Semaphore>,
    running: Arc<Semaphore>,
    /// In KiB, of which a semaphore can count enough.
    memory: Arc<Semaphore>,
}

impl ImageDecoder {
    /// A decoder with these limits.
    pub fn new(limits: DecodeLimits) -> Self {
        let semaphore = |count: usize| Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
        let at_once = limits.at_once.get();
        let memory = usize::try_from(limits.memory / 1024).unwrap_or(usize::MAX);
        Self {
            places: semaphore(at_once.saturating_add(limits.waiting)),
            running: semaphore(at_once),
            memory: semaphore(memory),
        }
    }

    /// The pixels of an image. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`Undecodable`](ImageErrorKind::Undecodable), or [`Busy`](ImageErrorKind::Busy) where
    /// too many images wait or the memory for pixels is taken.
    pub async fn decode(&self, image: &ValidatedImage) -> Result<DecodedImage, ImageError> {
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| ImageErrorKind::Busy)?;
        let running = Arc::clone(&self.running)
            .acquire_owned()
            .await
            .expect("the semaphore is never closed");
        let memory = Arc::clone(&self.memory);
        let image = image.clone();
        // The permits go with the work: a client that leaves makes no room for a second
        // piece of work while the first one still runs.
        let work = task::spawn_blocking(move || {
            let _held = (place, running);
            decode(image.facts(), image.bytes(), |bytes| take(memory, bytes))
        });
        // A panic in a codec is one image that cannot be decoded.
        let decoded = work.await.unwrap_or(Err(ImageErrorKind::Undecodable));
        decoded.map_err(ImageError::from)
    }
}

/// An image's pixels. They count as memory of the [`ImageDecoder`] until this is dropped.
pub struct DecodedImage {
    image: DynamicImage,
    _memory: OwnedSemaphorePermit,
}

impl DecodedImage {
    /// The pixels as they are stored: an orientation in the metadata is not applied.
    pub fn image(&self) -> &DynamicImage {
        &self.image
    }

    /// The pixels for good: from here on their memory is the caller's to bound.
    pub fn into_image(self) -> DynamicImage {
        self.image
    }
}

impl fmt::Debug for DecodedImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecodedImage")
            .field("width", &self.image.width())
            .field("height", &self.image.height())
            .finish_non_exhaustive()
    }
}

/// What a codec may allocate for profiles and tables, whatever they inflate to.
const ASIDE: u64 = 16 << 20;

/// Taken at once or not at all: a handler that keeps one image and waits for the next
/// would wait for itself.
fn take(memory: Arc<Semaphore>, bytes: u64) -> Result<OwnedSemaphorePermit, ImageErrorKind> {
    let kib = u32::try_from(bytes.div_ceil(1024)).map_err(|_| ImageErrorKind::Busy)?;
    memory
        .try_acquire_many_owned(kib)
        .map_err(|_| ImageErrorKind::Busy)
}

fn decode(
    facts: &ImageFacts,
    bytes: Bytes,
    take: impl FnOnce(u64) -> Result<OwnedSemaphorePermit, ImageErrorKind>,
) -> Result<DecodedImage, ImageErrorKind> {
    let mut codec = open(facts.format, bytes).map_err(|_| ImageErrorKind::Undecodable)?;
    // The rules have judged other dimensions than the codec is about to decode.
    if codec.dimensions() != (facts.width, facts.height) {
        return Err(ImageErrorKind::Undecodable);
    }
    let memory = take(codec.total_bytes())?;
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(facts.pixels().saturating_mul(8).saturating_add(ASIDE));
    codec
        .set_limits(limits)
        .and_then(|()| DynamicImage::from_decoder(codec))
        .map(|image| DecodedImage {
            image,
            _memory: memory,
        })
        .map_err(|_| ImageErrorKind::Undecodable)
}

fn open(format: ImageFormat, bytes: Bytes) -> ImageResult<Box<dyn Codec>> {
    let bytes = Cursor::new(bytes);
    Ok(match format {
        ImageFormat::Png => {
            let mut limits = Limits::no_limits();
            // What is inflated grows by doubling, the old half kept until the new one is full.
            limits.max_alloc = Some(ASIDE / 4);
            Box::new(PngDecoder::with_limits(bytes, limits)?)
        }
        ImageFormat::Jpeg => Box::new(JpegDecoder::new(bytes)?),
        ImageFormat::WebP => Box::new(WebPDecoder::new(bytes)?),
        ImageFormat::Gif => Box::new(GifDecoder::new(bytes)?),
    })
}

#[cfg(test)]
mod tests {
    use image::{ImageEncoder, codecs::png::PngEncoder};

    use super::*;
    use crate::ImageRules;

    fn peak(bytes: Vec<u8>) -> u64 {
        let image = ValidatedImage::from_bytes(&ImageRules::default(), None, bytes.into());
        let image = image.expect("an image");
        let memory = Arc::new(Semaphore::new(1 << 30));
        let used = allocation_counter::measure(|| {
            let decoded = decode(image.facts(), image.bytes(), |bytes| take(memory, bytes));
            assert!(decoded.is_ok());
        });
        used.bytes_max
    }

    // I05, I13
    #[test]
    fn a_profile_bomb_is_not_inflated() {
        let mut bytes = Vec::new();
        let mut encoder = PngEncoder::new(&mut bytes);
        encoder
            .set_icc_profile(vec![0; 64 << 20])
            .expect("PNG has profiles");
        let black = DynamicImage::new_luma8(8, 8);
        black.write_with_encoder(encoder).expect("a picture");
        assert!(bytes.len() < 1 << 20, "it is a bomb");
        let peak = peak(bytes);
        assert!(peak < ASIDE, "{peak}");
    }

    // I13
    #[test]
    fn memory_is_what_the_limits_say() {
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
            assert!(peak <= pixels + 8 * 512 * 512 + ASIDE, "{format}: {peak}");
        }
        let progressive = include_bytes!("../../tests/image/files/progressive.jpg");
        assert!(peak(progressive.to_vec()) < ASIDE);
    }
}
