//! The time, as guards read it.

use std::{
    fmt,
    ops::{Add, Sub},
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::context::RequestContext;

/// Tells the time. Tests put a clock here that they can hold.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;

    /// When this request arrived, by this clock.
    fn arrival(&self, context: &RequestContext) -> Timestamp {
        let _ = context;
        self.now()
    }

    /// Now, for a guard of this request: its arrival, unless a guard has waited since. So a
    /// request costs one clock reading instead of one for each guard.
    fn now_in(&self, context: &RequestContext) -> Timestamp {
        match context.has_waited() {
            true => self.now(),
            false => self.arrival(context),
        }
    }
}

/// A moment, in nanoseconds since 1970-01-01T00:00:00Z; good until the year 2554.
///
/// ```
/// use std::time::Duration;
///
/// use stockade_core::clock::Timestamp;
///
/// let start = Timestamp::from_secs(1_900_000_000);
/// assert_eq!((start + Duration::from_secs(60)).as_secs(), 1_900_000_060);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The moment this number of nanoseconds after the epoch.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The moment this number of seconds after the epoch; saturates at the latest one.
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
/// It is the wall clock at the start and the time that has run since, or the wall clock
/// where that is later. So a wall clock that is set back does not revive anything that has expired,
/// a suspended machine wakes up to the right time, and a wall clock that was wrongly far
/// ahead does no harm any more once it has been put right.
///
/// The wall clock is read once a second, so a jump ahead is seen within a second; each reading costs one reading of the monotonic clock.
pub struct SystemClock {
    wall: Timestamp,
    monotonic: Instant,
    /// The lead of the wall clock over the monotonic clock, in nanoseconds.
    ahead: AtomicU64,
    /// When that was last looked at, in nanoseconds since the start.
    looked: AtomicU64,
}

impl SystemClock {
    /// How long a look at the wall clock is good for, in nanoseconds.
    const LOOK: u64 = 1_000_000_000;

    /// A clock that starts now.
    pub fn new() -> Self {
        Self::from(wall(), Instant::now())
    }

    /// The clock by which requests arrive.
    pub fn shared() -> &'static Self {
        static SHARED: LazyLock<SystemClock> = LazyLock::new(SystemClock::new);
        &SHARED
    }

    fn from(wall: Timestamp, monotonic: Instant) -> Self {
        Self {
            wall,
            monotonic,
            ahead: AtomicU64::new(0),
            looked: AtomicU64::new(0),
        }
    }

    /// The time since the clock started. It ignores the wall clock.
    pub fn uptime(&self) -> Duration {
        self.monotonic.elapsed()
    }

    /// Now, and the uptime at that moment.
    pub(crate) fn read(&self) -> (Timestamp, Duration) {
        let uptime = self.uptime();
        (self.at(nanos(uptime), wall), uptime)
    }

    /// Stores the lead of the wall clock over the monotonic clock.
    fn look(&self, elapsed: u64, wall: Timestamp) {
        let ran = self.wall + Duration::from_nanos(elapsed);
        // Another thread at the same moment stores the same value.
        self.ahead.store(nanos(wall - ran), Ordering::Relaxed);
        self.looked.store(elapsed, Ordering::Relaxed);
    }

    fn at(&self, elapsed: u64, wall: impl FnOnce() -> Timestamp) -> Timestamp {
        let looked = self.looked.load(Ordering::Relaxed);
        if elapsed.saturating_sub(looked) >= Self::LOOK {
            self.look(elapsed, wall());
        }
        let ahead = self.ahead.load(Ordering::Relaxed);
        self.wall + Duration::from_nanos(elapsed.saturating_add(ahead))
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        self.read().0
    }

    fn arrival(&self, context: &RequestContext) -> Timestamp {
        context.arrived()
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

    const START: Timestamp = Timestamp::from_secs(1_000);

    fn clock() -> SystemClock {
        SystemClock::from(START, Instant::now())
    }

    fn secs(secs: u64) -> u64 {
        secs * 1_000_000_000
    }

    #[test]
    fn tells_the_time() {
        let now = SystemClock::new().now();
        assert!(
            now >= Timestamp::from_secs(1_700_000_000) && now <= wall() + Duration::from_secs(60)
        );
    }

    // A09, R07
    #[test]
    fn a_wall_clock_set_back_does_not_turn_time_back() {
        let clock = clock();
        for elapsed in [0, 5, 3_600] {
            let back = || Timestamp::from_secs(1_000 + elapsed - 900.min(elapsed));
            let now = clock.at(secs(elapsed), back);
            assert_eq!(now, START + Duration::from_secs(elapsed));
        }
    }

    #[test]
    fn a_machine_that_slept_wakes_up_to_the_wall_clock() {
        let clock = clock();
        assert_eq!(
            clock.at(secs(5), || Timestamp::from_secs(9_000)),
            Timestamp::from_secs(9_000)
        );
        // Between two looks it goes on from there.
        let unasked = || panic!("the wall clock is read once a second");
        let now = clock.at(secs(5) + 1, unasked);
        assert_eq!(now, Timestamp::from_secs(9_000) + Duration::from_nanos(1));
    }

    // R07
    #[test]
    fn a_wall_clock_that_was_wrongly_ahead_is_believed_no_longer() {
        let clock = clock();
        let year = Timestamp::from_secs(1_000 + 365 * 86_400);
        assert_eq!(clock.at(secs(5), || year), year);
        assert_eq!(
            clock.at(secs(6), || Timestamp::from_secs(1_006)),
            Timestamp::from_secs(1_006)
        );
    }

    #[test]
    fn now_in_a_request_is_its_arrival_until_a_guard_waits() {
        let clock = SystemClock::shared();
        let context = RequestContext::builder().arrived(START).build();
        assert_eq!(clock.now_in(&context), START);
        context.set_waited();
        assert!(clock.now_in(&context) > START);
        assert_eq!(clock.arrival(&context), START);
    }

    #[test]
    fn arithmetic_saturates() {
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
