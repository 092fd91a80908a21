//! What a client is told that is not let in.

use std::time::Duration;

use stockade_core::refusal::{Refusal, RefusalKind, Violation};

use crate::{Bucket, Decision, QuotaStatus, StoreErrorKind};

/// A quota does not allow the request.
pub(super) fn reached(buckets: &[Bucket<'_>], decision: &Decision) -> Refusal {
    let retry_after = decision.retry_after();
    let refusal = match retry_after {
        QuotaStatus::NEVER => Refusal::new(
            RefusalKind::RateLimited,
            "the request costs more than the limit ever allows at once",
        )
        .with_code("COST_EXCEEDS_QUOTA"),
        _ => Refusal::new(
            RefusalKind::RateLimited,
            "too many requests; wait as long as Retry-After says",
        )
        .retry_after(retry_after),
    };
    decision.refusing(buckets).fold(refusal, |refusal, bucket| {
        let mut description = String::with_capacity(32);
        let quota = bucket.as_quota();
        quota
            .write(&mut description)
            .expect("a string takes every text");
        refusal.with_violation(Violation {
            subject: bucket.quota_id().policy_name().to_owned().into(),
            description: description.into(),
        })
    })
}

/// The store did not decide, and its failure policy is to let nobody in.
pub(super) fn unavailable(kind: StoreErrorKind) -> Refusal {
    Refusal::new(
        RefusalKind::Unavailable,
        "the server cannot check its limits now; try again in a moment",
    )
    .with_code("LIMITS_UNAVAILABLE")
    .with_internal_reason(kind.text())
    .retry_after(Duration::from_secs(1))
}
