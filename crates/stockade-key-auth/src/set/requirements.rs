//! Keys that depend on server settings.

use super::Key;
use crate::KeySet;

/// The numbers of keys in a [`KeySet`] that depend on server settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyRequirements {
    /// Keys with a peppered hash; see [`Pepper`](crate::Pepper).
    pub pepper: usize,
    /// Keys with a client certificate; see [`ClientCertificate`](crate::ClientCertificate).
    pub certificates: usize,
    /// Keys with their own request quotas.
    pub request_quotas: usize,
    /// Keys with their own token quota.
    pub token_quotas: usize,
    /// Keys with their own concurrency limit.
    pub concurrency: usize,
}

impl KeySet {
    /// Counts the keys that depend on server settings.
    pub fn requirements(&self) -> KeyRequirements {
        let count = |needs: fn(&Key) -> bool| self.keys().filter(|key| needs(key)).count();
        KeyRequirements {
            pepper: count(|key| key.hash.algorithm() == "hmac-sha256"),
            certificates: count(|key| key.hash.as_certificate().is_some()),
            request_quotas: count(|key| {
                let quotas = key.quotas();
                quotas.requests_per_minute.is_some()
                    || quotas.requests_per_hour.is_some()
                    || quotas.requests_per_day.is_some()
            }),
            token_quotas: count(|key| key.quotas().tokens_per_minute.is_some()),
            concurrency: count(|key| key.quotas().concurrency.is_some()),
        }
    }
}
