//! Whether few connections are left. Idle ones are closed earlier then.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

/// The minimum of the timeout when few connections are left.
const MIN_TIMEOUT: Duration = Duration::from_secs(1);
/// The number of steps of [`Pressure`], of which 0 is none.
const STEPS: u32 = 1_000;

/// How few connections are left. Set by the listener, and read by connections. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Pressure(Arc<AtomicU32>);

impl Pressure {
    /// Begins at three quarters of the maximum, grows up to the maximum, and ends when no more than
    /// half of it is open.
    pub(super) fn update(&self, open: usize, maximum: usize) {
        let before = self.0.load(Ordering::Relaxed);
        let is_high = match before > 0 {
            true => open * 2 > maximum,
            false => open * 4 >= maximum * 3,
        };
        let now = match is_high {
            true => steps((open * 4).saturating_sub(maximum * 3), maximum),
            false => 0,
        };
        if now == before {
            return;
        }
        self.0.store(now, Ordering::Relaxed);
        if before == 0 {
            tracing::warn!(
                open,
                maximum,
                "few connections are left: idle ones are closed after a quarter of \
                 server.header_timeout_secs or more"
            );
        } else if now == 0 {
            tracing::info!(open, maximum, "enough connections are left again");
        }
    }

    /// Shortens a timeout to a quarter, or more of it for connections with a higher `share`, which
    /// is from 0 to 1: to all of it at first, and to a quarter for all when none is left.
    ///
    /// Connections that are opened together would otherwise be closed together, and an attacker
    /// would open all of them again, which delays the requests of others.
    pub(super) fn shorten(&self, timeout: Duration, share: f64) -> Duration {
        match self.0.load(Ordering::Relaxed) {
            0 => timeout,
            steps => {
                let longest = 1.0 - 0.75 * f64::from(steps) / f64::from(STEPS);
                let part = 0.25 + (longest - 0.25) * share;
                timeout.mul_f64(part).max(MIN_TIMEOUT)
            }
        }
    }
}

/// The pressure for this part of a whole; at least 1.
fn steps(part: usize, whole: usize) -> u32 {
    let steps = part as u128 * u128::from(STEPS) / whole.max(1) as u128;
    u32::try_from(steps).unwrap_or(STEPS).clamp(1, STEPS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(16);

    /// The shortest and the longest timeout in seconds.
    fn timeouts(pressure: &Pressure) -> [f64; 2] {
        [0.0, 1.0].map(|share| pressure.shorten(TIMEOUT, share).as_secs_f64().round())
    }

    // FA11
    #[test]
    fn begins_late_and_ends_early() {
        let pressure = Pressure::default();
        for (open, expected) in [
            (5, [16.0, 16.0]),
            (6, [4.0, 16.0]),
            (5, [4.0, 16.0]),
            (4, [16.0, 16.0]),
            (5, [16.0, 16.0]),
        ] {
            pressure.update(open, 8);
            assert_eq!(timeouts(&pressure), expected, "{open}");
        }
    }

    // FA11
    #[test]
    fn shortens_more_when_fewer_are_left() {
        let pressure = Pressure::default();
        for (open, expected) in [(6, [4.0, 16.0]), (7, [4.0, 10.0]), (8, [4.0, 4.0])] {
            pressure.update(open, 8);
            assert_eq!(timeouts(&pressure), expected, "{open}");
        }
    }

    #[test]
    fn a_short_timeout_is_not_shortened_to_nothing() {
        let pressure = Pressure::default();
        pressure.update(8, 8);
        let second = Duration::from_secs(1);
        assert_eq!(pressure.shorten(second, 0.0), second);
    }
}
