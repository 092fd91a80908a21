//! Whether a request is sent again: a pure policy.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode, header::RETRY_AFTER};

/// The failure of an attempt that may be repeated, before a response was handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// No connection was made.
    Connect,
    /// The TLS handshake failed, which the same upstream would repeat.
    Tls,
    /// The upstream asks to wait.
    RateLimited { retry_after: Duration },
    /// 502, 503 or 504.
    Unavailable { retry_after: Option<Duration> },
}

impl Failure {
    /// The failure that a response stands for, if it may be repeated.
    pub(super) fn from_response(status: StatusCode, retry_after: Option<Duration>) -> Option<Self> {
        match status {
            StatusCode::TOO_MANY_REQUESTS => {
                retry_after.map(|retry_after| Self::RateLimited { retry_after })
            }
            StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Some(Self::Unavailable { retry_after }),
            _ => None,
        }
    }

    /// The value of the `reason` label in metrics.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::RateLimited { .. } => "rate_limited",
            Self::Unavailable { .. } => "unavailable",
        }
    }
}

/// What the decision depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    /// Retries before this failure.
    pub(super) retries: u32,
    pub(super) max_retries: u32,
    /// Whether an upstream is available that was not tried.
    pub(super) other_upstream: bool,
    /// Time until the deadline of the request.
    pub(super) remaining: Duration,
    /// A number in `0.0..1.0`.
    pub(super) random: f64,
}

/// The wait before the first retry on the same upstream; doubles with each retry.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// How long to wait before the request is sent again, or `None` if it is not.
pub(super) fn wait_before_retry(failure: Failure, attempt: &Attempt) -> Option<Duration> {
    if attempt.retries >= attempt.max_retries {
        return None;
    }
    if attempt.other_upstream {
        return Some(Duration::ZERO);
    }
    let backoff = FIRST_WAIT * 2_u32.saturating_pow(attempt.retries.min(6));
    // Between half and all of it, so that failed requests do not return at once together.
    let backoff = backoff.mul_f64(0.5 + attempt.random / 2.0);
    let wait = match failure {
        Failure::Tls => return None,
        Failure::Connect => backoff,
        Failure::RateLimited { retry_after } => retry_after.max(backoff),
        Failure::Unavailable { retry_after } => retry_after.unwrap_or_default().max(backoff),
    };
    (wait < attempt.remaining).then_some(wait)
}

/// The time of a `Retry-After` header (RFC 9110, 10.2.3): seconds, or a date.
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let date = httpdate::parse_http_date(text).ok()?;
            Some(date.duration_since(now).unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    const ALONE: Attempt = Attempt {
        retries: 0,
        max_retries: 2,
        other_upstream: false,
        remaining: Duration::from_secs(10),
        random: 1.0,
    };

    const UNAVAILABLE: Failure = Failure::Unavailable { retry_after: None };

    fn rate_limited(seconds: u64) -> Failure {
        Failure::RateLimited {
            retry_after: Duration::from_secs(seconds),
        }
    }

    #[test]
    fn repeats_only_what_failed_before_a_response() {
        for (status, repeats) in [
            (200, false),
            (400, false),
            (408, false),
            (429, false),
            (500, false),
            (501, false),
            (502, true),
            (503, true),
            (504, true),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(
                Failure::from_response(status, None).is_some(),
                repeats,
                "{status}"
            );
        }
        let limited = Failure::from_response(StatusCode::TOO_MANY_REQUESTS, Some(SECOND));
        assert_eq!(limited, Some(rate_limited(1)));
    }

    #[test]
    fn goes_to_another_upstream_at_once() {
        let attempt = Attempt {
            other_upstream: true,
            ..ALONE
        };
        for failure in [
            Failure::Connect,
            Failure::Tls,
            UNAVAILABLE,
            rate_limited(1000),
        ] {
            assert_eq!(wait_before_retry(failure, &attempt), Some(Duration::ZERO));
        }
    }

    #[test]
    fn waits_for_the_same_upstream_inside_the_deadline() {
        assert_eq!(
            wait_before_retry(Failure::Connect, &ALONE),
            Some(FIRST_WAIT)
        );
        let second = Attempt {
            retries: 1,
            ..ALONE
        };
        assert_eq!(
            wait_before_retry(UNAVAILABLE, &second),
            Some(2 * FIRST_WAIT)
        );
        assert_eq!(wait_before_retry(rate_limited(9), &ALONE), Some(9 * SECOND));
        assert_eq!(wait_before_retry(rate_limited(10), &ALONE), None);
        let asked = Failure::Unavailable {
            retry_after: Some(2 * SECOND),
        };
        assert_eq!(wait_before_retry(asked, &ALONE), Some(2 * SECOND));
        assert_eq!(wait_before_retry(Failure::Tls, &ALONE), None);
    }

    #[test]
    fn stops_at_the_maximum() {
        let attempt = Attempt {
            retries: 2,
            other_upstream: true,
            ..ALONE
        };
        assert_eq!(wait_before_retry(Failure::Connect, &attempt), None);
    }

    #[test]
    fn reads_seconds_and_dates() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (text, expected) in [
            ("7", Some(7)),
            (" 7 ", Some(7)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            assert_eq!(
                retry_after(&headers, now),
                expected.map(Duration::from_secs),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn never_waits_past_the_deadline(
            retries in 0u32..50, millis in 0u64..5000, asked in 0u64..100, random in 0.0f64..1.0,
        ) {
            let remaining = Duration::from_millis(millis);
            let attempt = Attempt { retries, max_retries: 50, random, remaining, ..ALONE };
            for failure in [Failure::Connect, UNAVAILABLE, rate_limited(asked)] {
                let wait = wait_before_retry(failure, &attempt);
                prop_assert!(wait.is_none_or(|wait| wait < remaining));
            }
        }
    }
}
