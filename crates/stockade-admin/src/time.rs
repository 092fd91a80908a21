//! Times of the database and of the API.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

use crate::error::{ApiError, ApiResult};

/// Milliseconds since 1970.
pub(crate) fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default().as_millis();
    i64::try_from(now).unwrap_or(i64::MAX)
}

/// The clock of an administration, which tests can set.
#[derive(Clone, Debug, Default)]
pub(crate) enum Clock {
    #[default]
    System,
    #[cfg(test)]
    Manual(std::sync::Arc<std::sync::atomic::AtomicI64>),
}

impl Clock {
    /// Milliseconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        match self {
            Self::System => now(),
            #[cfg(test)]
            Self::Manual(now) => now.load(std::sync::atomic::Ordering::SeqCst),
        }
    }
}

/// RFC 3339 in UTC, with milliseconds where they are not zero.
pub(crate) fn rfc3339(millis: i64) -> String {
    Timestamp::from_millisecond(millis)
        .unwrap_or(Timestamp::MAX)
        .to_string()
}

/// Parses RFC 3339.
pub(crate) fn parse(text: &str) -> Option<i64> {
    text.parse::<Timestamp>()
        .ok()
        .map(Timestamp::as_millisecond)
}

/// Parses a parameter of a query.
pub(crate) fn parameter(name: &'static str, text: Option<&str>) -> ApiResult<Option<i64>> {
    let Some(text) = text else {
        return Ok(None);
    };
    let time = parse(text);
    let time =
        time.ok_or_else(|| ApiError::invalid(name, "must be a time such as 2026-01-31T12:00:00Z"));
    time.map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        assert_eq!(rfc3339(1_700_000_000_000), "2023-11-14T22:13:20Z");
        assert_eq!(
            parse("2023-11-14T23:13:20.5+01:00"),
            Some(1_700_000_000_500)
        );
        assert_eq!(parse("yesterday"), None);
    }
}
