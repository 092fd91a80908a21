//! When to fetch keys, as pure functions of state and time.

use std::time::Duration;

use stockade_core::clock::Timestamp;

/// When the keys of a JWKS URL are refreshed.
///
/// ```
/// use std::time::Duration;
///
/// use stockade_jwt::RefreshPolicy;
///
/// let policy = RefreshPolicy::default()
///     .max_age(Duration::from_secs(300))
///     // A key that the issuer withdraws stays valid for at most an hour, if fetches fail.
///     .max_stale(Duration::from_secs(3_600));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshPolicy {
    pub(super) max_age: Duration,
    pub(super) max_stale: Duration,
    pub(super) cool_down: Duration,
    pub(super) timeout: Duration,
}

impl RefreshPolicy {
    /// Sets the age at which a set is refreshed in the background; 10 minutes by default. A
    /// withdrawn key stays valid for this long, or for [`max_stale`](Self::max_stale) while the
    /// issuer cannot be reached.
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = max_age;
        self
    }

    /// Sets how long a set is used after the last successful fetch; 24 hours by default. Then it
    /// is dropped, and requests get a 503 until a fetch succeeds, so that an attacker cannot keep a
    /// withdrawn key valid by blocking the issuer.
    pub fn max_stale(mut self, max_stale: Duration) -> Self {
        self.max_stale = max_stale;
        self
    }

    /// Sets the minimum time between fetches, also for unknown key ids; 30 seconds by default.
    pub fn cool_down(mut self, cool_down: Duration) -> Self {
        self.cool_down = cool_down;
        self
    }

    /// Sets the time-out of a fetch, from name resolution to the last byte; 5 seconds by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Returns whether a background refresh is due.
    pub(super) fn is_due(&self, state: &State, now: Timestamp) -> bool {
        !state.in_flight && now >= self.due(state)
    }

    fn due(&self, state: &State) -> Timestamp {
        match (state.attempted, state.loaded) {
            (None, _) => Timestamp::default(),
            (Some(attempted), Some(loaded)) if attempted == loaded => loaded + self.max_age,
            // The last fetch failed.
            (Some(attempted), _) => attempted + self.cool_down,
        }
    }

    /// Returns the time of the next action: a fetch, or dropping a stale set.
    pub(super) fn next(&self, state: &State) -> Timestamp {
        let due = self.due(state);
        match state.loaded {
            Some(loaded) => due.min(loaded + self.max_stale),
            None => due,
        }
    }

    /// Marks a stale set as dropped and returns whether it did. Waits for a fetch in flight, which
    /// ends within the time-out.
    pub(super) fn retire(&self, state: &mut State, now: Timestamp) -> bool {
        let is_stale = |loaded: Timestamp| now >= loaded + self.max_stale;
        let retired = !state.in_flight && state.loaded.is_some_and(is_stale);
        if retired {
            state.loaded = None;
        }
        retired
    }

    /// Decides what to do about an unknown key id.
    pub(super) fn decide(&self, state: &State, now: Timestamp) -> Decision {
        if state.in_flight {
            return Decision::Join;
        }
        let Some(attempted) = state.attempted else {
            return Decision::Fetch;
        };
        let again = attempted + self.cool_down;
        if now >= again {
            Decision::Fetch
        } else if state.loaded.is_some() {
            Decision::UpToDate
        } else {
            Decision::Unavailable(again - now)
        }
    }

    /// Records the result of a fetch; returns the time of the next action.
    pub(super) fn finish(&self, state: &mut State, started: Timestamp, good: bool) -> Timestamp {
        state.in_flight = false;
        if good {
            state.loaded = Some(started);
        }
        self.next(state)
    }
}

impl Default for RefreshPolicy {
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(600),
            max_stale: Duration::from_secs(24 * 60 * 60),
            cool_down: Duration::from_secs(30),
            timeout: Duration::from_secs(5),
        }
    }
}

/// The start times of past fetches.
#[derive(Debug, Default)]
pub(super) struct State {
    in_flight: bool,
    attempted: Option<Timestamp>,
    loaded: Option<Timestamp>,
}

impl State {
    pub(super) fn start(&mut self, now: Timestamp) {
        self.in_flight = true;
        self.attempted = Some(now);
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Fetch,
    /// Waits for the fetch in flight.
    Join,
    /// The set was just fetched.
    UpToDate,
    /// No usable set; the next fetch is allowed after this time.
    Unavailable(Duration),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secs(secs: u64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn first_fetch_is_due_immediately() {
        let (policy, mut state) = (RefreshPolicy::default(), State::default());
        assert!(policy.is_due(&state, secs(100)));
        assert_eq!(policy.decide(&state, secs(100)), Decision::Fetch);
        state.start(secs(100));
        assert!(!policy.is_due(&state, secs(100)));
        assert_eq!(policy.decide(&state, secs(100)), Decision::Join);
        assert_eq!(policy.finish(&mut state, secs(100), true), secs(700));
        assert_eq!(policy.decide(&state, secs(129)), Decision::UpToDate);
        assert_eq!(policy.decide(&state, secs(130)), Decision::Fetch);
        assert!(!policy.is_due(&state, secs(699)));
        assert!(policy.is_due(&state, secs(700)));
    }

    #[test]
    fn failure_is_retried_after_the_cool_down() {
        let (policy, mut state) = (RefreshPolicy::default(), State::default());
        state.start(secs(100));
        assert_eq!(policy.finish(&mut state, secs(100), false), secs(130));
        let left = Duration::from_secs(10);
        assert_eq!(
            policy.decide(&state, secs(120)),
            Decision::Unavailable(left)
        );
        assert!(policy.is_due(&state, secs(130)));
    }

    // FA14
    #[test]
    fn stale_set_is_dropped() {
        let policy = RefreshPolicy::default().max_stale(Duration::from_secs(1_000));
        let mut state = State::default();
        state.start(secs(100));
        assert_eq!(policy.finish(&mut state, secs(100), true), secs(700));
        state.start(secs(1_090));
        // The fetch may still succeed.
        assert!(!policy.retire(&mut state, secs(1_100)));
        assert_eq!(policy.finish(&mut state, secs(1_090), false), secs(1_100));
        assert_eq!(policy.decide(&state, secs(1_099)), Decision::UpToDate);
        assert!(!policy.retire(&mut state, secs(1_099)));

        assert!(policy.retire(&mut state, secs(1_100)));
        assert!(!policy.retire(&mut state, secs(1_100)));
        assert_eq!(policy.next(&state), secs(1_120));
        let left = Duration::from_secs(20);
        assert_eq!(
            policy.decide(&state, secs(1_100)),
            Decision::Unavailable(left)
        );
    }

    proptest! {
        // J07
        #[test]
        fn never_fetches_twice_within_the_cool_down(
            gaps in proptest::collection::vec(0u64..10_000, 1..500),
        ) {
            let (policy, mut state) = (RefreshPolicy::default(), State::default());
            let (mut now, mut last) = (secs(1_000), None::<Timestamp>);
            for gap in gaps {
                now = now + Duration::from_millis(gap);
                if policy.decide(&state, now) == Decision::Fetch {
                    if let Some(last) = last {
                        prop_assert!(now - last >= policy.cool_down);
                    }
                    last = Some(now);
                    state.start(now);
                    policy.finish(&mut state, now, gap % 2 == 0);
                }
            }
        }
    }
}
