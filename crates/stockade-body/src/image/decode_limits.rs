//! How much is decoded at a time.

use std::{num::NonZeroUsize, thread};

/// What an [`ImageDecoder`](crate::ImageDecoder) may take.
///
/// All of the decoder's memory is `memory` and, for each image that is decoded at this
/// moment, at most 8 bytes a pixel, 16 MiB, and a copy of the encoded image where it has
/// metadata. Profiles, texts and other metadata are removed before a codec sees the image,
/// so none of them is inflated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    pub(super) concurrency: NonZeroUsize,
    pub(super) queue: usize,
    pub(super) memory: u64,
}

impl DecodeLimits {
    /// Images decoded at once, each on a thread of its own; as many as there are cores
    /// unless it is set.
    pub fn concurrency(mut self, images: NonZeroUsize) -> Self {
        self.concurrency = images;
        self
    }

    /// Images that may wait for that; 8 for each core unless it is set.
    pub fn queue(mut self, images: usize) -> Self {
        self.queue = images;
        self
    }

    /// The most bytes of pixels that may exist, in all [`DecodedImage`](crate::DecodedImage)s together; 1 GiB
    /// unless it is set.
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
