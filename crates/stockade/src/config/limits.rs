//! `[rate_limit]`, `[concurrency]`, `[token_budget]` and `[store]`: how much of it.

use std::num::NonZeroU32;

use serde::Deserialize;
use stockade_rate_limit::Quota;

use super::value::{self, SecretUrl, nonzero};

/// `[rate_limit]`: requests in a time. Each list is stacked: all of its quotas hold.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RateLimitConfig {
    /// By the client's address, before it is known who it is: `["600/minute"]`. Bad keys
    /// are throttled by it, too, before any slow hash.
    #[serde(deserialize_with = "value::list")]
    pub by_ip: Vec<Quota>,
    /// By key or token: `["60/minute burst 10", "10000/day"]`. What a key has of its own
    /// comes in place of the quota of the same unit. Who is not known is counted by its
    /// address, where there is no limit by address.
    #[serde(deserialize_with = "value::list")]
    pub by_key: Vec<Quota>,
    /// Which headers tell clients what is left, besides the standard ones.
    #[serde(deserialize_with = "value::list")]
    pub headers: Vec<HeaderStyle>,
    /// How many clients are counted at once, in each process.
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

/// Headers that tell clients what is left, besides `RateLimit` and `RateLimit-Policy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderStyle {
    /// `X-RateLimit-Limit`, `-Remaining` and `-Reset`, in seconds from now.
    Legacy,
    /// The same, with `-Reset` in seconds since 1970.
    LegacyEpoch,
    /// `x-ratelimit-limit-requests` and what else OpenAI sends.
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
                "headers are \"legacy\" (X-RateLimit-…), \"legacy-epoch\" (the same, with the reset in seconds since 1970) or \"openai\" (x-ratelimit-…-requests)",
            ),
        }
    }
}

/// `[concurrency]`: requests at the same time, each until its answer has ended.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConcurrencyConfig {
    /// Of one key or token, or of one address where nobody is known.
    pub per_key: Option<NonZeroU32>,
    /// Of all together.
    pub total: Option<NonZeroU32>,
    /// How long a request may wait for its turn, in milliseconds; not at all by default.
    pub wait_ms: Option<NonZeroU32>,
    /// How many may wait at once.
    pub max_waiting: Option<NonZeroU32>,
}

/// `[token_budget]`: model tokens in a time, prompt and answer together.
///
/// What a request may come to is reserved before it runs, and settled by what it used.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TokenBudgetConfig {
    /// By key or token: `["100000/minute", "5000000/day"]`.
    #[serde(deserialize_with = "value::list")]
    pub by_key: Vec<Quota>,
    /// By key or token and model.
    #[serde(deserialize_with = "value::list")]
    pub by_key_and_model: Vec<Quota>,
    /// Tokens reserved for the answer to a request that sets no `max_tokens`: the default
    /// of the server behind the fence; 4,096 unless it is set. In force at the next start.
    pub default_max_tokens: Option<NonZeroU32>,
}

/// `[store]`: where limits and bans are kept, so that replicas share them. In each process
/// alone, without it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreConfig {
    /// `redis://:PASSWORD@HOST:6379`, `rediss://` for TLS.
    pub redis: SecretUrl,
    /// What happens to requests while the store does not answer. It must be chosen:
    /// `deny` (503), `allow` (uncounted), or `local` (counted in each process).
    pub on_failure: OnFailure,
    /// The part of each limit that a process gives away by itself while the store does
    /// not answer, with `local`: 1 over the number of replicas is right.
    #[serde(default = "StoreConfig::local_fraction")]
    pub local_fraction: f64,
    /// The prefix of all keys, for several fences on one Redis.
    #[serde(default = "StoreConfig::namespace")]
    pub namespace: String,
    /// How many permits a process takes at once and spends by itself; 0 asks the store for
    /// each request. So many may be stranded in each process for a while.
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

/// What happens to requests while a store does not answer.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// They are refused with a 503.
    Deny,
    /// They pass uncounted.
    Allow,
    /// They are counted in each process.
    Local,
}
