//! Tests of the store over a limiter of governor: what it decides, and what it cannot decide.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{net::IpAddr, num::NonZeroU32, sync::Arc, time::Duration};

use governor::{
    RateLimiter, clock::FakeRelativeClock, middleware::StateInformationMiddleware,
    state::keyed::DefaultKeyedStateStore,
};
use http::Request;
use proptest::prelude::*;
use stockade_core::{
    client::PeerAddr,
    clock::Timestamp,
    guard::{Check, Guard, Head},
};
use stockade_rate_limit::{
    GovernorLimitStore, KeyExtractor, Limit, LimitStore, Limits, MemoryLimitStore, OwnedBucket,
    Quota, QuotaStatus, RateLimit, StoreError, StoreErrorKind, StoreReply,
};
use stockade_testkit::{FakeClock, limit_store};

const START: Timestamp = Timestamp::from_secs(1_700_000_000);

type Keys<K> = DefaultKeyedStateStore<K>;
type Limiter<K> = RateLimiter<K, Keys<K>, FakeRelativeClock, StateInformationMiddleware>;
type Store = GovernorLimitStore<String, Keys<String>, FakeRelativeClock>;

fn theirs(quota: Quota) -> governor::Quota {
    governor::Quota::with_period(quota.interval())
        .unwrap()
        .allow_burst(NonZeroU32::new(quota.max_burst()).unwrap())
}

fn store(quota: Quota) -> (Store, FakeRelativeClock) {
    let clock = FakeRelativeClock::default();
    // Times are subtracted from it, and saturate at 0.
    clock.advance(Duration::from_secs(86_400));
    let limiter = Limiter::new(theirs(quota), Default::default(), clock.clone());
    let store = GovernorLimitStore::new(limiter, |key| key.text().into_owned());
    (store, clock)
}

fn take(store: &impl LimitStore, buckets: &[OwnedBucket]) -> Result<Vec<QuotaStatus>, StoreError> {
    let buckets: Vec<_> = buckets.iter().map(OwnedBucket::as_bucket).collect();
    match store.take(&buckets) {
        StoreReply::Ready(decision) => decision.map(|decision| decision.statuses().to_vec()),
        StoreReply::Wait(_) => panic!("the store waits"),
    }
}

#[tokio::test]
async fn upholds_the_contract_of_a_store_with_one_quota() {
    let quota = Quota::per_day(3);
    limit_store::uphold_single(&store(quota).0, quota).await;
}

/// Nanoseconds since the previous request, and its cost.
fn requests() -> impl Strategy<Value = Vec<(u64, u32)>> {
    const SECOND: u64 = 1_000_000_000;
    let pause =
        prop_oneof![3 => Just(0), 3 => 0..SECOND, 2 => 0..10 * SECOND, 1 => 0..200 * SECOND];
    prop::collection::vec((pause, 1..5u32), 1..200)
}

proptest! {
    #[test]
    fn decides_like_the_memory_store(
        count in 1..2_000u32,
        burst in 1..50u32,
        requests in requests(),
    ) {
        let quota = Quota::per_minute(count).burst(burst);
        let clock = FakeClock::at(START);
        let memory = MemoryLimitStore::with_clock(10, clock.clone());
        let (store, other_clock) = store(quota);
        for (pause, cost) in requests {
            clock.advance(Duration::from_nanos(pause));
            other_clock.advance(Duration::from_nanos(pause));
            let bucket = [OwnedBucket::new("limit", "a", quota, cost)];
            let expected = take(&memory, &bucket).unwrap()[0];
            let status = take(&store, &bucket).unwrap()[0];
            prop_assert_eq!(status.retry_after(), expected.retry_after());
            if expected.retry_after() == QuotaStatus::NEVER {
                prop_assert_eq!(status.remaining(), 0);
            } else {
                prop_assert_eq!(status.remaining(), expected.remaining());
                // governor does not report the fraction of an interval.
                let late = status.reset_after().checked_sub(expected.reset_after()).unwrap();
                prop_assert!(late < quota.interval());
                prop_assert!(status.is_allowed() || late == Duration::ZERO);
            }
        }
    }
}

#[test]
fn shares_the_limiter_with_other_users() {
    let quota = Quota::per_hour(3);
    let clock = FakeRelativeClock::default();
    let limiter = Arc::new(Limiter::new(theirs(quota), Default::default(), clock));
    let store = GovernorLimitStore::new(Arc::clone(&limiter), |key| {
        key.client_ip().expect("the limit counts by address")
    });
    let limit = Limit::new("ip", KeyExtractor::client_ip()).quota(quota);
    let guard = RateLimit::with_store(Limits::new([limit]).unwrap(), store);
    let address: IpAddr = "192.0.2.7".parse().unwrap();
    let passes = || {
        let mut parts = Request::new(()).into_parts().0;
        parts.extensions.insert(PeerAddr::Ip(address));
        matches!(guard.check(&Head::new(parts)), Check::Pass(_))
    };

    assert!(passes());
    assert_eq!(
        limiter
            .check_key(&address)
            .unwrap()
            .remaining_burst_capacity(),
        1
    );
    assert!(passes());
    assert!(limiter.check_key(&address).is_err());
    assert!(!passes());
}

#[test]
fn reports_what_it_cannot_decide() {
    let quota = Quota::per_minute(10);
    let (store, _) = store(quota);
    let bucket = |limit: &str, quota, cost| OwnedBucket::new(limit, "a", quota, cost);
    for (buckets, cause) in [
        (
            vec![bucket("one", quota, 1), bucket("other", quota, 1)],
            "several quotas",
        ),
        (vec![bucket("one", quota, 0)], "a cost of 0"),
        (
            vec![bucket(
                "one",
                Quota::sliding(10, quota.period()).unwrap(),
                1,
            )],
            "sliding windows",
        ),
        (vec![bucket("one", quota.burst(9), 1)], "another quota"),
        (vec![bucket("one", quota.burst(11), 11)], "another quota"),
        (
            vec![bucket("one", Quota::per_minute(11).burst(10), 1)],
            "another quota",
        ),
    ] {
        let error = take(&store, &buckets).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unsupported, "{cause}");
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains(cause), "{source}");
    }
}

#[test]
fn counts_lost_settlements() {
    let quota = Quota::per_minute(10);
    let (store, _) = store(quota);
    let bucket = [OwnedBucket::new("one", "a", quota, 4)];
    assert_eq!(take(&store, &bucket).unwrap()[0].remaining(), 6);
    store.settle(&bucket[0].as_bucket(), -4);
    assert_eq!(store.clone().lost_settlements(), 1);
    assert_eq!(take(&store, &bucket).unwrap()[0].remaining(), 2);
}
