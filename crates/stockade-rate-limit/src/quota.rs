//! A number of requests per period.

mod error;
mod text;

use std::{num::NonZeroU32, time::Duration};

pub use error::{QuotaError, QuotaErrorKind};

/// A number of requests per period: `Quota::per_minute(60)` is sixty per minute.
///
/// In configuration files, quotas are text: `60/minute`, `60/min burst 10`, `1000/h`, `5/30s`,
/// `100 per day`, `100 in any 60s`.
///
/// ```
/// use stockade_rate_limit::Quota;
///
/// let quota = Quota::per_minute(60).burst(10);
/// assert_eq!("60/min burst 10".parse(), Ok(quota));
/// assert_eq!(quota.to_string(), "60/minute burst 10");
///
/// assert!("0/minute".parse::<Quota>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quota {
    algorithm: Algorithm,
    count: u32,
    burst: u32,
    /// In nanoseconds; a multiple of a millisecond.
    period: u64,
    /// The interval between requests at the steady rate, in nanoseconds, rounded up.
    interval: u64,
}

/// The algorithm that counts a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// A bucket of size `burst` that refills at `count` per period; see [`Quota::new`].
    Gcra,
    /// A weighted count of the current and the previous window; see [`Quota::sliding`].
    SlidingWindow,
}

const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLISECOND;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

impl Quota {
    /// The longest period, and the longest time in which a burst may refill.
    pub const MAX_PERIOD: Duration = Duration::from_nanos(366 * DAY);

    /// The highest rate per second. Above it, the interval, which is kept in whole
    /// nanoseconds, would be too coarse.
    pub const MAX_PER_SECOND: u32 = 100_000_000;

    /// The highest count of a sliding window.
    pub const MAX_SLIDING: u32 = (1 << 20) - 1;

    /// `count` requests per period, at a steady rate, with a burst of the same size (GCRA, the
    /// generic cell rate algorithm of ITU-T I.371).
    ///
    /// After an idle period, the whole burst is available; then one request per `period /
    /// count`. In any one period, a client gets at most `burst + count` requests.
    ///
    /// # Errors
    /// If the count is 0, the period is not a multiple of a millisecond or exceeds
    /// [`MAX_PERIOD`](Self::MAX_PERIOD), or the rate exceeds
    /// [`MAX_PER_SECOND`](Self::MAX_PER_SECOND).
    pub const fn new(count: u32, period: Duration) -> Result<Self, QuotaError> {
        let period = match nanos(period) {
            Ok(period) => period,
            Err(error) => return Err(error),
        };
        Self::checked(Algorithm::Gcra, count, count, period)
    }

    /// `count` requests in any window of this length, approximated by a sliding window: the
    /// count of the current window plus the overlapping share of the previous window.
    ///
    /// Windows start at multiples of their length since 1970. Only the total of the previous
    /// window is known, and it is assumed to be evenly spread. For a steady stream, the
    /// estimate is exact. For requests bunched at the end of a window, the share decays during
    /// the next one; in the worst case, just under twice `count` requests fall into one window
    /// length, and never more than `count` into one aligned window.
    ///
    /// # Errors
    /// The errors of [`new`](Self::new), and if the count exceeds
    /// [`MAX_SLIDING`](Self::MAX_SLIDING).
    pub const fn sliding(count: u32, window: Duration) -> Result<Self, QuotaError> {
        let period = match nanos(window) {
            Ok(period) => period,
            Err(error) => return Err(error),
        };
        if count > Self::MAX_SLIDING {
            return Err(QuotaError::new(QuotaErrorKind::SlidingCount));
        }
        Self::checked(Algorithm::SlidingWindow, count, count, period)
    }

    /// `count` requests per second.
    ///
    /// # Panics
    /// If the count is 0 or exceeds [`MAX_PER_SECOND`](Self::MAX_PER_SECOND); in a `const`,
    /// that is a compile error. Use [`new`](Self::new) for values from outside.
    pub const fn per_second(count: u32) -> Self {
        Self::constant(Algorithm::Gcra, count, count, SECOND)
    }

    /// `count` requests per minute.
    ///
    /// # Panics
    /// If the count is 0; see [`per_second`](Self::per_second).
    pub const fn per_minute(count: u32) -> Self {
        Self::constant(Algorithm::Gcra, count, count, MINUTE)
    }

    /// `count` requests per hour.
    ///
    /// # Panics
    /// If the count is 0; see [`per_second`](Self::per_second).
    pub const fn per_hour(count: u32) -> Self {
        Self::constant(Algorithm::Gcra, count, count, HOUR)
    }

    /// `count` requests per day.
    ///
    /// # Panics
    /// If the count is 0; see [`per_second`](Self::per_second).
    pub const fn per_day(count: u32) -> Self {
        Self::constant(Algorithm::Gcra, count, count, DAY)
    }

    /// Sets the burst, the number of requests allowed at once after an idle period; defaults
    /// to the count. A sliding window has no separate burst.
    ///
    /// # Panics
    /// If [`try_burst`](Self::try_burst) rejects the burst.
    pub const fn burst(self, burst: u32) -> Self {
        match self.try_burst(burst) {
            Ok(quota) => quota,
            Err(error) => panic!("{}", error.kind().text()),
        }
    }

    /// Sets the burst; for values from outside.
    ///
    /// # Errors
    /// If the burst is 0, takes longer than [`MAX_PERIOD`](Self::MAX_PERIOD) to refill, or is
    /// set on a sliding window.
    pub const fn try_burst(self, burst: u32) -> Result<Self, QuotaError> {
        match self.algorithm {
            Algorithm::Gcra => Self::checked(self.algorithm, self.count, burst, self.period),
            Algorithm::SlidingWindow => Err(QuotaError::new(QuotaErrorKind::SlidingBurst)),
        }
    }

    /// The algorithm.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The number of requests per period; at least 1.
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// The period; at least a millisecond.
    pub const fn period(&self) -> Duration {
        Duration::from_nanos(self.period)
    }

    /// The burst, which is also the highest cost of one request; at least 1.
    pub const fn max_burst(&self) -> u32 {
        self.burst
    }

    /// The interval between requests at the steady rate, rounded up to whole nanoseconds.
    pub const fn interval(&self) -> Duration {
        Duration::from_nanos(self.interval)
    }

    /// Returns the quota with another count, for the override of a principal. A burst that
    /// differs from the count is kept, capped at the new count.
    ///
    /// For quotas of at least a minute: there, every count is valid.
    pub(crate) fn with_count(self, count: NonZeroU32) -> Self {
        let count = match self.algorithm {
            Algorithm::Gcra => count.get(),
            Algorithm::SlidingWindow => count.get().min(Self::MAX_SLIDING),
        };
        let burst = match self.burst == self.count {
            true => count,
            false => self.burst.min(count),
        };
        Self::constant(self.algorithm, count, burst, self.period)
    }

    /// Returns the quota with this share of its count and burst, at least 1 each.
    pub(crate) fn scaled(self, fraction: f64) -> Self {
        let part = |number: u32| ((f64::from(number) * fraction) as u32).clamp(1, number);
        let (count, burst) = (part(self.count), part(self.burst));
        // The count is rounded down, so the burst may take too long to refill.
        Self::checked(self.algorithm, count, burst, self.period)
            .unwrap_or_else(|_| Self::constant(self.algorithm, count, 1, self.period))
    }

    pub(crate) const fn period_nanos(&self) -> u64 {
        self.period
    }

    pub(crate) const fn interval_nanos(&self) -> u64 {
        self.interval
    }

    /// The time in which the whole burst refills, in nanoseconds.
    pub(crate) const fn tolerance_nanos(&self) -> u64 {
        self.interval * self.burst as u64
    }

    const fn constant(algorithm: Algorithm, count: u32, burst: u32, period: u64) -> Self {
        match Self::checked(algorithm, count, burst, period) {
            Ok(quota) => quota,
            Err(error) => panic!("{}", error.kind().text()),
        }
    }

    const fn checked(
        algorithm: Algorithm,
        count: u32,
        burst: u32,
        period: u64,
    ) -> Result<Self, QuotaError> {
        if count == 0 {
            return Err(QuotaError::new(QuotaErrorKind::NoCount));
        }
        if burst == 0 {
            return Err(QuotaError::new(QuotaErrorKind::NoBurst));
        }
        if count as u64 > period / (SECOND / Self::MAX_PER_SECOND as u64) {
            return Err(QuotaError::new(QuotaErrorKind::Rate));
        }
        let interval = period.div_ceil(count as u64);
        if interval as u128 * burst as u128 > Self::MAX_PERIOD.as_nanos() + burst as u128 {
            return Err(QuotaError::new(QuotaErrorKind::Fill));
        }
        Ok(Self {
            algorithm,
            count,
            burst,
            period,
            interval,
        })
    }
}

const fn nanos(period: Duration) -> Result<u64, QuotaError> {
    let nanos = period.as_nanos();
    if nanos > Quota::MAX_PERIOD.as_nanos() {
        return Err(QuotaError::new(QuotaErrorKind::LongPeriod));
    }
    if nanos == 0 || !nanos.is_multiple_of(MILLISECOND as u128) {
        return Err(QuotaError::new(QuotaErrorKind::ShortPeriod));
    }
    Ok(nanos as u64)
}

#[cfg(test)]
mod tests;
