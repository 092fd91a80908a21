//! Images that passed, for whoever handles the request.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;

use super::reader;
use crate::{ImageError, ImageFormat, ImageInfo, ImageRules, work_budget::WorkBudget};

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
    info: ImageInfo,
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
        Self::bytes_within(rules, declared, bytes, &WorkBudget::unlimited())
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
        Self::base64_within(rules, declared, text, &WorkBudget::unlimited())
    }

    /// An image as [`ImageRules::check_data_url`] judges it; escapes that the body's own
    /// syntax has in the URL are undone before.
    ///
    /// # Errors
    /// Those of [`ImageRules::check_data_url`].
    pub fn from_data_url(rules: &ImageRules, url: Bytes) -> Result<Self, ImageError> {
        Self::data_url_within(rules, url, &WorkBudget::unlimited())
    }

    /// [`from_bytes`](Self::from_bytes), within this budget.
    pub(crate) fn bytes_within(
        rules: &ImageRules,
        declared: Option<ImageFormat>,
        bytes: Bytes,
        budget: &WorkBudget,
    ) -> Result<Self, ImageError> {
        let info = rules.bytes_within(declared, &bytes, budget)?;
        Ok(Self::new(info, Encoded::Bytes(bytes)))
    }

    /// [`from_base64`](Self::from_base64), within this budget.
    pub(crate) fn base64_within(
        rules: &ImageRules,
        declared: Option<ImageFormat>,
        text: Bytes,
        budget: &WorkBudget,
    ) -> Result<Self, ImageError> {
        let info = rules.base64_within(declared, &text, budget)?;
        let bytes = OnceLock::new();
        Ok(Self::new(info, Encoded::Base64 { text, bytes }))
    }

    /// [`from_data_url`](Self::from_data_url), within this budget.
    pub(crate) fn data_url_within(
        rules: &ImageRules,
        url: Bytes,
        budget: &WorkBudget,
    ) -> Result<Self, ImageError> {
        let parsed = rules.parse(&url)?;
        let text = url.slice_ref(parsed.base64());
        Self::base64_within(rules, Some(parsed.format()), text, budget)
    }

    fn new(info: ImageInfo, encoded: Encoded) -> Self {
        Self(Arc::new(Inner { info, encoded }))
    }

    /// What is known of it.
    pub fn info(&self) -> &ImageInfo {
        &self.0.info
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
            Encoded::Base64 { .. } => Self::new(*self.info(), Encoded::Bytes(self.bytes())),
        }
    }
}

impl fmt::Debug for ValidatedImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValidatedImage")
            .field("facts", &self.0.info)
            .finish_non_exhaustive()
    }
}
