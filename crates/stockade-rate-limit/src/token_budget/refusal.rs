//! The refusals of the token budget.

use std::time::Duration;

use stockade_core::refusal::{Refusal, RefusalKind, Violation};

use crate::{Bucket, Decision, QuotaStatus, StoreErrorKind};

/// The request may use more than the quota ever holds; waiting does not help.
pub(super) fn exceeds_quota(bucket: &Bucket<'_>) -> Refusal {
    let (cost, most) = (bucket.cost(), bucket.quota().max_burst());
    let message = format!(
        "the request may use {cost} tokens, and the quota allows at most {most}; shorten the prompt or \
         set a lower max_tokens"
    );
    Refusal::new(RefusalKind::Invalid, message)
        .with_code("TOKENS_EXCEED_QUOTA")
        .with_param("max_tokens")
        .with_violation(violation(bucket))
}

/// Too few tokens are currently left.
pub(super) fn insufficient(buckets: &[Bucket<'_>], decision: &Decision) -> Refusal {
    let retry_after = decision.retry_after();
    if retry_after == QuotaStatus::NEVER {
        // The quota would allow it, but not this process's share of it while the store is
        // down.
        return unavailable(StoreErrorKind::Unavailable);
    }
    let refusal = Refusal::new(
        RefusalKind::RateLimited,
        "the request may use more tokens than are left; try again later, or set a lower \
         max_tokens",
    )
    .with_code("TOKEN_LIMIT")
    .retry_after(retry_after);
    let refusing = decision.refusing(buckets);
    refusing.fold(refusal, |refusal, bucket| {
        refusal.with_violation(violation(bucket))
    })
}

/// A response has used more tokens than were reserved for it, and than are left.
pub(super) fn exhausted(buckets: &[Bucket<'_>], decision: &Decision) -> Refusal {
    let refusal = Refusal::new(
        RefusalKind::RateLimited,
        "the response has used more tokens than are left; try again later, or set a lower \
         max_tokens",
    )
    .with_code("TOKEN_LIMIT")
    .with_internal_reason("budget")
    .without_reason();
    let retry_after = match decision.retry_after() {
        // The excess alone is more than the quota ever holds.
        QuotaStatus::NEVER => {
            let resets = decision.statuses().iter().map(QuotaStatus::reset_after);
            resets.max().unwrap_or_default()
        }
        retry_after => retry_after,
    };
    let refusing = decision.refusing(buckets);
    refusing.fold(refusal.retry_after(retry_after), |refusal, bucket| {
        refusal.with_violation(violation(bucket))
    })
}

/// The store failed.
pub(super) fn unavailable(kind: StoreErrorKind) -> Refusal {
    Refusal::new(
        RefusalKind::Unavailable,
        "the token budget is unavailable; try again in a moment",
    )
    .with_code("LIMITS_UNAVAILABLE")
    .with_internal_reason(kind.text())
    .retry_after(Duration::from_secs(1))
}

fn violation(bucket: &Bucket<'_>) -> Violation {
    Violation {
        subject: bucket.quota_id().policy_name().to_owned().into(),
        description: format!("{} in tokens", bucket.quota()).into(),
    }
}
