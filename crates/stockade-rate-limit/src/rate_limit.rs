//! The rate limit guard.

mod layer;
mod refusal;
mod wait;

use std::{fmt, mem};

use http::{HeaderMap, HeaderValue, StatusCode};
use stockade_core::{
    guard::{Check, Guard, Head, ResponseHook},
    identity::QuotaOverrides,
    refusal::Refusal,
};

use crate::{
    Bucket, Decision, LimitStore, MemoryLimitStore, QuotaStatus, SharedLimits, StoreError,
    StoreReply,
    compiled::{Buckets, OverrideQuotas},
    headers::{
        self, LegacyHeaders, LimitHeaders, RATELIMIT, ResetFormat, StaticPolicy, Text, Unit,
    },
};

pub use layer::RateLimitLayer;
pub use wait::RateLimitWait;

/// Limits the request rate.
///
/// A request is counted in all quotas of all limits, or in none: a refused request is not
/// debited. It gets a 429 `RATE_LIMITED` with a `Retry-After` after which all quotas allow it.
///
/// `RateLimit-Policy` and `RateLimit` describe the limits and what is left, on success and on
/// refusal. Several rate limits of one request add to these headers. Their windows are whole
/// seconds, so that quotas with other periods (`5/500ms`) are not announced.
///
/// If the store fails, the response is a 503 `LIMITS_UNAVAILABLE`; wrap the store in a
/// [`Fallback`](crate::Fallback) for another policy.
///
/// ```
/// use stockade_core::{context::ContextGuard, guard::GuardStack};
/// use stockade_rate_limit::{KeyExtractor, Limit, Limits, Quota, RateLimit};
///
/// let limit = Limit::new("ip", KeyExtractor::client_ip()).quota(Quota::per_minute(60));
/// let limits = Limits::new([limit])?;
/// let layer = ContextGuard::new().then(RateLimit::new(limits)).into_layer();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RateLimit<S = MemoryLimitStore> {
    limits: SharedLimits,
    store: S,
    legacy: LegacyHeaders,
}

const OVERRIDES: OverrideQuotas = |quotas: &QuotaOverrides| {
    [
        quotas.requests_per_minute,
        quotas.requests_per_hour,
        quotas.requests_per_day,
    ]
};

impl RateLimit {
    /// Creates a guard that counts in the memory of this process.
    pub fn new(limits: impl Into<SharedLimits>) -> Self {
        Self::with_store(limits, MemoryLimitStore::default())
    }
}

impl<S> RateLimit<S>
where
    S: LimitStore,
{
    /// Creates a guard that counts in this store.
    pub fn with_store(limits: impl Into<SharedLimits>, store: S) -> Self {
        Self {
            limits: limits.into(),
            store,
            legacy: LegacyHeaders::default(),
        }
    }

    /// Also sends `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset`, the
    /// latter in seconds from now, for the quota with the lowest remaining count.
    pub fn x_ratelimit_headers(mut self) -> Self {
        self.legacy.x_ratelimit = Some(ResetFormat::Delta);
        self
    }

    /// Like [`x_ratelimit_headers`](Self::x_ratelimit_headers), with `X-RateLimit-Reset` as a
    /// Unix timestamp in seconds.
    pub fn x_ratelimit_epoch_headers(mut self) -> Self {
        self.legacy.x_ratelimit = Some(ResetFormat::Epoch);
        self
    }

    /// Also sends OpenAI's `x-ratelimit-limit-requests`, `x-ratelimit-remaining-requests` and
    /// `x-ratelimit-reset-requests` (`12ms`, `6m0s`), for the quota with the lowest remaining
    /// count.
    pub fn openai_headers(mut self) -> Self {
        self.legacy.openai = true;
        self
    }

    /// The store.
    pub fn store(&self) -> &S {
        &self.store
    }
}

impl<S> Guard for RateLimit<S>
where
    S: LimitStore,
{
    const NAME: &'static str = "rate_limit";
    type Pass = RateLimitHook;
    type Hook = RateLimitHook;
    type Wait = RateLimitWait<S::Wait>;

    fn check(&self, head: &Head) -> Check<RateLimitHook, Self::Wait> {
        let limits = self.limits.load();
        let mut buckets = Buckets::new();
        let unmodified = match limits.buckets(head, OVERRIDES, None, &mut buckets) {
            Ok(unmodified) => unmodified,
            Err(missing) => return Check::Refuse(missing.refusal()),
        };
        // The store is not called for requests that no limit counts.
        if buckets.is_empty() {
            return Check::Pass(RateLimitHook(Headers::None));
        }
        let reply = match head.existing_context() {
            Some(context) => self.store.take_in(&buckets, context),
            None => self.store.take(&buckets),
        };
        match reply {
            StoreReply::Ready(answer) => {
                if unmodified
                    && self.legacy.is_none()
                    && let Some(policy) = limits.single_policy()
                    && let Ok(decision) = &answer
                    && let [status] = decision.statuses()
                    && status.is_allowed()
                {
                    return Check::Pass(RateLimitHook(Headers::Single(policy, *status)));
                }
                let policy = limits.policy(unmodified, &buckets);
                match finish(policy, &buckets, answer, self.legacy) {
                    Ok(headers) => Check::Pass(headers),
                    Err(refusal) => Check::Refuse(refusal),
                }
            }
            StoreReply::Wait(decision) => Check::Wait(RateLimitWait {
                decision,
                policy: limits.policy(unmodified, &buckets),
                buckets: buckets.iter().map(Bucket::to_owned).collect(),
                legacy: self.legacy,
            }),
        }
    }

    fn admit(&self, pass: RateLimitHook, _head: &mut Head) -> RateLimitHook {
        pass
    }
}

fn finish(
    policy: Option<HeaderValue>,
    buckets: &[Bucket<'_>],
    answer: Result<Decision, StoreError>,
    legacy: LegacyHeaders,
) -> Result<RateLimitHook, Refusal> {
    let decision = answer.map_err(|error| refusal::unavailable(error.kind()))?;
    let headers = LimitHeaders::new(policy, buckets, &decision, legacy, Unit::Requests);
    match decision.is_allowed() {
        true => Ok(RateLimitHook(match headers {
            Some(headers) => Headers::Full(Box::new(headers)),
            None => Headers::None,
        })),
        false => {
            let refusal = refusal::reached(buckets, &decision);
            Err(match headers {
                Some(headers) => headers.apply_to_refusal(refusal),
                None => refusal,
            })
        }
    }
}

/// Adds the `RateLimit` headers to the response of an allowed request.
#[derive(Debug)]
pub struct RateLimitHook(Headers);

/// Kept small, since it is moved several times: the headers are formatted when they are
/// written.
#[derive(Debug)]
enum Headers {
    /// The request was not counted, or its quotas are not announced.
    None,
    /// The status of the only configured quota.
    Single(&'static StaticPolicy, QuotaStatus),
    Full(Box<LimitHeaders>),
}

impl ResponseHook for RateLimitHook {
    const UNTIL_BODY_END: bool = false;

    fn on_response(&mut self, _status: StatusCode, headers: &mut HeaderMap) {
        match mem::replace(&mut self.0, Headers::None) {
            Headers::None => {}
            Headers::Single(policy, status) => {
                policy.write(headers);
                let mut text = Text::new();
                headers::write_statuses(&mut text, [(policy.field(), &status)]);
                headers.append(RATELIMIT, headers::value(&text));
            }
            Headers::Full(full) => full.write(headers),
        }
    }
}

impl<S> Clone for RateLimit<S>
where
    S: Clone,
{
    fn clone(&self) -> Self {
        Self {
            limits: self.limits.clone(),
            store: self.store.clone(),
            legacy: self.legacy,
        }
    }
}

impl<S> fmt::Debug for RateLimit<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit")
            .field("limits", &self.limits)
            .field("legacy_headers", &self.legacy)
            .finish_non_exhaustive()
    }
}
