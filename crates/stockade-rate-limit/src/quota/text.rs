//! The text form of quotas.

use std::{fmt, str::FromStr, time::Duration};

use super::{Algorithm, DAY, HOUR, MILLISECOND, MINUTE, Quota, QuotaError, QuotaErrorKind, SECOND};

impl FromStr for Quota {
    type Err = QuotaError;

    /// Parses `60/minute`, `60 per minute`, `60/min burst 10`, `5/30s` and, as a sliding
    /// window, `100 in any 60s`. Units are `ms`, `s`, `m`, `h`, `d` and their long names.
    fn from_str(text: &str) -> Result<Self, QuotaError> {
        let error = || QuotaError::new(QuotaErrorKind::Text);
        let (count, rest) = number(text.trim()).ok_or_else(error)?;
        let count = u32::try_from(count).map_err(|_| QuotaError::new(QuotaErrorKind::Rate))?;
        let rest = rest.trim_start();
        if let Some(window) = rest.strip_prefix("in any ") {
            return Self::sliding(count, period(window).ok_or_else(error)?);
        }
        let rest = rest
            .strip_prefix('/')
            .or_else(|| rest.strip_prefix("per "))
            .ok_or_else(error)?;
        let (time, burst) = match rest.split_once(" burst ") {
            Some((time, burst)) => (time, Some(burst)),
            None => (rest, None),
        };
        let quota = Self::new(count, period(time).ok_or_else(error)?)?;
        match burst.map(|burst| number(burst.trim())) {
            None => Ok(quota),
            Some(Some((burst, ""))) => match burst.try_into() {
                Ok(burst) => quota.try_burst(burst),
                Err(_) => Err(QuotaError::new(QuotaErrorKind::Fill)),
            },
            Some(_) => Err(error()),
        }
    }
}

/// Splits a leading number from the rest.
fn number(text: &str) -> Option<(u64, &str)> {
    let end = text
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest))
}

/// Parses `minute`, `30s`, `2 hours`.
fn period(text: &str) -> Option<Duration> {
    let text = text.trim();
    let (times, unit) = match text.starts_with(|letter: char| letter.is_ascii_digit()) {
        true => number(text)?,
        false => (1, text),
    };
    let unit = match unit.trim_start() {
        "ms" | "millisecond" | "milliseconds" => MILLISECOND,
        "s" | "sec" | "second" | "seconds" => SECOND,
        "m" | "min" | "minute" | "minutes" => MINUTE,
        "h" | "hour" | "hours" => HOUR,
        "d" | "day" | "days" => DAY,
        _ => return None,
    };
    Some(Duration::from_nanos(unit.saturating_mul(times)))
}

impl Quota {
    /// Writes the same text as [`Display`](fmt::Display) without a formatter, for refusals.
    pub(crate) fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
        out.write_str(itoa::Buffer::new().format(self.count))?;
        out.write_str(match self.algorithm {
            Algorithm::Gcra => "/",
            Algorithm::SlidingWindow => " in any ",
        })?;
        self.write_period(out)?;
        match self.burst == self.count {
            true => Ok(()),
            false => write!(out, " burst {}", self.burst),
        }
    }

    /// Writes `minute`, `30s`.
    pub(crate) fn write_period(&self, out: &mut impl fmt::Write) -> fmt::Result {
        match self.period {
            SECOND => out.write_str("second"),
            MINUTE => out.write_str("minute"),
            HOUR => out.write_str("hour"),
            DAY => out.write_str("day"),
            days if days % DAY == 0 => write!(out, "{}d", days / DAY),
            hours if hours % HOUR == 0 => write!(out, "{}h", hours / HOUR),
            minutes if minutes % MINUTE == 0 => write!(out, "{}m", minutes / MINUTE),
            seconds if seconds % SECOND == 0 => write!(out, "{}s", seconds / SECOND),
            other => write!(out, "{}ms", other / MILLISECOND),
        }
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

impl fmt::Debug for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
