//! What a banned client is told.

use std::time::Duration;

use stockade_core::{Refusal, RefusalKind};

use crate::BanAnswer;

/// Says that there is a ban, and nothing on what led to it.
pub(crate) fn banned(answer: BanAnswer, remaining: Option<Duration>) -> Refusal {
    const PROBLEM: &str = "https://iana.org/assignments/http-problem-types#abnormal-usage-detected";
    const MESSAGE: &str =
        "this client is blocked because of repeated errors; whoever runs the server can unblock it";
    let refusal = match answer {
        BanAnswer::Forbidden => Refusal::new(RefusalKind::Forbidden, MESSAGE),
        BanAnswer::TooManyRequests => {
            let day = Duration::from_secs(86_400);
            Refusal::new(RefusalKind::RateLimited, MESSAGE).retry_after(remaining.unwrap_or(day))
        }
    };
    refusal.with_code("BANNED").with_problem_type(PROBLEM)
}
