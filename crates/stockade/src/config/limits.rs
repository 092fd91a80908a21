//! `[rate_limit]`, `[concurrency]`, `[token_budget]` and `[store]`: limits and their store.

use std::num::NonZeroU32;

use serde::Deserialize;
use stockade_rate_limit::Quota;

use super::value::{self, SecretUrl, nonzero};

/// `[rate_limit]`: limits of the request rate. All quotas of a list apply.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct RateLimitConfig {
    /// Quotas per client address, checked before authentication: `["600/minute"]`. They also
    /// throttle invalid keys before any slow hash is computed.
    #[serde(deserialize_with = "value::list")]
    pub by_ip: Vec<Quota>,
    /// Quotas per key or token: `["60/minute burst 10", "10000/day"]`. A key's own quota
    /// replaces the one with the same unit. Without `by_ip`, unauthenticated requests are
    /// counted by address.
    #[serde(deserialize_with = "value::list")]
    pub by_key: Vec<Quota>,
    /// Rate limit headers in addition to the standard ones.
    #[serde(deserialize_with = "value::list")]
    pub headers: Vec<HeaderStyle>,
    /// The maximum number of clients that each process tracks.
    pub max_tracked: NonZeroU32,
}

impl Default for RateLimitConfig {
    fn default() -> Self {
        Self {
            by_ip: Vec::new(),
            by_key: Vec::new(),
            headers: Vec::new(),
            max_tracked: nonzero!(1_000_000),
        }
    }
}

/// Rate limit headers in addition to `RateLimit` and `RateLimit-Policy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderStyle {
    /// `X-RateLimit-Limit`, `-Remaining` and `-Reset`, in seconds from now.
    Legacy,
    /// The same, with `-Reset` in seconds since 1970.
    LegacyEpoch,
    /// `x-ratelimit-limit-requests` and the other headers that OpenAI sends.
    OpenAi,
}

impl std::str::FromStr for HeaderStyle {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "legacy" => Ok(Self::Legacy),
            "legacy-epoch" => Ok(Self::LegacyEpoch),
            "openai" => Ok(Self::OpenAi),
            _ => Err(
                "unknown header style; the styles are \"legacy\" (X-RateLimit-…), \"legacy-epoch\" \
                 (the same, with the reset in seconds since 1970) and \"openai\" \
                 (x-ratelimit-…-requests)",
            ),
        }
    }
}

/// `[concurrency]`: limits of concurrent requests, each counted until its response has ended.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ConcurrencyConfig {
    /// The limit per key or token, and per address for unauthenticated requests.
    pub per_key: Option<NonZeroU32>,
    /// The limit of all requests together.
    pub total: Option<NonZeroU32>,
    /// How long a request may wait in the queue, in milliseconds; no queue by default.
    pub wait_ms: Option<NonZeroU32>,
    /// The length of the queue.
    pub max_waiting: Option<NonZeroU32>,
}

/// `[token_budget]`: quotas of model tokens, prompt and completion together.
///
/// The tokens that a request may use are reserved before it runs and settled with its usage.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct TokenBudgetConfig {
    /// Quotas per key or token: `["100000/minute", "5000000/day"]`.
    #[serde(deserialize_with = "value::list")]
    pub by_key: Vec<Quota>,
    /// Quotas per key or token and model.
    #[serde(deserialize_with = "value::list")]
    pub by_key_and_model: Vec<Quota>,
    /// Tokens reserved for the completion of a request without `max_tokens`: set it to the
    /// default of the server behind the fence; 4,096 by default. Takes effect at the next start.
    pub default_max_tokens: Option<NonZeroU32>,
}

/// `[store]`: the store of limits and bans that replicas share. Without this section, each
/// process has its own.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct StoreConfig {
    /// The address of Redis: `redis://:PASSWORD@HOST:6379`, or `rediss://` for TLS. `redis_file`
    /// names a file with it instead.
    pub redis: SecretUrl,
    /// The handling of requests while the store is unavailable; required:
    /// `deny` (503), `allow` (uncounted), or `local` (counted in each process).
    pub on_failure: OnFailure,
    /// The fraction of each limit that a process applies on its own while the store is
    /// unavailable, with `local`: 1 divided by the number of replicas.
    #[serde(default = "StoreConfig::local_fraction")]
    pub local_fraction: f64,
    /// The prefix of all Redis keys, which separates fences that share one Redis.
    #[serde(default = "StoreConfig::namespace")]
    pub namespace: String,
    /// The number of permits that a process takes from the store at a time; 0 calls the store
    /// for each request. Up to this number may be left unused in each process for a while.
    #[serde(default)]
    pub lease: u32,
}

impl StoreConfig {
    fn local_fraction() -> f64 {
        0.5
    }

    fn namespace() -> String {
        "stockade".to_owned()
    }
}

/// The handling of requests while the store is unavailable.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum OnFailure {
    /// Requests are refused with status 503.
    Deny,
    /// Requests pass uncounted.
    Allow,
    /// Requests are counted in each process.
    Local,
}
