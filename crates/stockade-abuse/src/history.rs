//! The offences of one offender. Pure: takes times and offences, returns a decision.

use std::time::Duration;

use stockade_core::clock::Timestamp;

use crate::AbusePolicy;

/// The offences of one offender within the window, and the number of its bans.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    offences: Vec<Offence>,
    bans: u32,
    last: Timestamp,
}

#[derive(Clone, Copy, Debug)]
struct Offence {
    at: Timestamp,
    points: u32,
    fingerprint: u32,
}

/// A new offence.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewOffence {
    pub(crate) at: Timestamp,
    pub(crate) points: u32,
    /// Offences with the same fingerprint count once per window; `None` always counts.
    pub(crate) fingerprint: Option<u64>,
}

impl History {
    /// Adds an offence. If it reaches the threshold, clears the offences and returns the number
    /// of previous bans.
    pub(crate) fn record(&mut self, offence: NewOffence, policy: &AbusePolicy) -> Option<u32> {
        let NewOffence {
            at,
            points,
            fingerprint,
        } = offence;
        if self.is_forgiven(at, policy.forgiveness) {
            self.bans = 0;
        }
        self.last = self.last.max(at);
        self.offences.retain(|old| at - old.at < policy.window);
        // Zero means none; half of the digest is sufficient.
        let fingerprint = fingerprint.map_or(0, |digest| (digest >> 32) as u32 | 1);
        let known = fingerprint != 0
            && self
                .offences
                .iter()
                .any(|old| old.fingerprint == fingerprint);
        if !known {
            self.offences.push(Offence {
                at,
                points,
                fingerprint,
            });
        }
        if self.points(at, policy.window) < policy.threshold {
            return None;
        }
        self.offences.clear();
        let before = self.bans;
        self.bans = self.bans.saturating_add(1);
        Some(before)
    }

    pub(crate) fn points(&self, now: Timestamp, window: Duration) -> u32 {
        let offences = self.offences.iter();
        offences
            .filter(|offence| now - offence.at < window)
            .fold(0, |sum, offence| sum.saturating_add(offence.points))
    }

    /// Whether neither offences nor bans are within their time.
    pub(crate) fn is_expired(&self, now: Timestamp, policy: &AbusePolicy) -> bool {
        let bans = self.bans > 0 && !self.is_forgiven(now, policy.forgiveness);
        !bans && self.points(now, policy.window) == 0
    }

    /// The rank of the offender; the lowest one is dropped if the table is full.
    pub(crate) fn severity(&self, now: Timestamp, window: Duration) -> (u32, u32, Timestamp) {
        (self.bans, self.points(now, window), self.last)
    }

    fn is_forgiven(&self, now: Timestamp, forgiveness: Duration) -> bool {
        now - self.last >= forgiveness
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn offence(at: u64, fingerprint: Option<u64>) -> NewOffence {
        NewOffence {
            at: Timestamp::from_secs(at),
            points: 1,
            fingerprint,
        }
    }

    #[test]
    fn bans_five_offences_in_thirty_seconds_but_not_in_thirty_one() {
        let policy = AbusePolicy::new();
        let mut fast = History::default();
        let results = [100, 107, 115, 122, 129].map(|at| fast.record(offence(at, None), &policy));
        assert_eq!(results, [None, None, None, None, Some(0)]);
        let mut slow = History::default();
        let results = [100, 107, 115, 122, 130].map(|at| slow.record(offence(at, None), &policy));
        assert_eq!(results, [None; 5]);
    }

    #[test]
    fn counts_a_repeated_key_once() {
        let policy = AbusePolicy::new();
        let mut history = History::default();
        for _ in 0..1_000 {
            assert_eq!(history.record(offence(100, Some(8 << 32)), &policy), None);
        }
        let others = [1_u64, 3, 5, 9]
            .map(|digest| history.record(offence(101, Some(digest << 33)), &policy));
        assert_eq!(others, [None, None, None, Some(0)]);
    }

    #[test]
    fn resets_escalation_after_a_day_without_offences() {
        let policy = AbusePolicy::new().threshold(1, Duration::from_secs(30));
        let mut history = History::default();
        let bans =
            [0, 10, 20, 86_419, 180_000].map(|at| history.record(offence(at + 1, None), &policy));
        assert_eq!(bans, [Some(0), Some(1), Some(2), Some(3), Some(0)]);
    }

    #[test]
    fn bounds_offences_by_the_threshold() {
        let policy = AbusePolicy::new().threshold(u32::MAX, Duration::from_secs(3_600));
        let mut history = History::default();
        for at in 0..1_000 {
            history.record(offence(at, None), &policy);
            assert!(history.offences.len() < AbusePolicy::MAX_THRESHOLD as usize);
        }
    }

    /// A simple implementation of the rule over the complete history.
    fn naive(offences: &[NewOffence], policy: &AbusePolicy) -> Vec<bool> {
        let mut since_ban: Vec<NewOffence> = Vec::new();
        let mut results = Vec::new();
        for offence in offences {
            let known = offence.fingerprint.is_some()
                && since_ban.iter().any(|old| {
                    old.fingerprint == offence.fingerprint && offence.at - old.at < policy.window
                });
            if !known {
                since_ban.push(*offence);
            }
            let recent = since_ban
                .iter()
                .filter(|old| offence.at - old.at < policy.window);
            let banned = recent.map(|old| old.points).sum::<u32>() >= policy.threshold;
            if banned {
                since_ban.clear();
            }
            results.push(banned);
        }
        results
    }

    proptest! {
        #[test]
        fn bans_exactly_when_the_window_is_full(
            steps in proptest::collection::vec((0_u64..12, 1_u32..3, proptest::option::of(0_u64..4)), 1..80),
        ) {
            let policy = AbusePolicy::new();
            let mut at = 1_000;
            let offences: Vec<_> = steps
                .into_iter()
                .map(|(pause, points, fingerprint)| {
                    at += pause;
                    NewOffence {
                        at: Timestamp::from_secs(at),
                        points,
                        fingerprint: fingerprint.map(|number| number << 34),
                    }
                })
                .collect();
            let mut history = History::default();
            let results: Vec<_> = offences
                .iter()
                .map(|offence| history.record(*offence, &policy).is_some())
                .collect();
            prop_assert_eq!(results, naive(&offences, &policy));
        }
    }
}
