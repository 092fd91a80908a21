//! A limit of requests in flight.

use std::{hash::BuildHasher, num::NonZeroU32};

use stockade_core::guard::Head;

use crate::{
    KeyExtractor, KeyExtractorError, PermitRequest, key_extractor::ExtractedKey, rate_key::seed,
};

/// A limit of requests in flight per key.
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
    /// Creates a limit with this name, which clients see.
    ///
    /// For a limit by principal alone, a principal's own
    /// [`concurrency`](stockade_core::identity::QuotaOverrides::concurrency) replaces `max`.
    /// Limits of the same name in one store share their permits.
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

    /// Marks the limit as one of the server: if it is full, the response is a 503 instead of a
    /// 429, since the client is not at fault.
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

    /// The permit that a request needs; `None` if the limit does not count it. For calling a
    /// [`PermitStore`](crate::PermitStore) without a guard.
    ///
    /// # Errors
    /// If the client address is required but unknown.
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
