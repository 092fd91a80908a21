//! Limits on slow request bodies.

use std::{num::NonZeroU32, time::Duration};

/// The deadline and the minimum rate of reading a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReadTimeout {
    /// The deadline for the whole body.
    pub(crate) deadline: Duration,
    /// Bytes per second, averaged since the first read.
    pub(crate) min_rate: Option<NonZeroU32>,
    /// The time before the minimum rate applies.
    pub(crate) grace: Duration,
}

impl ReadTimeout {
    /// When a body of which `bytes` have arrived is too late, measured from the first read;
    /// and which limit that is.
    pub(crate) fn due(&self, bytes: u64) -> (Duration, &'static str) {
        let by_rate = self.min_rate.map(|rate| {
            let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(rate.get());
            let paid = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
            self.grace.saturating_add(paid)
        });
        match by_rate {
            Some(due) if due < self.deadline => (due, "the minimum rate"),
            _ => (self.deadline, "the deadline"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_extend_the_limit_up_to_the_deadline() {
        let timeout = ReadTimeout {
            deadline: Duration::from_secs(60),
            min_rate: NonZeroU32::new(1_000),
            grace: Duration::from_secs(5),
        };
        for (bytes, secs) in [
            (0, 5),
            (1_000, 6),
            (54_000, 59),
            (56_000, 60),
            (u64::MAX, 60),
        ] {
            assert_eq!(timeout.due(bytes).0, Duration::from_secs(secs), "{bytes}");
        }
        let patient = ReadTimeout {
            min_rate: None,
            ..timeout
        };
        assert_eq!(patient.due(0).0, Duration::from_secs(60));
    }
}
