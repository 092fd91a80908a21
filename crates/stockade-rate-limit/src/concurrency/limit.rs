//! So many requests at once.

use std::{hash::BuildHasher, num::NonZeroU32};

use stockade_core::guard::Head;

use crate::{
    KeyExtractor, KeyExtractorError, PermitRequest, key_extractor::ExtractedKey, rate_key::seed,
};

/// So many requests at once, for each subject.
///
/// ```
/// use std::num::NonZeroU32;
///
/// use stockade_rate_limit::{KeyExtractor, ConcurrencyLimit};
///
/// const FOUR: NonZeroU32 = NonZeroU32::new(4).unwrap();
/// let limit = ConcurrencyLimit::new("streams", KeyExtractor::principal(), FOUR);
/// # let _ = limit;
/// ```
#[derive(Clone, Debug)]
pub struct ConcurrencyLimit {
    name: Box<str>,
    digest: u64,
    extractor: KeyExtractor,
    max: NonZeroU32,
    overload: bool,
}

impl ConcurrencyLimit {
    /// A limit of this name, which clients see.
    ///
    /// Counted by the principal alone, a principal's own
    /// [`concurrency`](stockade_core::identity::QuotaOverrides::concurrency) comes in place of `max`.
    /// Limits of the same name in one store share their places.
    pub fn new(name: impl Into<Box<str>>, extractor: KeyExtractor, max: NonZeroU32) -> Self {
        let name = name.into();
        Self {
            digest: seed().hash_one(&name),
            name,
            extractor,
            max,
            overload: false,
        }
    }

    /// Makes the limit one of the server: whoever finds it full is told with a 503 that the
    /// server is busy, and not with a 429 that it asks for too much itself.
    pub fn overload(mut self) -> Self {
        self.overload = true;
        self
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn max(&self) -> NonZeroU32 {
        self.max
    }

    pub(super) fn is_overload(&self) -> bool {
        self.overload
    }

    /// The place that a request needs; `None` where the limit does not count it. For whoever
    /// asks a [`PermitStore`](crate::PermitStore) without a guard.
    ///
    /// # Errors
    /// When the request does not tell who the client is, but has to.
    pub fn permit_request<'a>(
        &'a self,
        head: &'a Head,
    ) -> Result<Option<PermitRequest<'a>>, KeyExtractorError> {
        let Some(ExtractedKey { key, principal }) = self.extractor.extract_with_principal(head)?
        else {
            return Ok(None);
        };
        let override_max = principal.and_then(|principal| principal.quotas().concurrency);
        let max = override_max.unwrap_or(self.max);
        Ok(Some(PermitRequest::new(&self.name, self.digest, key, max)))
    }
}
