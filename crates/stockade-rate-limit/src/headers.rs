//! The response headers that describe limits.

mod legacy;
mod policy;

use arrayvec::ArrayString;
use http::{HeaderMap, HeaderName, HeaderValue};
use stockade_core::refusal::Refusal;

use crate::{Bucket, Decision, Quota, QuotaStatus};

pub(crate) use legacy::{LegacyHeaders, ResetFormat, Unit};
pub(crate) use policy::{StaticPolicy, static_value, write_policy};

/// `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-11), and the
/// enabled legacy headers.
#[derive(Debug)]
pub(crate) struct LimitHeaders {
    /// The policy and the status.
    standard: Option<(HeaderValue, HeaderValue)>,
    legacy: Vec<(HeaderName, HeaderValue)>,
}

/// Room for the maximum of one layer: eight names of 64 characters, each of which may be
/// escaped, and their numbers.
pub(crate) type Text = ArrayString<2048>;

pub(crate) const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
pub(crate) const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");

impl LimitHeaders {
    /// The headers for a decision under this policy; `None` if there are none.
    pub(crate) fn new(
        policy: Option<HeaderValue>,
        buckets: &[Bucket<'_>],
        decision: &Decision,
        legacy: LegacyHeaders,
        unit: Unit,
    ) -> Option<Self> {
        if decision.statuses().is_empty() {
            return None;
        }
        let statuses = || buckets.iter().zip(decision.statuses());
        let standard = policy.map(|policy| {
            let announced = statuses().filter(|(bucket, _)| is_announced(bucket.quota()));
            let named = announced.map(|(bucket, status)| (bucket.quota_id().field(), status));
            let mut text = Text::new();
            write_statuses(&mut text, named);
            (policy, value(&text))
        });
        let legacy = legacy.values(unit, statuses());
        (standard.is_some() || !legacy.is_empty()).then_some(Self { standard, legacy })
    }

    /// Adds the headers to a response. Legacy headers, which have room for one limit only,
    /// keep the value of an inner layer.
    pub(crate) fn write(self, headers: &mut HeaderMap) {
        if let Some((policy, status)) = self.standard {
            write_policy(headers, &policy);
            headers.append(RATELIMIT, status);
        }
        for (name, value) in self.legacy {
            headers.entry(name).or_insert(value);
        }
    }

    /// Adds the headers to a refusal.
    pub(crate) fn apply_to_refusal(self, refusal: Refusal) -> Refusal {
        let refusal = match self.standard {
            Some((policy, status)) => refusal
                .with_header(RATELIMIT_POLICY, policy)
                .with_header(RATELIMIT, status),
            None => refusal,
        };
        self.legacy
            .into_iter()
            .fold(refusal, |refusal, (name, value)| {
                refusal.with_header(name, value)
            })
    }
}

/// Whether this quota appears in the standard headers. Their windows are whole seconds, and a
/// window of half a second must not be announced as one second.
pub(crate) fn is_announced(quota: Quota) -> bool {
    quota.period().subsec_nanos() == 0
}

/// Formats `"ip";q=60;w=60, "daily";q=1000;w=86400`; `None` if no quota is announced.
///
/// For requests only: the units of draft-ietf-httpapi-ratelimit-headers-11 are `requests`,
/// `content-bytes` and `concurrent-requests`, and a policy without a unit counts requests, so
/// model tokens cannot be announced.
pub(crate) fn policy_value<'l>(
    quotas: impl Iterator<Item = (&'l str, Quota)>,
) -> Option<HeaderValue> {
    let mut text = Text::new();
    for (policy, quota) in quotas.filter(|(_, quota)| is_announced(*quota)) {
        separate(&mut text);
        text.push_str(policy);
        number(&mut text, ";q=", quota.count().into());
        number(&mut text, ";w=", secs(quota.period().as_nanos() as u64));
    }
    (!text.is_empty()).then(|| value(&text))
}

/// Formats `"ip";r=59;t=1, "daily";r=999;t=87`.
pub(crate) fn write_statuses<'l>(
    text: &mut Text,
    statuses: impl IntoIterator<Item = (&'l str, &'l QuotaStatus)>,
) {
    for (policy, status) in statuses {
        separate(text);
        text.push_str(policy);
        number(text, ";r=", status.remaining().into());
        number(text, ";t=", secs(status.reset_nanos()));
    }
}

/// A string of RFC 9651, section 3.3.3; characters that it cannot hold are dropped.
pub(crate) fn sf_string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars().filter(|letter| is_sf_char(*letter)) {
        if matches!(letter, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(letter);
    }
    quoted.push('"');
    quoted
}

/// Whether a structured field string can hold this character.
pub(crate) fn is_sf_char(letter: char) -> bool {
    matches!(letter, ' '..='~')
}

const VISIBLE: &str = "structured fields are visible ASCII";

pub(crate) fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect(VISIBLE)
}

fn separate(text: &mut Text) {
    if !text.is_empty() {
        text.push_str(", ");
    }
}

fn number(text: &mut Text, key: &str, number: u64) {
    text.push_str(key);
    text.push_str(itoa::Buffer::new().format(number));
}

/// Whole seconds, rounded up.
fn secs(nanos: u64) -> u64 {
    nanos.div_ceil(1_000_000_000)
}
