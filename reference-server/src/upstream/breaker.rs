//! The circuit breaker of one upstream: a pure policy.
//!
//! Closed, it lets all requests pass. After failures in a row, or too many among the latest
//! requests, it opens and refuses all. After some time it lets one trial pass, which closes it or
//! opens it for twice as long. A trial that decides nothing in that time does not block the others
//! for longer: another one passes, and the first that decides counts.

use std::time::Duration;

use tokio::time::Instant;

use super::BreakerSettings;

/// The state of a circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Requests pass.
    Closed,
    /// Requests are refused.
    Open,
    /// One request passes as a trial.
    HalfOpen,
}

impl BreakerState {
    /// The name in metrics and logs.
    pub fn label(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

/// A circuit breaker.
#[derive(Debug)]
pub(super) struct Breaker {
    settings: BreakerSettings,
    state: State,
    /// How long to open next; doubles with each failed trial.
    next_open_for: Duration,
    /// Invalidates passes from before the last change of state.
    epoch: u64,
}

#[derive(Debug)]
enum State {
    Closed { in_a_row: u32, latest: Latest },
    Open { until: Instant },
    HalfOpen { next_trial: Instant },
}

/// Permission for one request; its result goes to [`Breaker::record`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pass(u64);

/// The result of a request for the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    Success,
    Failure,
    /// Unrelated to the upstream, such as a client that left.
    Unknown,
}

impl Breaker {
    pub(super) fn new(settings: BreakerSettings) -> Self {
        Self {
            settings,
            state: State::closed(),
            next_open_for: settings.open_for.min(settings.max_open_for),
            epoch: 0,
        }
    }

    pub(super) fn state(&self) -> BreakerState {
        match self.state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// How long requests are refused: zero if the next one would pass, `None` while a trial
    /// decides.
    pub(super) fn refuses_for(&self, now: Instant) -> Option<Duration> {
        match self.state {
            State::Closed { .. } => Some(Duration::ZERO),
            State::Open { until } => Some(until.saturating_duration_since(now)),
            State::HalfOpen { next_trial } => (next_trial <= now).then_some(Duration::ZERO),
        }
    }

    /// Lets a request pass, or refuses it.
    pub(super) fn admit(&mut self, now: Instant) -> Option<Pass> {
        if self.refuses_for(now) != Some(Duration::ZERO) {
            return None;
        }
        match self.state {
            State::Closed { .. } => {}
            State::Open { .. } => {
                let next_trial = now + self.next_open_for;
                self.change(State::HalfOpen { next_trial });
            }
            State::HalfOpen { .. } => {
                self.back_off();
                let next_trial = now + self.next_open_for;
                // The same epoch: the earlier trial may still decide.
                self.state = State::HalfOpen { next_trial };
            }
        }
        Some(Pass(self.epoch))
    }

    /// Records the result of a request that has passed. `random` is in `0.0..1.0`.
    pub(super) fn record(&mut self, pass: Pass, health: Health, now: Instant, random: f64) {
        if pass != Pass(self.epoch) {
            // Began before the last change of state.
            return;
        }
        match (&mut self.state, health) {
            (State::Closed { in_a_row, latest }, Health::Success) => {
                *in_a_row = 0;
                latest.push(false, self.settings.window.get());
            }
            (State::Closed { in_a_row, latest }, Health::Failure) => {
                *in_a_row += 1;
                latest.push(true, self.settings.window.get());
                if *in_a_row >= self.settings.consecutive_failures.get()
                    || latest.exceeds(self.settings.failure_percent, self.settings.window.get())
                {
                    self.open(now, random);
                }
            }
            (State::HalfOpen { .. }, Health::Success) => {
                self.next_open_for = self.settings.open_for.min(self.settings.max_open_for);
                self.change(State::closed());
            }
            (State::HalfOpen { .. }, Health::Failure) => self.open(now, random),
            // The trial decided nothing: the next request is another one.
            (State::HalfOpen { .. }, Health::Unknown) => self.change(State::Open { until: now }),
            (State::Open { .. }, _) | (State::Closed { .. }, Health::Unknown) => {}
        }
    }

    /// Opens for between one and one and a quarter of the time, so that several gateways do not
    /// try at once.
    fn open(&mut self, now: Instant, random: f64) {
        let open_for = self.back_off();
        let until = now + open_for + open_for.mul_f64(random / 4.0);
        self.change(State::Open { until });
    }

    /// Doubles the time of the next failure, and returns that of this one.
    fn back_off(&mut self) -> Duration {
        let doubled = self.next_open_for.saturating_mul(2);
        std::mem::replace(
            &mut self.next_open_for,
            doubled.min(self.settings.max_open_for),
        )
    }

    fn change(&mut self, state: State) {
        self.state = state;
        self.epoch += 1;
    }
}

impl State {
    fn closed() -> Self {
        Self::Closed {
            in_a_row: 0,
            latest: Latest::default(),
        }
    }
}

/// The results of the latest requests; a bit is set for a failure.
#[derive(Debug, Default)]
struct Latest {
    bits: u64,
    count: u32,
}

impl Latest {
    fn push(&mut self, failed: bool, window: u32) {
        let window = window.min(u64::BITS);
        self.bits = (self.bits << 1 | u64::from(failed)) & (u64::MAX >> (u64::BITS - window));
        self.count = (self.count + 1).min(window);
    }

    /// Whether the window is full and has at least this percentage of failures.
    fn exceeds(&self, percent: u8, window: u32) -> bool {
        self.count >= window.min(u64::BITS)
            && self.bits.count_ones() * 100 >= self.count * u32::from(percent)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use proptest::prelude::*;

    use super::*;

    fn breaker() -> (Breaker, Instant) {
        (Breaker::new(BreakerSettings::default()), Instant::now())
    }

    fn send(breaker: &mut Breaker, health: Health, now: Instant) {
        let pass = breaker
            .admit(now)
            .expect("the breaker lets the request pass");
        breaker.record(pass, health, now, 0.0);
    }

    fn fail(breaker: &mut Breaker, times: u32, now: Instant) {
        for _ in 0..times {
            send(breaker, Health::Failure, now);
        }
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn opens_after_failures_in_a_row() {
        let (mut breaker, now) = breaker();
        fail(&mut breaker, 4, now);
        send(&mut breaker, Health::Success, now);
        fail(&mut breaker, 4, now);
        assert_eq!(breaker.state(), BreakerState::Closed);
        fail(&mut breaker, 1, now);
        assert_eq!(breaker.state(), BreakerState::Open);
        assert!(breaker.admit(now).is_none());
        assert_eq!(breaker.refuses_for(now + SECOND), Some(4 * SECOND));
    }

    #[test]
    fn opens_when_half_of_the_latest_requests_failed() {
        let (mut breaker, now) = breaker();
        for _ in 0..15 {
            fail(&mut breaker, 1, now);
            send(&mut breaker, Health::Success, now);
        }
        send(&mut breaker, Health::Success, now);
        assert_eq!(
            breaker.state(),
            BreakerState::Closed,
            "the window is not full"
        );
        fail(&mut breaker, 1, now);
        assert_eq!(breaker.state(), BreakerState::Open);
    }

    #[test]
    fn lets_one_trial_pass_which_closes_it() {
        let (mut breaker, now) = breaker();
        fail(&mut breaker, 5, now);
        let later = now + 5 * SECOND;
        let trial = breaker.admit(later).unwrap();
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        assert!(breaker.admit(later).is_none());
        assert_eq!(breaker.refuses_for(later), None);
        breaker.record(trial, Health::Success, later, 0.0);
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn doubles_the_time_with_each_failed_trial_up_to_the_maximum() {
        let (mut breaker, mut now) = breaker();
        fail(&mut breaker, 5, now);
        for expected in [5, 10, 20, 40, 60, 60] {
            let wait = breaker.refuses_for(now).unwrap();
            assert_eq!(wait, expected * SECOND);
            now += wait;
            fail(&mut breaker, 1, now);
        }
        now += breaker.refuses_for(now).unwrap();
        send(&mut breaker, Health::Success, now);
        fail(&mut breaker, 5, now);
        assert_eq!(breaker.refuses_for(now), Some(5 * SECOND), "starts over");
    }

    #[test]
    fn allows_another_trial_when_one_hangs() {
        let (mut breaker, start) = breaker();
        fail(&mut breaker, 5, start);
        let mut now = start + 5 * SECOND;
        let hangs = breaker.admit(now).unwrap();
        for wait in [10, 20, 40, 60, 60] {
            let early = now + wait * SECOND - Duration::from_millis(1);
            assert!(breaker.admit(early).is_none(), "{wait}");
            now += wait * SECOND;
            assert_eq!(breaker.refuses_for(now), Some(Duration::ZERO));
            assert_eq!(breaker.admit(now), Some(hangs), "{wait}");
            assert!(breaker.admit(now).is_none(), "one at a time");
        }
        breaker.record(hangs, Health::Success, now, 0.0);
        assert_eq!(breaker.state(), BreakerState::Closed);
        fail(&mut breaker, 5, now);
        assert_eq!(breaker.refuses_for(now), Some(5 * SECOND), "starts over");
    }

    #[test]
    fn the_first_trial_that_decides_counts() {
        let (mut breaker, start) = breaker();
        fail(&mut breaker, 5, start);
        let hangs = breaker.admit(start + 5 * SECOND).unwrap();
        let now = start + 15 * SECOND;
        let other = breaker.admit(now).unwrap();
        breaker.record(other, Health::Failure, now, 0.0);
        assert_eq!(breaker.refuses_for(now), Some(20 * SECOND));
        breaker.record(hangs, Health::Success, now, 0.0);
        assert_eq!(breaker.state(), BreakerState::Open);
    }

    #[test]
    fn allows_another_trial_after_one_that_decided_nothing() {
        let (mut breaker, now) = breaker();
        fail(&mut breaker, 5, now);
        let later = now + 5 * SECOND;
        send(&mut breaker, Health::Unknown, later);
        assert_eq!(breaker.state(), BreakerState::Open);
        send(&mut breaker, Health::Success, later);
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn ignores_results_from_before_it_opened() {
        let (mut breaker, now) = breaker();
        let early = breaker.admit(now).unwrap();
        fail(&mut breaker, 5, now);
        let later = now + 5 * SECOND;
        breaker.record(early, Health::Failure, now + SECOND, 0.0);
        assert_eq!(
            breaker.refuses_for(later),
            Some(Duration::ZERO),
            "not extended"
        );
        let trial = breaker.admit(later).unwrap();
        breaker.record(early, Health::Success, later, 0.0);
        assert_eq!(
            breaker.state(),
            BreakerState::HalfOpen,
            "only the trial decides"
        );
        breaker.record(trial, Health::Failure, later, 0.0);
        assert_eq!(breaker.state(), BreakerState::Open);
    }

    fn health() -> impl Strategy<Value = Health> {
        prop_oneof![
            Just(Health::Success),
            Just(Health::Failure),
            Just(Health::Unknown)
        ]
    }

    proptest! {
        #[test]
        fn never_refuses_for_longer_than_the_maximum_and_its_jitter(
            events in prop::collection::vec((health(), 0u64..20, 0.0f64..1.0, any::<bool>()), 0..200),
            in_a_row in 1u32..8,
            window in 1u32..100,
        ) {
            let settings = BreakerSettings {
                consecutive_failures: NonZeroU32::new(in_a_row).unwrap(),
                window: NonZeroU32::new(window).unwrap(),
                ..BreakerSettings::default()
            };
            let (mut breaker, mut now) = (Breaker::new(settings), Instant::now());
            for (health, seconds, random, hangs) in events {
                now += Duration::from_secs(seconds);
                let before = breaker.state();
                if let Some(pass) = breaker.admit(now) {
                    prop_assert_ne!(breaker.state(), BreakerState::Open);
                    if !hangs {
                        breaker.record(pass, health, now, random);
                        prop_assert_ne!(breaker.state(), BreakerState::HalfOpen);
                    }
                } else {
                    prop_assert_ne!(before, BreakerState::Closed);
                }
                let longest = settings.max_open_for.mul_f64(1.25);
                prop_assert_eq!(breaker.refuses_for(now + longest), Some(Duration::ZERO));
            }
        }
    }
}
