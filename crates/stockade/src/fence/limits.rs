//! Builds limits from their configuration.

use std::{num::NonZeroU32, time::Duration};

use stockade_rate_limit::{ConcurrencyLimit, KeyExtractor, Limit, Limits, Quota};

use crate::{ConcurrencyConfig, Config, ConfigError};

/// The limits by client address; `None` if there are none.
pub(super) fn by_ip(config: &Config) -> Result<Option<Limits>, ConfigError> {
    let quotas = &config.rate_limit.by_ip;
    let by = KeyExtractor::client_ip_prefix(config.client_ip.ipv6_prefix()?);
    limits("rate_limit.by_ip", [("ip", by, quotas)])
}

/// The limits by key or token; `None` if there are none.
pub(super) fn by_key(config: &Config) -> Result<Option<Limits>, ConfigError> {
    let quotas = &config.rate_limit.by_key;
    // With `by_ip`, unauthenticated requests have been counted already. Without it, they are
    // counted by address here.
    let by = match config.rate_limit.by_ip.is_empty() {
        true => KeyExtractor::principal_or_prefix(config.client_ip.ipv6_prefix()?),
        false => KeyExtractor::dangerous_principal_only(),
    };
    limits("rate_limit.by_key", [("key", by, quotas)])
}

/// The token budgets; `None` if there are none.
pub(super) fn tokens(config: &Config) -> Result<Option<Limits>, ConfigError> {
    let budget = &config.token_budget;
    let by_key = KeyExtractor::principal_or_prefix(config.client_ip.ipv6_prefix()?);
    let by_model = by_key.clone().and(KeyExtractor::model());
    let all = [
        ("tokens", by_key, &budget.by_key),
        ("model-tokens", by_model, &budget.by_key_and_model),
    ];
    limits("token_budget", all)
}

fn limits<'a>(
    setting: &str,
    all: impl IntoIterator<Item = (&'static str, KeyExtractor, &'a Vec<Quota>)>,
) -> Result<Option<Limits>, ConfigError> {
    let limits: Vec<_> = all
        .into_iter()
        .filter(|(_, _, quotas)| !quotas.is_empty())
        .map(|(name, by, quotas)| {
            quotas
                .iter()
                .copied()
                .fold(Limit::new(name, by), Limit::quota)
        })
        .collect();
    if limits.is_empty() {
        return Ok(None);
    }
    let limits = Limits::new(limits).map_err(|error| ConfigError::of(setting, error))?;
    Ok(Some(limits))
}

/// The limits of concurrent requests.
pub(super) fn concurrency(config: &ConcurrencyConfig, v6_length: u8) -> Vec<ConcurrencyLimit> {
    let by_key = KeyExtractor::principal_or_prefix(v6_length);
    let per_key = config
        .per_key
        .map(|max| ConcurrencyLimit::new("concurrency", by_key, max));
    let total = config
        .total
        .map(|max| ConcurrencyLimit::new("capacity", KeyExtractor::global(), max).overload());
    per_key.into_iter().chain(total).collect()
}

/// The timeout and the length of the queue; `None` without a queue.
pub(super) fn queue(config: &ConcurrencyConfig) -> Option<(Duration, usize)> {
    const MAX_WAITING: usize = 1_024;
    let wait = Duration::from_millis(config.wait_ms?.get().into());
    let waiters = config.max_waiting.map(NonZeroU32::get);
    Some((wait, waiters.map_or(MAX_WAITING, |count| count as usize)))
}
