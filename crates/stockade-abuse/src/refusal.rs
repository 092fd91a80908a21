//! The refusal of a banned client.

use std::time::Duration;

use stockade_core::refusal::{Refusal, RefusalKind, RefusalReason};

use crate::BanResponse;

/// Returns a refusal that contains the end of the ban, but not its reason.
pub(crate) fn banned(response: BanResponse, remaining: Option<Duration>) -> Refusal {
    const PROBLEM: &str = "https://iana.org/assignments/http-problem-types#abnormal-usage-detected";
    const MESSAGE: &str = "this client is blocked because of repeated errors; the operator of the server can unblock it";
    const DAY: Duration = Duration::from_secs(86_400);
    let (kind, retry_after) = match response {
        BanResponse::Forbidden => (RefusalKind::Forbidden, remaining),
        // RFC 6585: a 429 may contain `Retry-After`, and clients rely on it.
        BanResponse::TooManyRequests => (RefusalKind::RateLimited, remaining.or(Some(DAY))),
    };
    let refusal = Refusal::new(kind, MESSAGE)
        .with_code("BANNED")
        .with_reason(RefusalReason::Banned)
        .with_problem_type(PROBLEM);
    match retry_after {
        Some(delay) => refusal.retry_after(delay),
        None => refusal,
    }
}
