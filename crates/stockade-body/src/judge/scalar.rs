//! The rules for values that are neither object nor array.

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use stockade_core::Refusal;

use super::Judge;
use crate::{
    ImageError, ImageErrorKind, ImageFormat, ImageRules, ValidatedImage,
    json::{Number, Scalar, Text},
    profile::{Kinds, Node, Rule},
    refusal,
};

/// The longest name of a model, in bytes.
const MODEL_NAME: usize = 256;

/// Whether a place takes this kind of value.
pub(super) fn kind(node: &Node, kind: Kinds) -> Result<(), Refusal> {
    let kinds = node.kinds();
    if kinds.has(kind) {
        Ok(())
    } else if kinds == Kinds::NONE {
        Err(refusal::unsupported())
    } else {
        Err(refusal::wrong_kind(&kinds.describe()))
    }
}

impl Judge<'_> {
    /// Judges a value by all rules of its place.
    pub(super) fn judge(&mut self, node: &Node, scalar: Scalar<'_>) -> Result<(), Refusal> {
        match scalar {
            Scalar::Null if node.is_required() => {
                Err(refusal::wrong_kind(&node.kinds().describe()))
            }
            Scalar::Null => Ok(()),
            Scalar::Boolean => kind(node, Kinds::BOOLEAN),
            Scalar::Number(number) => {
                kind(node, Kinds::NUMBER)?;
                let mut rules = node.rules().iter();
                rules.try_for_each(|rule| self.number(rule, number))
            }
            Scalar::String(text) => {
                kind(node, Kinds::STRING)?;
                let mut rules = node.rules().iter();
                rules.try_for_each(|rule| self.string(rule, text))
            }
        }
    }

    fn number(&mut self, rule: &Rule, number: Number<'_>) -> Result<(), Refusal> {
        match rule {
            Rule::Integer(from, to) => whole(number, *from, *to).map(drop),
            Rule::Number(from, to) => {
                let is_within = (*from..=*to).contains(&number.as_f64());
                ensure(is_within, || refusal::out_of_range(from, to))
            }
            Rule::Token => {
                whole(number, 0, u32::MAX.into())?;
                self.count(4)
            }
            Rule::MaxTokens => {
                let tokens = whole(number, 1, self.profile.max_tokens)?;
                let most = &mut self.findings.max_tokens;
                *most = Some(most.unwrap_or(0).max(tokens.unsigned_abs()));
                Ok(())
            }
            Rule::Answers(limit) => {
                let answers = whole(number, 1, *limit)?.unsigned_abs();
                self.findings.answers = self.findings.answers.max(answers);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn string(&mut self, rule: &Rule, text: Text<'_>) -> Result<(), Refusal> {
        match rule {
            Rule::OneOf(values) => {
                let value = text.unescaped();
                let is_known = values.iter().any(|known| known.as_bytes() == &*value);
                ensure(is_known, refusal::unsupported)
            }
            Rule::Chars(limit) => ensure(text.chars() <= *limit, || {
                refusal::too_long(limit, "characters")
            }),
            // With its quotes.
            Rule::Size(limit) => self.measure(text.raw().len() + 2, *limit),
            Rule::Text => self.count(text.chars()),
            Rule::Model => self.model(text),
            Rule::ImageUrl => {
                let image = self.image(text, ValidatedImage::from_data_url)?;
                self.found(image)
            }
            Rule::ImageBase64 => {
                let read =
                    |rules: &ImageRules, text| ValidatedImage::from_base64(rules, None, text);
                let image = self.image(text, read)?;
                let format = image.facts().format;
                if let Some(parent) = self.parent() {
                    parent.image.found = Some(format);
                }
                self.found(image)
            }
            Rule::ImageType => {
                let format = ImageFormat::from_media_type(&text.unescaped());
                let format = format.ok_or(ImageError::from(ImageErrorKind::Unsupported))?;
                if let Some(parent) = self.parent() {
                    parent.image.declared = Some(format);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn model(&mut self, text: Text<'_>) -> Result<(), Refusal> {
        let name = text.unescaped();
        let name = str::from_utf8(&name).expect("a text is UTF-8");
        let is_open = self
            .profile
            .models
            .as_ref()
            .is_none_or(|models| models.iter().any(|model| **model == *name));
        let is_theirs = self.principal.is_none_or(|them| them.may_use_model(name));
        ensure(
            name.len() <= MODEL_NAME && is_open && is_theirs,
            refusal::model_not_allowed,
        )?;
        self.findings.model = Some(Arc::from(name));
        Ok(())
    }

    /// Counts characters of prompt.
    pub(super) fn count(&mut self, chars: u64) -> Result<(), Refusal> {
        let limit = self.profile.prompt_chars;
        self.findings.prompt_chars += chars;
        ensure(self.findings.prompt_chars <= limit, || {
            refusal::prompt_too_long(limit)
        })
    }

    /// Counts what the model reads besides the prompt.
    pub(super) fn measure(&mut self, bytes: usize, limit: usize) -> Result<(), Refusal> {
        ensure(bytes <= limit, || refusal::too_long(limit, "bytes"))?;
        self.findings.other_bytes += bytes as u64;
        Ok(())
    }

    /// Reads an image out of the body itself; one whose text is escaped (PHP escapes each
    /// `/`) out of a copy.
    fn image<F>(&self, text: Text<'_>, read: F) -> Result<ValidatedImage, Refusal>
    where
        F: FnOnce(&ImageRules, Bytes) -> Result<ValidatedImage, ImageError>,
    {
        self.has_place_for_image()?;
        let text = match text.unescaped() {
            Cow::Borrowed(text) => self.body.slice_ref(text),
            Cow::Owned(text) => {
                let mut share = self.memory.share();
                share.grow(text.len())?;
                share.hold(text)
            }
        };
        Ok(read(&self.profile.images, text)?)
    }

    pub(super) fn has_place_for_image(&self) -> Result<(), Refusal> {
        let limit = self.profile.max_images;
        ensure(self.findings.images.len() < limit, || {
            refusal::too_many_images(limit)
        })
    }

    /// Notes an image that passed.
    pub(crate) fn found(&mut self, image: ValidatedImage) -> Result<(), Refusal> {
        self.has_place_for_image()?;
        let bytes: u64 = self
            .findings
            .images()
            .map(|image| image.facts().bytes)
            .sum();
        let limit = self.profile.image_bytes;
        let bytes = bytes.saturating_add(image.facts().bytes);
        ensure(bytes <= limit, || refusal::images_too_large(limit))?;
        self.findings.images.push(image);
        Ok(())
    }
}

fn ensure(holds: bool, refusal: impl FnOnce() -> Refusal) -> Result<(), Refusal> {
    if holds { Ok(()) } else { Err(refusal()) }
}

fn whole(number: Number<'_>, from: i64, to: i64) -> Result<i64, Refusal> {
    number
        .as_integer()
        .filter(|value| (from..=to).contains(value))
        .ok_or_else(|| refusal::not_whole(from, to))
}
