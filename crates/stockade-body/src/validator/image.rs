//! The rules for images.

use std::borrow::Cow;

use bytes::Bytes;
use stockade_core::refusal::Refusal;

use super::{Validator, scalar::ensure};
use crate::{
    ImageError, ImageFormat, ImageRules, ValidatedImage, json::Text, refusal,
    scan_error::ScanError, work_budget::WorkBudget,
};

impl Validator<'_> {
    /// Validates an image in the body without copying it and returns its format; escaped text
    /// (PHP escapes each `/`) is copied.
    pub(super) fn image<F>(&mut self, text: Text<'_>, read: F) -> Result<ImageFormat, ScanError>
    where
        F: FnOnce(&ImageRules, Bytes, &WorkBudget) -> Result<ValidatedImage, ImageError>,
    {
        self.has_room_for_image()?;
        let text = match text.unescaped() {
            Cow::Borrowed(text) => self.body.slice_ref(text),
            Cow::Owned(text) => {
                let mut reservation = self.memory.reserve();
                reservation
                    .charge(|| self.caller.owner())
                    .map_err(Refusal::from)?;
                reservation.grow(text.len()).map_err(Refusal::from)?;
                reservation.into_bytes(text)
            }
        };
        let image = read(&self.profile.images, text, self.budget);
        self.found(image)
    }

    fn has_room_for_image(&self) -> Result<(), Refusal> {
        let limit = self.profile.max_images;
        ensure(self.output.images.len() < limit, || {
            refusal::too_many_images(limit)
        })
    }

    /// Validates an image in binary form.
    pub(crate) fn image_bytes(
        &mut self,
        declared: Option<ImageFormat>,
        bytes: Bytes,
    ) -> Result<(), ScanError> {
        let rules = &self.profile.images;
        let image = ValidatedImage::bytes_within(rules, declared, bytes, self.budget);
        self.found(image).map(drop)
    }

    /// Records an image and returns its format, unless the budget ran out meanwhile.
    fn found(
        &mut self,
        image: Result<ValidatedImage, ImageError>,
    ) -> Result<ImageFormat, ScanError> {
        if self.budget.is_exhausted() {
            return Err(ScanError::BudgetExhausted);
        }
        let image = image?;
        let format = image.info().format;
        self.has_room_for_image()?;
        let bytes: u64 = self.output.images().map(|image| image.info().bytes).sum();
        let limit = self.profile.max_image_bytes;
        let bytes = bytes.saturating_add(image.info().bytes);
        ensure(bytes <= limit, || refusal::images_too_large(limit))?;
        self.output.relabelled_images += u32::from(image.info().declared_as.is_some());
        self.output.images.push(image);
        Ok(format)
    }
}
