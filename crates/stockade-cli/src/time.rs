//! Times and durations on the command line.

use std::{fmt, str::FromStr, time::Duration};

use jiff::{Span, SpanRelativeTo, civil::Date, tz::TimeZone};
use stockade_core::clock::Timestamp;

/// An expiry: never, after a duration, or at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expiry {
    Never,
    After(Span),
    At(Timestamp),
}

impl Expiry {
    /// The time of the expiry.
    pub(crate) fn resolve(self, now: Timestamp) -> Result<Option<Timestamp>, &'static str> {
        let at = match self {
            Self::Never => return Ok(None),
            Self::At(at) => at,
            Self::After(span) => {
                // Calendar arithmetic: the length of a month or year varies.
                let later = jiff(now).to_zoned_datetime(TimeZone::UTC).checked_add(span);
                let later = later.map_err(|_| "the time is out of range")?;
                timestamp(later.timestamp())?
            }
        };
        if at > now {
            Ok(Some(at))
        } else {
            Err("the time is in the past")
        }
    }
}

impl FromStr for Expiry {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.eq_ignore_ascii_case("never") {
            return Ok(Self::Never);
        }
        if let Ok(at) = text.parse::<jiff::Timestamp>() {
            return timestamp(at).map(Self::At);
        }
        // jiff also parses `2026-01-31T10:00` as a date, but without a zone it is ambiguous.
        if !text.contains(['T', ' '])
            && let Ok(date) = text.parse::<Date>()
        {
            let start = date.to_zoned_datetime(TimeZone::UTC);
            let start = start.map_err(|_| EXPIRY_FORMATS)?;
            return timestamp(start.timestamp()).map(Self::At);
        }
        match text.parse::<Span>() {
            Ok(span) if !span.is_negative() => Ok(Self::After(span)),
            _ => Err(EXPIRY_FORMATS),
        }
    }
}

const EXPIRY_FORMATS: &str = "expected a duration (`90d`, `1y`), a day (`2026-01-31`, from \
                              midnight UTC), a time (`2026-01-31T18:00:00Z`) or `never`";

/// A duration such as `24h`, `15m` or `0`. A day has 24 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HumanDuration(pub(crate) Duration);

impl FromStr for HumanDuration {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORMAT: &str = "expected a duration such as `24h`, `15m` or `0`";
        if text == "0" {
            return Ok(Self(Duration::ZERO));
        }
        let span: Span = text.parse().map_err(|_| FORMAT)?;
        let duration = span.to_duration(SpanRelativeTo::days_are_24_hours());
        let duration = duration.map_err(|_| FORMAT)?;
        Duration::try_from(duration).map(Self).map_err(|_| FORMAT)
    }
}

/// The start of a period that ends now.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Since {
    Ago(Duration),
    At(Timestamp),
}

impl Since {
    /// The time of the start.
    pub(crate) fn resolve(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(duration) => {
                let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
                Timestamp::from_nanos(now.as_nanos().saturating_sub(nanos))
            }
            Self::At(at) => at,
        }
    }
}

impl FromStr for Since {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(HumanDuration(duration)) = text.parse() {
            return Ok(Self::Ago(duration));
        }
        // Calendar units such as months, and `never`, are not a start.
        match text.parse() {
            Ok(Expiry::At(at)) => Ok(Self::At(at)),
            _ => Err(
                "expected a duration (`15m`, `24h`), a day (`2026-01-31`, from midnight \
                      UTC) or a time (`2026-01-31T18:00:00Z`)",
            ),
        }
    }
}

/// Formats a time by RFC 3339, in seconds.
#[derive(Clone, Copy)]
pub(crate) struct Rfc3339(pub(crate) Timestamp);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Supports width and alignment.
        f.pad(&jiff(Timestamp::from_secs(self.0.as_secs())).to_string())
    }
}

/// Formats a time as in audit records: in microseconds, so that it sorts as text.
pub(crate) fn rfc3339_micros(at: Timestamp) -> String {
    format!("{:.6}", jiff(at))
}

fn jiff(at: Timestamp) -> jiff::Timestamp {
    // `Timestamp` ends in 2554, jiff in 9999.
    jiff::Timestamp::from_nanosecond(at.as_nanos().into()).unwrap_or(jiff::Timestamp::MAX)
}

fn timestamp(at: jiff::Timestamp) -> Result<Timestamp, &'static str> {
    u64::try_from(at.as_nanosecond())
        .map(Timestamp::from_nanos)
        .map_err(|_| "the time is before 1970 or after 2554")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2025-11-01T00:00:00Z.
    const NOW: Timestamp = Timestamp::from_secs(1_761_955_200);

    #[test]
    fn parses_expiries() {
        for (text, shown) in [
            ("90d", "2026-01-30T00:00:00Z"),
            ("1y", "2026-11-01T00:00:00Z"),
            ("1mo", "2025-12-01T00:00:00Z"),
            ("36h", "2025-11-02T12:00:00Z"),
            ("2026-01-31", "2026-01-31T00:00:00Z"),
            ("2026-01-31T18:00:00Z", "2026-01-31T18:00:00Z"),
            ("2026-01-31T18:00:00+02:00", "2026-01-31T16:00:00Z"),
        ] {
            let at = text
                .parse::<Expiry>()
                .unwrap()
                .resolve(NOW)
                .unwrap()
                .unwrap();
            assert_eq!(Rfc3339(at).to_string(), shown, "{text}");
        }
        let never = "never".parse::<Expiry>().unwrap();
        assert_eq!(never.resolve(NOW), Ok(None));
    }

    #[test]
    fn refuses_invalid_and_past_expiries() {
        for text in [
            "",
            "soon",
            "90",
            "-90d",
            "2026-13-01",
            "2026-01-31T18:00",
            "1960-01-01",
            "90d; rm",
        ] {
            assert!(text.parse::<Expiry>().is_err(), "{text}");
        }
        for text in ["2025-11-01", "2025-10-31T23:59:59Z", "0d", "9999y"] {
            assert!(
                text.parse::<Expiry>().unwrap().resolve(NOW).is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn parses_starts() {
        for (text, expected) in [
            ("15m", "2025-10-31T23:45:00.000000Z"),
            ("2025-10-01", "2025-10-01T00:00:00.000000Z"),
            ("2025-10-01T02:00:00.5+02:00", "2025-10-01T00:00:00.500000Z"),
        ] {
            let since: Since = text.parse().unwrap();
            assert_eq!(rfc3339_micros(since.resolve(NOW)), expected, "{text}");
        }
        for text in ["", "never", "yesterday", "1mo", "-5m"] {
            assert!(text.parse::<Since>().is_err(), "{text}");
        }
    }

    #[test]
    fn parses_durations() {
        for (text, secs) in [("0", 0), ("24h", 86_400), ("1d", 86_400), ("15m", 900)] {
            assert_eq!(
                text.parse(),
                Ok(HumanDuration(Duration::from_secs(secs))),
                "{text}"
            );
        }
        for text in ["", "24", "-1h", "1mo", "a day"] {
            assert!(text.parse::<HumanDuration>().is_err(), "{text}");
        }
    }
}
