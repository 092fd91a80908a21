//! The refusals of the rate limit.

use std::time::Duration;

use stockade_core::refusal::{Refusal, RefusalKind, Violation};

use crate::{Bucket, Decision, QuotaStatus, StoreErrorKind};

/// A quota refuses the request.
pub(super) fn reached(buckets: &[Bucket<'_>], decision: &Decision) -> Refusal {
    let retry_after = decision.retry_after();
    let refusal = match retry_after {
        QuotaStatus::NEVER => Refusal::new(
            RefusalKind::RateLimited,
            "the cost of the request exceeds the burst of the limit",
        )
        .with_code("COST_EXCEEDS_QUOTA"),
        _ => Refusal::new(
            RefusalKind::RateLimited,
            "too many requests; retry after the time in Retry-After",
        )
        .retry_after(retry_after),
    };
    decision.refusing(buckets).fold(refusal, |refusal, bucket| {
        let mut description = String::with_capacity(32);
        let quota = bucket.as_quota();
        quota
            .write(&mut description)
            .expect("writing to a string never fails");
        refusal.with_violation(Violation {
            subject: bucket.quota_id().policy_name().to_owned().into(),
            description: description.into(),
        })
    })
}

/// The store failed, and the failure policy denies requests.
pub(super) fn unavailable(kind: StoreErrorKind) -> Refusal {
    Refusal::new(
        RefusalKind::Unavailable,
        "the rate limits are unavailable; try again in a moment",
    )
    .with_code("LIMITS_UNAVAILABLE")
    .with_internal_reason(kind.text())
    .retry_after(Duration::from_secs(1))
}
