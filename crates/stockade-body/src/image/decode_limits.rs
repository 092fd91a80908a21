//! Limits on decoding.

use std::{num::NonZeroUsize, thread};

/// The limits of an [`ImageDecoder`](crate::ImageDecoder).
///
/// The decoder uses at most `memory` and, for each image being decoded, 8 bytes per pixel, 16
/// MiB, and a copy of the encoded image if it has metadata. Profiles, texts and other metadata
/// are removed before a codec sees the image, so none is inflated.
///
/// ```
/// use std::num::NonZeroUsize;
///
/// use stockade_body::{DecodeLimits, ImageDecoder};
///
/// let limits = DecodeLimits::default()
///     .concurrency(NonZeroUsize::MIN)
///     .queue(16)
///     .memory(256 << 20);
/// let decoder = ImageDecoder::new(limits);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    pub(super) concurrency: NonZeroUsize,
    pub(super) queue: usize,
    pub(super) memory: u64,
}

impl DecodeLimits {
    /// Sets how many images are decoded at a time, each on its own thread. Default: the number
    /// of cores.
    pub fn concurrency(mut self, images: NonZeroUsize) -> Self {
        self.concurrency = images;
        self
    }

    /// Sets how many images may be queued. Default: 8 per core.
    pub fn queue(mut self, images: usize) -> Self {
        self.queue = images;
        self
    }

    /// Sets the maximum memory of all [`DecodedImage`](crate::DecodedImage)s together in
    /// bytes. Default: 1 GiB.
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = bytes;
        self
    }
}

impl Default for DecodeLimits {
    fn default() -> Self {
        let cores = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self {
            concurrency: cores,
            queue: cores.get().saturating_mul(8),
            memory: 1 << 30,
        }
    }
}
