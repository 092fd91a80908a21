//! The key as tower_governor's key.

use std::sync::Arc;

use http::Request;
use tower_governor::{GovernorError, key_extractor::KeyExtractor};

use super::state::KeyInfo;

/// Limits by the key that a request was authenticated with.
#[derive(Clone, Copy, Debug)]
pub(super) struct ByKey;

impl KeyExtractor for ByKey {
    type Key = Arc<str>;

    fn extract<T>(&self, request: &Request<T>) -> Result<Arc<str>, GovernorError> {
        let key = request.extensions().get::<Arc<KeyInfo>>();
        key.map(|key| Arc::clone(&key.id))
            .ok_or(GovernorError::UnableToExtractKey)
    }
}
