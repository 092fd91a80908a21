//! The time, as guards read it.

use std::{
    fmt,
    ops::{Add, Sub},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Tells the time. Tests put a clock here that they can hold.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// A moment, in nanoseconds since 1970-01-01T00:00:00Z; good until the year 2554.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The moment so many nanoseconds after the epoch.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The moment so many seconds after the epoch; the last one there is, where that
    /// cannot be told.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000_000))
    }

    /// Nanoseconds since the epoch.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Whole seconds since the epoch.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1_000_000_000
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    /// Stays at the last moment there is.
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }
}

impl Sub for Timestamp {
    type Output = Duration;

    /// The time since an earlier moment; zero since a later one.
    fn sub(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The machine's time, which never runs backwards while the process lives.
///
/// It is the later of two: the wall clock, and the wall clock at the start plus the time
/// that has run since. So a wall clock that is set back revives nothing that has
/// expired, a suspended machine wakes up to the right time, and a wall clock that was
/// wrongly far ahead does no harm any more once it has been put right.
#[derive(Clone, Copy)]
pub struct SystemClock {
    wall: Timestamp,
    monotonic: Instant,
}

impl SystemClock {
    /// A clock that starts now.
    pub fn new() -> Self {
        Self {
            wall: wall(),
            monotonic: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        wall().max(self.wall + self.monotonic.elapsed())
    }
}

/// A wall clock before 1970 reads as 1970.
fn wall() -> Timestamp {
    Timestamp(nanos(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default(),
    ))
}

impl fmt::Debug for SystemClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SystemClock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A09, R07
    #[test]
    fn a_wall_clock_set_back_does_not_turn_time_back() {
        // The same as if the wall clock had been set back by an hour since the start.
        let clock = SystemClock {
            wall: wall() + Duration::from_secs(3_600),
            monotonic: Instant::now(),
        };
        assert!(clock.now() >= clock.wall);
    }

    #[test]
    fn a_machine_that_slept_wakes_up_to_the_wall_clock() {
        let clock = SystemClock {
            wall: Timestamp::from_secs(1_000),
            monotonic: Instant::now(),
        };
        assert!(clock.now() >= Timestamp::from_secs(1_700_000_000));
    }

    #[test]
    fn arithmetic_stays_within_what_can_be_told() {
        let last = Timestamp::from_nanos(u64::MAX);
        assert_eq!(last + Duration::MAX, last);
        assert_eq!(Timestamp::from_secs(u64::MAX), last);
        assert_eq!(Timestamp::from_secs(1) - last, Duration::ZERO);
        assert_eq!(
            Timestamp::from_secs(5) - Timestamp::from_secs(2),
            Duration::from_secs(3)
        );
    }
}
