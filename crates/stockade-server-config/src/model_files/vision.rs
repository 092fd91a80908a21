//! Estimates the memory of a vision tower at work.

use serde_json::Value;

use super::MemoryNeeds;

/// The sizes of a vision tower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Vision {
    heads: u64,
    patch_pixels: u64,
    activations_per_patch: u64,
    images: u64,
    precision: u64,
}

impl Vision {
    /// Reads `vision_config`; `None` for a model without one.
    pub(super) fn read(config: &Value, needs: &MemoryNeeds) -> Option<Self> {
        let patch = config["patch_size"].as_u64()?;
        let hidden = config["hidden_size"].as_u64()?;
        let intermediate = config["intermediate_size"].as_u64()?;
        let precision = needs.precision.bytes();
        Some(Self {
            heads: config["num_heads"].as_u64()?,
            patch_pixels: patch.checked_mul(patch).filter(|pixels| *pixels > 0)?,
            activations_per_patch: (4 * hidden + 3 * intermediate) * precision,
            images: needs.images,
            precision,
        })
    }

    /// What the tower needs for the images of a chat, each of this size.
    pub(super) fn bytes(&self, max_pixels: u64) -> u64 {
        let patches = max_pixels.saturating_mul(self.images) / self.patch_pixels;
        let scores = patches
            .saturating_mul(patches)
            .saturating_mul((2 * self.heads + 2) * self.precision);
        scores.saturating_add(patches.saturating_mul(self.activations_per_patch))
    }

    /// The largest number of pixels of an image for which `bytes` are enough; `None` if that is too
    /// small for an image.
    pub(super) fn max_pixels(&self, bytes: u64) -> Option<u64> {
        /// 20 tokens; on smaller images nothing can be recognised.
        const MIN: u64 = 16_384;
        let (mut fits, mut over) = (0, 1 << 32);
        while over - fits > 1 {
            let middle = u64::midpoint(fits, over);
            if self.bytes(middle) <= bytes {
                fits = middle;
            } else {
                over = middle;
            }
        }
        // A round number of 1000 pixels.
        Some(fits / 1000 * 1000).filter(|pixels| *pixels >= MIN)
    }
}
