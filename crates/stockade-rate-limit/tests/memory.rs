//! Tests of the memory store: atomic, bounded, and without refills by eviction.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    net::IpAddr,
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use http::Request;
use proptest::prelude::*;
use stockade_core::{
    client::PeerAddr,
    clock::{Clock, Timestamp},
    context::RequestContext,
    guard::{Check, Guard, Head},
};
use stockade_rate_limit::{
    Bucket, Decision, KeyExtractor, Limit, LimitStore, Limits, MemoryLimitStore, OwnedBucket,
    Quota, RateLimit, StoreErrorKind, StoreReply, gcra, sliding,
};
use stockade_testkit::{FakeClock, limit_store};

const START: Timestamp = Timestamp::from_secs(1_700_000_000);

fn store(capacity: usize) -> (MemoryLimitStore, FakeClock) {
    let clock = FakeClock::at(START);
    (MemoryLimitStore::with_clock(capacity, clock.clone()), clock)
}

fn bucket(limit: &str, subject: &str, quota: Quota) -> OwnedBucket {
    OwnedBucket::new(limit, subject, quota, 1)
}

fn take(store: &MemoryLimitStore, buckets: &[&OwnedBucket]) -> Decision {
    let buckets: Vec<Bucket<'_>> = buckets.iter().map(|bucket| bucket.as_bucket()).collect();
    match store.take(&buckets) {
        StoreReply::Ready(decision) => decision.unwrap(),
        StoreReply::Wait(never) => match never {},
    }
}

fn remaining(decision: &Decision) -> Vec<u32> {
    let statuses = decision.statuses().iter();
    statuses.map(|status| status.remaining()).collect()
}

/// A clock that counts its readings. Each request arrives at second 10.
#[derive(Clone, Default)]
struct CountingClock(Arc<AtomicUsize>);

impl Clock for CountingClock {
    fn now(&self) -> Timestamp {
        self.0.fetch_add(1, Ordering::Relaxed);
        Timestamp::from_secs(20)
    }

    fn arrival(&self, _context: &RequestContext) -> Timestamp {
        Timestamp::from_secs(10)
    }
}

#[test]
fn a_request_is_counted_at_its_arrival_without_another_clock_reading() {
    let clock = CountingClock::default();
    let store = MemoryLimitStore::with_clock(8, clock.clone());
    let bucket = bucket("all", "a", Quota::per_second(1));
    let buckets = [bucket.as_bucket()];
    let context = RequestContext::new();
    let StoreReply::Ready(arrived) = store.take_in(&buckets, &context);
    assert!(arrived.unwrap().is_allowed());
    assert_eq!(clock.0.load(Ordering::Relaxed), 0);

    // Ten seconds later by the clock.
    assert!(take(&store, &[&bucket]).is_allowed());
    assert_eq!(clock.0.load(Ordering::Relaxed), 1);
    let StoreReply::Ready(arrived) = store.take_in(&buckets, &context);
    assert!(!arrived.unwrap().is_allowed());
}

/// The head of a request, with a changing address.
struct Client(Head);

impl Client {
    fn new() -> Self {
        Self(Head::new(Request::new(()).into_parts().0))
    }

    fn at(&mut self, number: u32) -> &Head {
        let address = IpAddr::from(number.to_be_bytes());
        let mut parts = Request::new(()).into_parts().0;
        parts.extensions.insert(PeerAddr::Ip(address));
        // A head keeps its context, and so its client.
        self.0 = Head::new(parts);
        &self.0
    }
}

fn by_ip(store: &MemoryLimitStore, quota: Quota) -> RateLimit {
    let limit = Limit::new("ip", KeyExtractor::client_ip()).quota(quota);
    RateLimit::with_store(Limits::new([limit]).unwrap(), store.clone())
}

fn passes(guard: &RateLimit, head: &Head) -> bool {
    matches!(guard.check(head), Check::Pass(_))
}

#[tokio::test]
async fn upholds_the_limit_store_contract() {
    let (store, _clock) = store(1_000);
    limit_store::uphold(&store).await;
}

#[test]
fn debits_all_buckets_or_none() {
    let (store, _) = store(100);
    let wide = bucket("wide", "a", Quota::per_minute(10));
    let narrow = bucket("narrow", "a", Quota::per_minute(2));
    let other = bucket(
        "other",
        "a",
        Quota::sliding(10, Duration::from_secs(60)).unwrap(),
    );
    assert_eq!(
        remaining(&take(&store, &[&wide, &narrow, &other])),
        [9, 1, 9]
    );
    assert_eq!(
        remaining(&take(&store, &[&narrow, &other, &wide])),
        [0, 8, 8]
    );
    let refused = take(&store, &[&wide, &narrow, &other]);
    assert!(!refused.is_allowed());
    assert_eq!(remaining(&refused), [8, 0, 8]);
    let allows: Vec<_> = refused
        .statuses()
        .iter()
        .map(|status| status.is_allowed())
        .collect();
    assert_eq!(allows, [true, false, true]);
    // The refused request debited nothing.
    assert_eq!(remaining(&take(&store, &[&wide, &other])), [7, 7]);
}

#[test]
fn counts_keys_and_quotas_separately() {
    let (store, _) = store(100);
    let minute = Quota::per_minute(1);
    for (limit, subject, quota) in [
        ("one", "a", minute),
        ("one", "b", minute),
        ("two", "a", minute),
        ("one", "a", Quota::per_hour(1)),
        (
            "one",
            "a",
            Quota::sliding(1, Duration::from_secs(60)).unwrap(),
        ),
    ] {
        let bucket = bucket(limit, subject, quota);
        assert!(
            take(&store, &[&bucket]).is_allowed(),
            "{limit} {subject} {quota}"
        );
        assert!(
            !take(&store, &[&bucket]).is_allowed(),
            "{limit} {subject} {quota}"
        );
    }
}

#[test]
fn a_changed_count_keeps_the_usage() {
    let (store, _) = store(100);
    for _ in 0..30 {
        assert!(take(&store, &[&bucket("ip", "a", Quota::per_minute(60))]).is_allowed());
    }
    // Half of the quota per minute is used up.
    let more = take(&store, &[&bucket("ip", "a", Quota::per_minute(600))]);
    assert_eq!(remaining(&more), [299]);
    let fewer = take(&store, &[&bucket("ip", "a", Quota::per_minute(6))]);
    assert_eq!(remaining(&fewer), [1]);
}

#[test]
fn settles_the_reserved_bucket() {
    let (store, _) = store(100);
    let budget = OwnedBucket::new("tokens", "a", Quota::per_minute(1_000), 800);
    assert_eq!(remaining(&take(&store, &[&budget])), [200]);
    store.settle(&budget.as_bucket(), -700);
    assert_eq!(remaining(&take(&store, &[&budget])), [100]);
    // More was used than reserved, which is a debt.
    store.settle(&budget.as_bucket(), 500);
    let one = bucket("tokens", "a", Quota::per_minute(1_000));
    let refused = take(&store, &[&one]);
    assert_eq!(remaining(&refused), [0]);
    let interval = Duration::from_millis(60);
    assert_eq!(refused.statuses()[0].retry_after(), 401 * interval);
}

// R09
#[test]
fn threads_never_exceed_a_quota() {
    const THREADS: usize = 8;
    let (store, _) = store(1_000);
    let rounds: Vec<_> = (0..100)
        .map(|round| bucket("race", &round.to_string(), Quota::per_hour(100)))
        .collect();
    let barrier = Barrier::new(THREADS);
    let passed: Vec<_> = rounds.iter().map(|_| AtomicUsize::new(0)).collect();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for (bucket, passed) in rounds.iter().zip(&passed) {
                    barrier.wait();
                    for _ in 0..1_000 / THREADS {
                        if take(&store, &[bucket]).is_allowed() {
                            passed.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    for passed in passed {
        assert_eq!(passed.into_inner(), 100);
    }
}

// R09
#[test]
fn locks_the_same_buckets_in_any_order_without_deadlock() {
    let (store, _) = store(10);
    let lanes: Vec<_> = (0..4)
        .map(|quota_id| bucket(&format!("lane {quota_id}"), "a", Quota::per_hour(1_000)))
        .collect();
    let passed = AtomicUsize::new(0);
    thread::scope(|scope| {
        for first in 0..4 {
            let (store, lanes, passed) = (&store, &lanes, &passed);
            scope.spawn(move || {
                let mut order: Vec<_> = lanes.iter().collect();
                order.rotate_left(first);
                for _ in 0..1_000 {
                    let allowed = take(store, &order).is_allowed();
                    passed.fetch_add(usize::from(allowed), Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(passed.into_inner(), 1_000);
}

#[test]
#[should_panic(expected = "have different quota ids")]
fn two_buckets_of_one_quota_panic_instead_of_deadlocking() {
    let (store, _) = store(10);
    let quota = Quota::per_hour(1_000);
    take(
        &store,
        &[&bucket("ip", "a", quota), &bucket("ip", "a", quota)],
    );
}

// R06
#[test]
fn a_flood_refills_no_key_and_stays_within_its_memory() {
    // Without optimisation, five million take too long.
    const FLOOD: u32 = if cfg!(debug_assertions) {
        1_000_000
    } else {
        5_000_000
    };
    const DEFAULT_CAPACITY: usize = FLOOD as usize / 100;
    let (store, clock) = store(DEFAULT_CAPACITY);
    let guard = by_ip(&store, Quota::per_hour(10));
    let mut client = Client::new();
    let offenders = 0..100u32;
    for offender in offenders.clone() {
        while passes(&guard, client.at(offender)) {}
    }
    for address in 0..FLOOD {
        // As many new clients as the capacity arrive every six minutes.
        if address % DEFAULT_CAPACITY as u32 == 0 {
            clock.advance(Duration::from_millis(3_500));
        }
        // New clients use up their quota, so that the offenders have the lowest debts.
        while passes(&guard, client.at(0x0a00_0000 + address)) {}
    }
    // 350 seconds have passed; each offender would have been refused before 360.
    for offender in offenders {
        assert!(
            !passes(&guard, client.at(offender)),
            "{offender} was refilled"
        );
    }
    assert!(store.bytes() <= store.max_bytes());
    let usual = MemoryLimitStore::default();
    assert!(usual.max_bytes() <= 24 * MemoryLimitStore::DEFAULT_CAPACITY);
}

#[test]
fn slow_new_clients_are_never_refused() {
    let (store, clock) = store(10_000);
    let guard = by_ip(&store, Quota::per_minute(10));
    let mut client = Client::new();
    for address in 0..50_000 {
        // Each is evicted after six seconds, in which 6,000 arrive.
        clock.advance(Duration::from_millis(1));
        assert!(passes(&guard, client.at(address)), "client {address}");
    }
}

#[test]
fn keeps_as_many_keys_as_its_capacity() {
    let (store, _) = store(1_000_000);
    let guard = by_ip(&store, Quota::per_hour(1));
    let mut client = Client::new();
    for address in 0..10_000 {
        assert!(passes(&guard, client.at(address)));
    }
    for address in 0..10_000 {
        assert!(!passes(&guard, client.at(address)));
    }
}

#[test]
fn one_quota_too_many_is_an_error_until_others_are_evicted() {
    let (store, clock) = store(10);
    for quota_id in 0..MemoryLimitStore::MAX_QUOTAS {
        let bucket = bucket(&quota_id.to_string(), "a", Quota::per_second(1));
        assert!(take(&store, &[&bucket]).is_allowed());
    }
    let one_more = bucket("more", "a", Quota::per_second(1));
    let StoreReply::Ready(Err(error)) = store.take(&[one_more.as_bucket()]) else {
        panic!("there is no room for one more");
    };
    assert_eq!(error.kind(), StoreErrorKind::Full);
    clock.advance(Duration::from_secs(3));
    assert!(take(&store, &[&one_more]).is_allowed());
}

#[derive(Clone, Copy, Debug)]
enum Operation {
    Pause {
        millis: u64,
    },
    Take {
        subject: usize,
        first: u32,
        second: u32,
    },
    Settle {
        subject: usize,
        delta: i64,
    },
}

#[test]
fn an_evicted_quota_that_returns_is_a_single_quota() {
    let (store, clock) = store(10);
    let quota = Quota::per_minute(2);
    let known = bucket("known", "a", quota);
    assert_eq!(remaining(&take(&store, &[&known])), [1]);
    let alone = store.bytes();
    clock.advance(Duration::from_secs(3_600));
    for number in 0..MemoryLimitStore::MAX_QUOTAS {
        take(&store, &[&bucket(&number.to_string(), "a", quota)]);
    }
    clock.advance(Duration::from_secs(3_600));
    // An old and a new reference to the quota count together.
    assert_eq!(remaining(&take(&store, &[&known])), [1]);
    assert_eq!(
        remaining(&take(&store, &[&bucket("known", "a", quota)])),
        [0]
    );
    assert!(!take(&store, &[&known]).is_allowed());
    // It returns with its memory, and made room by evicting others.
    assert_eq!(store.bytes(), alone);
}

#[test]
fn stores_count_the_same_quota_separately() {
    let ((first, _), (second, _)) = (store(10), store(10));
    let bucket = bucket("both", "a", Quota::per_minute(2));
    for left in [1, 0] {
        for store in [&first, &second] {
            assert_eq!(remaining(&take(store, &[&bucket])), [left]);
        }
    }
    assert!(!take(&first, &[&bucket]).is_allowed());
    assert!(!take(&second, &[&bucket]).is_allowed());
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let subject = 0..3usize;
    let operation = prop_oneof![
        1 => (0..40_000u64).prop_map(|millis| Operation::Pause { millis }),
        4 => (subject.clone(), 0..4u32, 0..4u32)
            .prop_map(|(subject, first, second)| Operation::Take { subject, first, second }),
        1 => (subject, -5..10i64)
            .prop_map(|(subject, delta)| Operation::Settle { subject, delta }),
    ];
    prop::collection::vec(operation, 1..200)
}

proptest! {
    #[test]
    fn decides_like_the_pure_policies(operations in operations()) {
        let (store, clock) = store(100);
        let first = Quota::per_minute(30).burst(10);
        let second = Quota::sliding(20, Duration::from_secs(60)).unwrap();
        let mut states = [(0, 0); 3];
        let mut now = START;
        for operation in operations {
            match operation {
                Operation::Pause { millis } => {
                    now = now + Duration::from_millis(millis);
                    clock.set(now);
                }
                Operation::Take { subject, first: one, second: two } => {
                    let name = subject.to_string();
                    let decision = take(&store, &[
                        &OwnedBucket::new("first", &name, first, one),
                        &OwnedBucket::new("second", &name, second, two),
                    ]);
                    let state = &mut states[subject];
                    let (a, one) = gcra::take(state.0, &first, now.as_nanos(), one);
                    let (b, two) = sliding::take(state.1, &second, now.as_nanos(), two);
                    prop_assert_eq!(decision.is_allowed(), one.is_allowed() && two.is_allowed());
                    if decision.is_allowed() {
                        *state = (a, b);
                        prop_assert_eq!(decision.statuses(), [one, two]);
                    }
                }
                Operation::Settle { subject, delta } => {
                    let bucket = bucket("first", &subject.to_string(), first);
                    store.settle(&bucket.as_bucket(), delta);
                    let state = &mut states[subject].0;
                    *state = gcra::settle(*state, &first, now.as_nanos(), delta);
                }
            }
        }
    }
}
