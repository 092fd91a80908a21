//! Pictures for the engine, in a form in which its cache does not mix them up.

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, PoisonError},
};

use image::{DynamicImage, RgbaImage};

use super::{
    image::{Geometry, PreparedImage},
    quirks,
};

/// A picture of the size that the model sees.
#[derive(Clone, Debug)]
pub(super) struct Picture {
    pub(super) image: DynamicImage,
    /// The number of its tokens.
    pub(super) tokens: usize,
    pub(super) geometry: Geometry,
    /// Identifies the picture in the engine's cache.
    id: u64,
}

impl Picture {
    /// Marks a picture of a principal, so that the engine's cache keeps it apart from those of
    /// others, and from pictures of other sides.
    ///
    /// Fault 13 in `quirks`: the cache knows pictures by a hash over their bytes. The engine drops
    /// the alpha channel, but after the hash; the mark is therefore in the alpha channel, and the
    /// model sees the picture unchanged.
    pub(super) fn new(prepared: PreparedImage, owner: u64) -> Self {
        let mut marked = prepared.pixels.into_rgba8();
        let mut hasher = DefaultHasher::new();
        (owner, marked.dimensions(), &*marked).hash(&mut hasher);
        let id = hasher.finish();
        mark(&mut marked, id);
        Self {
            tokens: prepared.tokens,
            geometry: prepared.geometry,
            image: DynamicImage::ImageRgba8(marked),
            id,
        }
    }
}

/// The number of tokens of all pictures.
pub(super) fn tokens(pictures: &[Picture]) -> usize {
    pictures.iter().map(|picture| picture.tokens).sum()
}

/// Writes an id to the alpha channel.
fn mark(image: &mut RgbaImage, id: u64) {
    // A picture has at least 28 × 28 pixels.
    for (pixel, byte) in image.pixels_mut().zip(id.to_le_bytes()) {
        pixel.0[3] = byte;
    }
}

/// The pictures that are probably in the engine's cache: reading them again costs less.
#[derive(Debug, Default)]
pub(super) struct CachedPictures(Mutex<VecDeque<u64>>);

impl CachedPictures {
    /// Whether the engine has read the picture lately.
    pub(super) fn contains(&self, picture: &Picture) -> bool {
        self.lock().contains(&picture.id)
    }

    /// Notes that the engine reads a picture.
    pub(super) fn add(&self, picture: &Picture) {
        let mut ids = self.lock();
        ids.retain(|id| *id != picture.id);
        ids.push_back(picture.id);
        if ids.len() > quirks::CACHED_PICTURES {
            ids.pop_front();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<u64>> {
        // No code panics while the lock is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::mistralrs::{image::prepare, size_rule::SizeRule};

    const RULE: SizeRule = SizeRule {
        factor: 28,
        min_pixels: 784,
        max_pixels: 12_845_056,
    };

    fn picture(width: u32, height: u32, owner: u64) -> Picture {
        let image = DynamicImage::new_rgb8(width, height);
        Picture::new(prepare(image, &RULE).unwrap(), owner)
    }

    // FA17
    #[test]
    fn pictures_of_other_owners_or_sides_have_other_bytes() {
        let bytes = |picture: Picture| picture.image.into_bytes();
        let original = bytes(picture(112, 56, 1));
        assert_eq!(original, bytes(picture(112, 56, 1)));
        assert_ne!(original, bytes(picture(112, 56, 2)));
        assert_ne!(original, bytes(picture(56, 112, 1)));
    }

    #[test]
    fn colours_are_unchanged() {
        let original = DynamicImage::new_rgb8(28, 28);
        assert_eq!(picture(28, 28, 7).image.to_rgb8(), original.to_rgb8());
    }

    #[test]
    fn remembers_what_the_engine_remembers() {
        let cached = CachedPictures::default();
        let first = picture(28, 28, 0);
        assert!(!cached.contains(&first));
        cached.add(&first);
        for owner in 1..=u64::try_from(quirks::CACHED_PICTURES).unwrap() {
            assert!(cached.contains(&first));
            cached.add(&picture(28, 28, owner));
        }
        assert!(!cached.contains(&first));
    }
}
