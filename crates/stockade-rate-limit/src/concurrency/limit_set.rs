//! The limits of one guard, and their headers and refusals.

use std::{num::NonZeroU32, time::Duration};

use http::HeaderValue;
use smallvec::SmallVec;
use stockade_core::{
    guard::Head,
    refusal::{Refusal, RefusalKind, Violation},
};

use super::{ConcurrencyLimit, headers, stats::Counters};
use crate::{
    AcquireError, KeyExtractorError, PermitRequest, StoreErrorKind,
    headers::{RATELIMIT, RATELIMIT_POLICY, static_value},
};

/// The state that all requests of one guard share.
#[derive(Debug)]
pub(super) struct LimitSet {
    limits: Vec<ConcurrencyLimit>,
    /// The `RateLimit-Policy` of requests that are counted by exactly the configured limits.
    policy: HeaderValue,
    pub(super) counters: Counters,
}

/// The permits that one request needs.
pub(super) type PermitRequests<'a> = SmallVec<[PermitRequest<'a>; 2]>;

/// The `RateLimit-Policy` of a request that is not counted by exactly the configured limits.
pub(super) type PolicyOverride = Option<Box<HeaderValue>>;

/// A requested permit: the index of its limit, and the number of permits.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestedPermit {
    limit: usize,
    max: NonZeroU32,
}

/// The time until a permit is released is unknown, and often short.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl LimitSet {
    pub(super) fn new(limits: impl IntoIterator<Item = ConcurrencyLimit>) -> Self {
        let limits: Vec<_> = limits.into_iter().collect();
        let all = limits.iter().map(|limit| (limit.name(), limit.max()));
        Self {
            policy: static_value(headers::policy(all)),
            limits,
            counters: Counters::default(),
        }
    }

    /// The limit, if there is only one.
    pub(super) fn single(&self) -> Option<&ConcurrencyLimit> {
        match &self.limits[..] {
            [single] => Some(single),
            _ => None,
        }
    }

    /// Adds the permits that a request needs.
    pub(super) fn requests<'a>(
        &'a self,
        head: &'a Head,
        requests: &mut PermitRequests<'a>,
    ) -> Result<(), KeyExtractorError> {
        for limit in &self.limits {
            if let Some(request) = limit.permit_request(head)? {
                requests.push(request);
            }
        }
        Ok(())
    }

    /// What a waiting request keeps of its permit requests.
    pub(super) fn requested(&self, requests: &[PermitRequest<'_>]) -> Vec<RequestedPermit> {
        let limit = |request: &PermitRequest<'_>| {
            let named = |limit: &ConcurrencyLimit| limit.name() == request.limit();
            let limit = self.limits.iter().position(named);
            limit.expect("a request belongs to one of the limits")
        };
        let requested = |request| RequestedPermit {
            limit: limit(request),
            max: request.max(),
        };
        requests.iter().map(requested).collect()
    }

    /// The `RateLimit-Policy` of these permits, if it differs from the configured one.
    pub(super) fn policy_override(&self, requests: &[PermitRequest<'_>]) -> PolicyOverride {
        let all = self.limits.iter().map(ConcurrencyLimit::max);
        if all.eq(requests.iter().map(PermitRequest::max)) {
            return None;
        }
        let requests = requests
            .iter()
            .map(|request| (request.limit(), request.max()));
        Some(Box::new(headers::policy(requests)))
    }

    /// The policy of a request.
    pub(super) fn policy<'a>(&'a self, policy: &'a PolicyOverride) -> &'a HeaderValue {
        policy.as_deref().unwrap_or(&self.policy)
    }

    /// The refusal of a request without a permit.
    pub(super) fn refusal(
        &self,
        error: &AcquireError,
        requested: &[RequestedPermit],
        policy: &PolicyOverride,
    ) -> Refusal {
        let RequestedPermit { limit, max } = match error {
            AcquireError::Full { index } => requested[(*index).min(requested.len() - 1)],
            AcquireError::Store(error) => {
                self.counters.failed();
                return unavailable(error.kind());
            }
        };
        self.counters.refused();
        let limit = &self.limits[limit];
        if limit.is_overload() {
            return Refusal::new(
                RefusalKind::Unavailable,
                "the server is busy; try again in a moment",
            )
            .with_code("OVERLOADED")
            .retry_after(RETRY_AFTER);
        }
        let violation = Violation {
            subject: limit.name().to_owned().into(),
            description: format!("{max} at once").into(),
        };
        Refusal::new(
            RefusalKind::RateLimited,
            "too many requests in flight; wait until one of them has ended",
        )
        .with_code("CONCURRENCY_LIMIT")
        .retry_after(RETRY_AFTER)
        .with_violation(violation)
        .with_header(RATELIMIT_POLICY, self.policy(policy).clone())
        .with_header(RATELIMIT, headers::exhausted(limit.name()))
    }
}

/// The store failed.
fn unavailable(kind: StoreErrorKind) -> Refusal {
    Refusal::new(
        RefusalKind::Unavailable,
        "the concurrency limits are unavailable; try again in a moment",
    )
    .with_code("LIMITS_UNAVAILABLE")
    .with_internal_reason(kind.text())
    .retry_after(RETRY_AFTER)
}
