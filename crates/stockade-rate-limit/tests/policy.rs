//! Tests of the policies: against governor, their own guarantees, and wrong clocks.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{num::NonZeroU32, time::Duration};

use governor::{RateLimiter, clock::FakeRelativeClock};
use proptest::prelude::*;
use stockade_rate_limit::{Quota, QuotaStatus, gcra, sliding};

const SECOND: u64 = 1_000_000_000;

/// A point in time, in nanoseconds, that is no multiple of any period.
const START: u64 = 1_700_000_000_123_456_789;

fn nanos(duration: Duration) -> u64 {
    duration.as_nanos() as u64
}

#[test]
fn gcra_allows_the_burst_and_then_one_per_interval() {
    let quota = Quota::per_minute(60).burst(3);
    let mut state = 0;
    for left in [2, 1, 0] {
        let (next, status) = gcra::take(state, &quota, START, 1);
        assert!(status.is_allowed());
        assert_eq!(status.remaining(), left);
        state = next;
    }
    let (kept, status) = gcra::take(state, &quota, START, 1);
    assert_eq!(kept, state);
    assert_eq!(status.retry_after(), Duration::from_secs(1));
    assert_eq!(status.reset_after(), Duration::from_secs(3));
    let almost = gcra::take(state, &quota, START + SECOND - 1, 1).1;
    assert_eq!(almost.retry_after(), Duration::from_nanos(1));
    assert!(gcra::take(state, &quota, START + SECOND, 1).1.is_allowed());
}

#[test]
fn sliding_weighs_the_previous_window() {
    let quota = Quota::sliding(10, Duration::from_secs(10)).unwrap();
    let window = START / (10 * SECOND) * 10 * SECOND;
    let mut state = 0;
    for _ in 0..10 {
        state = sliding::take(state, &quota, window, 1).0;
    }
    let (_, status) = sliding::take(state, &quota, window, 1);
    // All ten count until the next window; one leaves a tenth later.
    assert_eq!(status.retry_after(), Duration::from_secs(11));
    assert_eq!(status.reset_after(), Duration::from_secs(20));
    let half = window + 15 * SECOND;
    let statuses: Vec<_> = (0..6)
        .map(|_| {
            let (next, status) = sliding::take(state, &quota, half, 1);
            state = next;
            status.is_allowed()
        })
        .collect();
    assert_eq!(statuses, [true, true, true, true, true, false]);
}

#[test]
fn a_cost_above_the_burst_is_never_allowed() {
    let minute = Quota::per_minute(60).burst(5);
    let any = Quota::sliding(5, Duration::from_secs(60)).unwrap();
    for cost in [6, u32::MAX] {
        let status = gcra::take(0, &minute, START, cost).1;
        assert_eq!(
            (status.retry_after(), status.remaining()),
            (QuotaStatus::NEVER, 5)
        );
        let status = sliding::take(0, &any, START, cost).1;
        assert_eq!(
            (status.retry_after(), status.remaining()),
            (QuotaStatus::NEVER, 5)
        );
    }
}

#[test]
fn a_cost_of_zero_is_allowed_while_anything_is_left() {
    let quotas = [
        Quota::per_minute(2),
        Quota::sliding(2, Duration::from_secs(60)).unwrap(),
    ];
    for quota in quotas {
        let take = policy(&quota);
        let (one, _) = take(0, &quota, START, 1);
        let (same, status) = take(one, &quota, START, 0);
        assert!(status.is_allowed() && status.remaining() == 1);
        let (two, _) = take(same, &quota, START, 1);
        assert!(!take(two, &quota, START, 0).1.is_allowed());
    }
}

type Take = fn(u64, &Quota, u64, u32) -> (u64, QuotaStatus);
type Settle = fn(u64, &Quota, u64, i64) -> u64;

fn policy(quota: &Quota) -> Take {
    match quota.algorithm() {
        stockade_rate_limit::Algorithm::SlidingWindow => sliding::take,
        _ => gcra::take,
    }
}

fn settling(quota: &Quota) -> Settle {
    match quota.algorithm() {
        stockade_rate_limit::Algorithm::SlidingWindow => sliding::settle,
        _ => gcra::settle,
    }
}

/// Uses up a bucket at this time.
fn used_up(quota: &Quota, now: u64) -> u64 {
    let mut state = 0;
    loop {
        let (next, status) = policy(quota)(state, quota, now, 1);
        if !status.is_allowed() {
            return state;
        }
        state = next;
    }
}

// R07
#[test]
fn a_clock_set_back_neither_refills_nor_locks_out() {
    for quota in [
        Quota::per_minute(60),
        Quota::sliding(60, Duration::from_secs(60)).unwrap(),
    ] {
        for back in [1, 60 * SECOND, 3_600 * SECOND, 365 * 86_400 * SECOND] {
            let mut state = used_up(&quota, START);
            let mut now = START - back;
            let (kept, status) = policy(&quota)(state, &quota, now, 1);
            assert!(!status.is_allowed(), "{quota}, {back} ns back: refilled");
            state = kept;
            // The longest debt: a reserved burst, and twice as much in excess.
            now += 180 * SECOND;
            let status = policy(&quota)(state, &quota, now, 1).1;
            assert!(status.is_allowed(), "{quota}, {back} ns back: locked out");
        }
    }
}

// R07
#[test]
fn after_sleep_a_bucket_is_full_and_not_more() {
    for quota in [
        Quota::per_minute(60),
        Quota::sliding(60, Duration::from_secs(60)).unwrap(),
    ] {
        let state = used_up(&quota, START);
        let (_, status) = policy(&quota)(state, &quota, START + 365 * 86_400 * SECOND, 1);
        assert_eq!(status.remaining(), 59);
    }
}

#[test]
fn settles_the_actual_usage() {
    for quota in [
        Quota::per_minute(100),
        Quota::sliding(100, Duration::from_secs(60)).unwrap(),
    ] {
        let left = |state| policy(&quota)(state, &quota, START, 0).1.remaining();
        let settle = settling(&quota);
        let (reserved, _) = policy(&quota)(0, &quota, START, 80);
        assert_eq!(left(settle(reserved, &quota, START, -70)), 90);
        assert_eq!(left(settle(reserved, &quota, START, 20)), 0);
        // Debts accumulate; a refund does not exceed a full bucket.
        let debt = settle(reserved, &quota, START, 70);
        assert_eq!(left(settle(debt, &quota, START, -50)), 0);
        assert_eq!(left(settle(debt, &quota, START, -100)), 50);
        assert_eq!(left(settle(reserved, &quota, START, i64::MIN)), 100);
        // An excessive debt is bounded.
        let without_end = settle(reserved, &quota, START, i64::MAX);
        let later = START + 3 * 60 * SECOND;
        assert!(policy(&quota)(without_end, &quota, later, 1).1.is_allowed());
    }
}

/// Requests: nanoseconds since the previous one, and a cost.
fn requests() -> impl Strategy<Value = Vec<(u64, u32)>> {
    let pause = prop_oneof![
        3 => Just(0),
        3 => 0..SECOND,
        2 => 0..10 * SECOND,
        1 => 0..200 * SECOND
    ];
    prop::collection::vec((pause, 1..5u32), 1..200)
}

proptest! {
    #[test]
    fn gcra_decides_like_governor(
        count in 1..2_000u32,
        burst in 1..50u32,
        requests in requests(),
    ) {
        let quota = Quota::per_minute(count).burst(burst);
        // governor rounds the interval down, so it gets ours.
        let theirs = governor::Quota::with_period(quota.interval())
            .unwrap()
            .allow_burst(NonZeroU32::new(burst).unwrap());
        let clock = FakeRelativeClock::default();
        // governor's relative clock starts at 0, where subtraction saturates.
        clock.advance(Duration::from_secs(86_400));
        let governor = RateLimiter::direct_with_clock(theirs, clock.clone());
        let (mut state, mut now) = (0, START);
        for (pause, cost) in requests {
            now += pause;
            clock.advance(Duration::from_nanos(pause));
            let (next, status) = gcra::take(state, &quota, now, cost);
            state = next;
            match governor.check_n(NonZeroU32::new(cost).unwrap()) {
                Ok(decided) => prop_assert_eq!(status.is_allowed(), decided.is_ok()),
                Err(_) => prop_assert_eq!(status.retry_after(), QuotaStatus::NEVER),
            }
        }
    }

    #[test]
    fn a_retry_succeeds_after_retry_after_and_not_before(
        sliding: bool,
        count in 1..300u32,
        secs in 1..100u64,
        requests in requests(),
    ) {
        let period = Duration::from_secs(secs);
        let quota = if sliding { Quota::sliding(count, period) } else { Quota::new(count, period) };
        let quota = quota.unwrap();
        let take = policy(&quota);
        let (mut state, mut now) = (0, START);
        for (pause, cost) in requests {
            now += pause;
            let (next, status) = take(state, &quota, now, cost);
            state = next;
            let retry = status.retry_after();
            if retry != Duration::ZERO && retry != QuotaStatus::NEVER {
                let then = now + nanos(retry);
                prop_assert!(take(state, &quota, then, cost).1.is_allowed());
                prop_assert!(!take(state, &quota, then - 1, cost).1.is_allowed());
            }
            let reset = now + nanos(status.reset_after());
            prop_assert_eq!(take(state, &quota, reset, 0).1.remaining(), count);
        }
    }

    #[test]
    fn remaining_is_currently_available(
        sliding: bool,
        count in 1..300u32,
        requests in requests(),
    ) {
        let period = Duration::from_secs(60);
        let quota = if sliding { Quota::sliding(count, period) } else { Quota::new(count, period) };
        let quota = quota.unwrap();
        let take = policy(&quota);
        let (mut state, mut now) = (0, START);
        for (pause, cost) in requests {
            now += pause;
            let (next, status) = take(state, &quota, now, cost);
            state = next;
            if status.remaining() > 0 {
                prop_assert!(take(state, &quota, now, status.remaining()).1.is_allowed());
            }
            prop_assert!(!take(state, &quota, now, status.remaining() + 1).1.is_allowed());
        }
    }

    #[test]
    fn gcra_allows_at_most_burst_and_count_in_any_period(
        count in 1..200u32,
        burst in 1..50u32,
        requests in requests(),
    ) {
        let quota = Quota::per_minute(count).burst(burst);
        let allowed = allowed(&quota, requests);
        for (from, _) in &allowed {
            let most = in_any(&allowed, *from, 60 * SECOND);
            prop_assert!(most <= count + burst);
        }
    }

    #[test]
    fn a_sliding_window_stays_within_its_documented_error(
        count in 1..100u32,
        requests in requests(),
    ) {
        let period = Duration::from_secs(30);
        let quota = Quota::sliding(count, period).unwrap();
        let allowed = allowed(&quota, requests);
        for (from, _) in &allowed {
            let aligned = from - from % nanos(period);
            prop_assert!(in_any(&allowed, aligned, nanos(period)) <= count);
            prop_assert!(in_any(&allowed, *from, nanos(period)) < 2 * count.max(1) + 1);
        }
    }
}

/// The times and costs of allowed requests.
fn allowed(quota: &Quota, requests: Vec<(u64, u32)>) -> Vec<(u64, u32)> {
    let (mut state, mut now) = (0, START);
    let mut allowed = Vec::new();
    for (pause, cost) in requests {
        now += pause;
        let (next, status) = policy(quota)(state, quota, now, cost);
        state = next;
        if status.is_allowed() {
            allowed.push((now, cost));
        }
    }
    allowed
}

/// The total cost that was allowed in this interval.
fn in_any(allowed: &[(u64, u32)], from: u64, nanos: u64) -> u32 {
    let within = |&&(at, _): &&(u64, u32)| at >= from && at < from + nanos;
    allowed.iter().filter(within).map(|(_, cost)| cost).sum()
}

#[test]
fn a_sliding_window_does_not_slow_a_steady_stream() {
    let quota = Quota::sliding(60, Duration::from_secs(60)).unwrap();
    let mut state = 0;
    // A little slower than the limit, since fractions of a request round up.
    for request in 0..1_000 {
        let now = START + request * SECOND * 103 / 100;
        let (next, status) = sliding::take(state, &quota, now, 1);
        assert!(status.is_allowed(), "request {request}");
        state = next;
    }
}
