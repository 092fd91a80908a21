//! The legacy headers, which no standard defines.

use std::cmp::Reverse;

use http::{HeaderName, HeaderValue};
use stockade_core::clock::{Clock, SystemClock};

use super::{Text, number, secs, value};
use crate::{Bucket, QuotaStatus};

/// The legacy headers that are sent in addition.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LegacyHeaders {
    /// `X-RateLimit-Limit`, `-Remaining` and `-Reset`.
    pub(crate) x_ratelimit: Option<ResetFormat>,
    /// OpenAI's `x-ratelimit-limit-requests` and so on.
    pub(crate) openai: bool,
}

/// The format of `X-RateLimit-Reset`, which no standard defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResetFormat {
    /// Seconds from now.
    Delta,
    /// Seconds since 1970.
    Epoch,
}

impl ResetFormat {
    fn value(self, nanos: u64) -> HeaderValue {
        let secs = secs(nanos);
        match self {
            Self::Delta => secs.into(),
            // Not the store's clock: clients compare the value with their own.
            Self::Epoch => SystemClock::new()
                .now()
                .as_secs()
                .saturating_add(secs)
                .into(),
        }
    }
}

/// The unit that is counted, as the suffix of OpenAI's header names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Requests,
    Tokens,
}

impl LegacyHeaders {
    /// Whether no legacy header is enabled.
    pub(crate) fn is_none(self) -> bool {
        self.x_ratelimit.is_none() && !self.openai
    }

    /// The headers of the quota with the lowest remaining count.
    pub(super) fn values<'l>(
        self,
        unit: Unit,
        statuses: impl Iterator<Item = (&'l Bucket<'l>, &'l QuotaStatus)>,
    ) -> Vec<(HeaderName, HeaderValue)> {
        if self.is_none() {
            return Vec::new();
        }
        let tightest = statuses.min_by_key(|(_, status)| {
            let reset = Reverse(status.reset_nanos());
            (status.remaining(), reset)
        });
        let Some((bucket, status)) = tightest else {
            return Vec::new();
        };
        let mut headers = Vec::new();
        let (count, remaining) = (bucket.quota().count(), status.remaining());
        if let Some(reset) = self.x_ratelimit {
            headers.extend([
                (name("x-ratelimit-limit"), count.into()),
                (name("x-ratelimit-remaining"), remaining.into()),
                (name("x-ratelimit-reset"), reset.value(status.reset_nanos())),
            ]);
        }
        if self.openai {
            let [limit, left, reset] = match unit {
                Unit::Requests => [
                    "x-ratelimit-limit-requests",
                    "x-ratelimit-remaining-requests",
                    "x-ratelimit-reset-requests",
                ],
                Unit::Tokens => [
                    "x-ratelimit-limit-tokens",
                    "x-ratelimit-remaining-tokens",
                    "x-ratelimit-reset-tokens",
                ],
            };
            headers.extend([
                (name(limit), count.into()),
                (name(left), remaining.into()),
                (name(reset), duration(status.reset_nanos())),
            ]);
        }
        headers
    }
}

fn name(name: &'static str) -> HeaderName {
    HeaderName::from_static(name)
}

/// Formats `12ms`, `1s`, `6m0s`, as OpenAI does; rounded up.
fn duration(nanos: u64) -> HeaderValue {
    let mut text = Text::new();
    if nanos < 1_000_000_000 {
        number(&mut text, "", nanos.div_ceil(1_000_000));
        text.push_str("ms");
        return value(&text);
    }
    let secs = secs(nanos);
    for (unit, length, modulus) in [("h", 3_600, u64::MAX), ("m", 60, 60)] {
        if secs >= length {
            number(&mut text, "", secs / length % modulus);
            text.push_str(unit);
        }
    }
    number(&mut text, "", secs % 60);
    text.push_str("s");
    value(&text)
}
