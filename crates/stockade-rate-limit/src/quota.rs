//! So many in such a time.

mod error;
mod text;

use std::{num::NonZeroU32, time::Duration};

pub use error::{QuotaError, QuotaErrorKind};

/// So many in such a time: `Quota::per_minute(60)` is sixty a minute.
///
/// Where the quota comes from a configuration, read it from its text: `60/minute`,
/// `60/min burst 10`, `1000/h`, `5/30s`, `100 per day`, `100 in any 60s`.
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
    /// In nanoseconds; whole milliseconds.
    period: u64,
    /// Between two in a steady stream, in nanoseconds, rounded up.
    interval: u64,
}

/// How a quota is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// A bucket of `burst` that fills up steadily, `count` in a period; see [`Quota::new`].
    Gcra,
    /// A weighted count of this window and the one before; see [`Quota::sliding`].
    SlidingWindow,
}

const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLISECOND;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

impl Quota {
    /// The longest period, and the longest time that a quota may take to fill up.
    pub const MAX_PERIOD: Duration = Duration::from_nanos(366 * DAY);

    /// The highest rate, in a second. Beyond it the time between two, which is kept in
    /// whole nanoseconds, would be too coarse.
    pub const MAX_PER_SECOND: u32 = 100_000_000;

    /// The most that a sliding window counts to.
    pub const MAX_SLIDING: u32 = (1 << 20) - 1;

    /// So many in a period, steadily, and all of them at once after a pause (GCRA, the
    /// generic cell rate algorithm of ITU-T I.371).
    ///
    /// Whoever has been away for a period finds the whole burst, and then one more each
    /// `period / count`. In any one period, a client gets `burst + count` at most.
    ///
    /// # Errors
    /// When the count is 0, the period is not whole milliseconds or longer than
    /// [`MAX_PERIOD`](Self::MAX_PERIOD), or the rate is over
    /// [`MAX_PER_SECOND`](Self::MAX_PER_SECOND).
    pub const fn new(count: u32, period: Duration) -> Result<Self, QuotaError> {
        let period = match nanos(period) {
            Ok(period) => period,
            Err(error) => return Err(error),
        };
        Self::checked(Algorithm::Gcra, count, count, period)
    }

    /// So many in any window of this length, counted as a sliding window: those of this
    /// window, and of those of the window before the part that still lies in the last
    /// `window`.
    ///
    /// The windows begin at whole multiples of their length since 1970. Of the window
    /// before, only the number is known, so they are taken as evenly spread. The error: for
    /// a steady stream there is none. Whoever bunches all of them at the end of one window
    /// gets them back bit by bit in the next, so that in the worst case just under twice
    /// `count` lie in one window's length, and never more than `count` in one window.
    ///
    /// # Errors
    /// Those of [`new`](Self::new), and when the count is over
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

    /// So many a second.
    ///
    /// # Panics
    /// When the count is 0 or over [`MAX_PER_SECOND`](Self::MAX_PER_SECOND): in a `const`,
    /// that is an error of the compiler. [`new`](Self::new) takes what comes from outside.
    pub const fn per_second(count: u32) -> Self {
        Self::constant(Algorithm::Gcra, count, count, SECOND)
    }

    /// So many a minute.
    ///
    /// # Panics
    /// When the count is 0; see [`per_second`](Self::per_second).
    pub const fn per_minute(count: u32) -> Self {
        Self::constant(Algorithm::Gcra, count, count, MINUTE)
    }

    /// So many an hour.
    ///
    /// # Panics
    /// When the count is 0; see [`per_second`](Self::per_second).
    pub const fn per_hour(count: u32) -> Self {
        Self::constant(Algorithm::Gcra, count, count, HOUR)
    }

    /// So many a day.
    ///
    /// # Panics
    /// When the count is 0; see [`per_second`](Self::per_second).
    pub const fn per_day(count: u32) -> Self {
        Self::constant(Algorithm::Gcra, count, count, DAY)
    }

    /// How many at once, after a pause; as many as in a period, where this is not called.
    /// A sliding window has no burst of its own.
    ///
    /// # Panics
    /// When [`try_burst`](Self::try_burst) refuses the burst.
    pub const fn burst(self, burst: u32) -> Self {
        match self.try_burst(burst) {
            Ok(quota) => quota,
            Err(error) => panic!("{}", error.kind().text()),
        }
    }

    /// How many at once; for what comes from outside.
    ///
    /// # Errors
    /// When the burst is 0, takes more than [`MAX_PERIOD`](Self::MAX_PERIOD) to fill up,
    /// or is set on a sliding window.
    pub const fn try_burst(self, burst: u32) -> Result<Self, QuotaError> {
        match self.algorithm {
            Algorithm::Gcra => Self::checked(self.algorithm, self.count, burst, self.period),
            Algorithm::SlidingWindow => Err(QuotaError::new(QuotaErrorKind::SlidingBurst)),
        }
    }

    /// How it is counted.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// How many in a period; at least 1.
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// The period; at least a millisecond.
    pub const fn period(&self) -> Duration {
        Duration::from_nanos(self.period)
    }

    /// The most at once, and the most that one request may cost; at least 1.
    pub const fn max_burst(&self) -> u32 {
        self.burst
    }

    /// The time between two in a steady stream, rounded up to whole nanoseconds.
    pub const fn interval(&self) -> Duration {
        Duration::from_nanos(self.interval)
    }

    /// The same with another count, where a principal has quotas of its own. A burst that
    /// is set apart from the count stays, but never above the new count.
    ///
    /// For quotas of a minute and longer: there any count makes a quota.
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

    /// The same with this part of its count and its burst, at least 1 of each.
    pub(crate) fn scaled(self, fraction: f64) -> Self {
        let part = |number: u32| ((f64::from(number) * fraction) as u32).clamp(1, number);
        let (count, burst) = (part(self.count), part(self.burst));
        // Rounded down, the count may be so low that the burst takes too long to fill up.
        Self::checked(self.algorithm, count, burst, self.period)
            .unwrap_or_else(|_| Self::constant(self.algorithm, count, 1, self.period))
    }

    pub(crate) const fn period_nanos(&self) -> u64 {
        self.period
    }

    pub(crate) const fn interval_nanos(&self) -> u64 {
        self.interval
    }

    /// How long the whole burst takes to fill up, in nanoseconds.
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
