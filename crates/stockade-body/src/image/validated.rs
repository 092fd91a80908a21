//! Images that passed, for whoever handles the request.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;

use super::reader;
use crate::{ImageError, ImageFacts, ImageFormat, ImageRules, effort::Effort};

/// The images of a request that passed the rules, in the order of the body: a request
/// extension, so that no handler looks for them or decodes their base64 again.
#[derive(Clone, Debug, Default)]
pub struct ValidatedImages(Arc<[ValidatedImage]>);

impl ValidatedImages {
    /// The images, in the order of the body.
    pub fn as_slice(&self) -> &[ValidatedImage] {
        &self.0
    }
}

impl FromIterator<ValidatedImage> for ValidatedImages {
    fn from_iter<I>(images: I) -> Self
    where
        I: IntoIterator<Item = ValidatedImage>,
    {
        Self(images.into_iter().collect())
    }
}

/// An image that passed [`ImageRules`]: what is known of it, and its bytes.
///
/// Cheap to clone: it shares the memory of the body that it came in. Passing the rules does
/// not make an image decodable; only decoding it shows that.
#[derive(Clone)]
pub struct ValidatedImage(Arc<Inner>);

struct Inner {
    facts: ImageFacts,
    encoded: Encoded,
}

enum Encoded {
    Bytes(Bytes),
    Base64 { text: Bytes, bytes: OnceLock<Bytes> },
}

impl ValidatedImage {
    /// An image as [`ImageRules::check_bytes`] judges it.
    ///
    /// # Errors
    /// Those of [`ImageRules::check_bytes`].
    pub fn from_bytes(
        rules: &ImageRules,
        declared: Option<ImageFormat>,
        bytes: Bytes,
    ) -> Result<Self, ImageError> {
        Self::bytes_within(rules, declared, bytes, &Effort::unbounded())
    }

    /// An image as [`ImageRules::check_base64`] judges it.
    ///
    /// # Errors
    /// Those of [`ImageRules::check_base64`].
    pub fn from_base64(
        rules: &ImageRules,
        declared: Option<ImageFormat>,
        text: Bytes,
    ) -> Result<Self, ImageError> {
        Self::base64_within(rules, declared, text, &Effort::unbounded())
    }

    /// An image as [`ImageRules::check_data_url`] judges it; escapes that the body's own
    /// syntax has in the URL are undone before.
    ///
    /// # Errors
    /// Those of [`ImageRules::check_data_url`].
    pub fn from_data_url(rules: &ImageRules, url: Bytes) -> Result<Self, ImageError> {
        Self::data_url_within(rules, url, &Effort::unbounded())
    }

    /// [`from_bytes`](Self::from_bytes), within this effort.
    pub(crate) fn bytes_within(
        rules: &ImageRules,
        declared: Option<ImageFormat>,
        bytes: Bytes,
        effort: &Effort,
    ) -> Result<Self, ImageError> {
        let facts = rules.bytes_within(declared, &bytes, effort)?;
        Ok(Self::new(facts, Encoded::Bytes(bytes)))
    }

    /// [`from_base64`](Self::from_base64), within this effort.
    pub(crate) fn base64_within(
        rules: &ImageRules,
        declared: Option<ImageFormat>,
        text: Bytes,
        effort: &Effort,
    ) -> Result<Self, ImageError> {
        let facts = rules.base64_within(declared, &text, effort)?;
        let bytes = OnceLock::new();
        Ok(Self::new(facts, Encoded::Base64 { text, bytes }))
    }

    /// [`from_data_url`](Self::from_data_url), within this effort.
    pub(crate) fn data_url_within(
        rules: &ImageRules,
        url: Bytes,
        effort: &Effort,
    ) -> Result<Self, ImageError> {
        let parsed = rules.parse(&url)?;
        let text = url.slice_ref(parsed.base64());
        Self::base64_within(rules, Some(parsed.format()), text, effort)
    }

    fn new(facts: ImageFacts, encoded: Encoded) -> Self {
        Self(Arc::new(Inner { facts, encoded }))
    }

    /// What is known of it.
    pub fn facts(&self) -> &ImageFacts {
        &self.0.facts
    }

    /// The encoded image, base64 undone: by the first call, at about a seventh of a
    /// microsecond a KiB, and kept for the others.
    pub fn bytes(&self) -> Bytes {
        match &self.0.encoded {
            Encoded::Bytes(bytes) => bytes.clone(),
            Encoded::Base64 { text, bytes } => {
                bytes.get_or_init(|| reader::decode(text).into()).clone()
            }
        }
    }
}

impl ValidatedImage {
    /// Undoes the base64 now and drops its text, for a handler that keeps the image longer
    /// than the body that it came in.
    pub fn compact(self) -> Self {
        match &self.0.encoded {
            Encoded::Bytes(_) => self,
            Encoded::Base64 { .. } => Self::new(*self.facts(), Encoded::Bytes(self.bytes())),
        }
    }
}

impl fmt::Debug for ValidatedImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValidatedImage")
            .field("facts", &self.0.facts)
            .finish_non_exhaustive()
    }
}
