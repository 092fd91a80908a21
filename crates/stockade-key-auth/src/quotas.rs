//! The serialized form of quotas.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};
use stockade_core::identity::QuotaOverrides;

/// The serialized form of [`QuotaOverrides`], for stores: `{"requests_per_minute": 60}` in JSON.
/// Absent fields leave the default quota in place; unknown fields are an error.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct QuotaFields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    requests_per_minute: Option<NonZeroU32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    requests_per_hour: Option<NonZeroU32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    requests_per_day: Option<NonZeroU32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tokens_per_minute: Option<NonZeroU32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    concurrency: Option<NonZeroU32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    weight: Option<NonZeroU32>,
}

impl From<QuotaOverrides> for QuotaFields {
    fn from(quotas: QuotaOverrides) -> Self {
        Self {
            requests_per_minute: quotas.requests_per_minute,
            requests_per_hour: quotas.requests_per_hour,
            requests_per_day: quotas.requests_per_day,
            tokens_per_minute: quotas.tokens_per_minute,
            concurrency: quotas.concurrency,
            weight: quotas.weight,
        }
    }
}

impl From<QuotaFields> for QuotaOverrides {
    fn from(row: QuotaFields) -> Self {
        let mut quotas = Self::default();
        quotas.requests_per_minute = row.requests_per_minute;
        quotas.requests_per_hour = row.requests_per_hour;
        quotas.requests_per_day = row.requests_per_day;
        quotas.tokens_per_minute = row.tokens_per_minute;
        quotas.concurrency = row.concurrency;
        quotas.weight = row.weight;
        quotas
    }
}
