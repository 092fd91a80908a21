//! Tests of decisions by a real Redis.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, Instant},
};

use stockade_rate_limit::{LimitStore, OwnedBucket, Quota, StoreErrorKind, StoreReply};
use stockade_redis::RedisLimits;
use stockade_testkit::{limit_store, poll::until_async};
use support::{Server, connect, take};

#[tokio::test]
async fn upholds_the_limit_store_contract() {
    let server = Server::start();
    let redis = connect(&server).await;
    limit_store::uphold(&RedisLimits::new(&redis)).await;
}

// FC02
#[tokio::test]
async fn sends_nothing_for_requests_without_buckets() {
    let server = Server::start();
    let redis = connect(&server).await;
    let down = stockade_redis::Redis::connect(
        stockade_redis::RedisConfig::new("redis://127.0.0.1:1").unwrap(),
    )
    .unwrap();
    let leases = NonZeroU32::new(7).unwrap();
    for store in [
        RedisLimits::new(&redis),
        RedisLimits::with_leases(&redis, leases),
        RedisLimits::new(&down),
    ] {
        let decision = take(&store, &[]).await.unwrap();
        assert!(decision.is_allowed() && decision.statuses().is_empty());
    }
}

#[tokio::test]
async fn debits_all_quotas_or_none() {
    let server = Server::start();
    let store = RedisLimits::new(&connect(&server).await);
    let request = [
        OwnedBucket::new("ip", "a", Quota::per_hour(5), 1),
        OwnedBucket::new(
            "ip",
            "a",
            Quota::sliding(3, Duration::from_secs(86_400)).unwrap(),
            1,
        ),
    ];
    for left in [2, 1, 0] {
        let decision = take(&store, &request).await.unwrap();
        assert!(decision.is_allowed());
        assert_eq!(decision.statuses()[1].remaining(), left);
    }
    for _ in 0..3 {
        let refused = take(&store, &request).await.unwrap();
        assert!(!refused.is_allowed());
        let left: Vec<_> = refused
            .statuses()
            .iter()
            .map(|status| status.remaining())
            .collect();
        assert_eq!(left, [2, 0]);
    }
}

// R15
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_allow_exactly_as_much_as_one() {
    let server = Server::start();
    let stores = [
        RedisLimits::new(&connect(&server).await),
        RedisLimits::new(&connect(&server).await),
    ];
    let request = Arc::new([OwnedBucket::new("all", "all", Quota::per_day(100), 1)]);
    let mut tasks = Vec::new();
    for index in 0..1_000 {
        let (store, request) = (stores[index % 2].clone(), Arc::clone(&request));
        tasks.push(tokio::spawn(async move {
            take(&store, &*request).await.unwrap().is_allowed()
        }));
    }
    let mut passed = 0;
    for task in tasks {
        passed += u32::from(task.await.unwrap());
    }
    assert_eq!(passed, 100);
}

// R15
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_never_exceed_the_quota_and_strand_at_most_their_size() {
    const SIZE: NonZeroU32 = NonZeroU32::new(7).unwrap();
    let server = Server::start();
    let stores = [
        RedisLimits::with_leases(&connect(&server).await, SIZE),
        RedisLimits::with_leases(&connect(&server).await, SIZE),
    ];
    let request = [OwnedBucket::new("all", "all", Quota::per_day(100), 1)];
    let mut passed = 0;
    for index in 0..1_000 {
        passed += u32::from(
            take(&stores[index % 2], &request)
                .await
                .unwrap()
                .is_allowed(),
        );
        let leased: u64 = stores.iter().map(|store| store.stats().leased).sum();
        assert!(leased <= 2 * 7);
    }
    // One of them may hold what the other was refused.
    assert!((100 - 7..=100).contains(&passed), "{passed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unspent_leases_are_returned() {
    let server = Server::start();
    let redis = connect(&server).await;
    let leases = RedisLimits::with_leases(&redis, NonZeroU32::new(10).unwrap());
    let strict = RedisLimits::new(&redis);
    let request = [OwnedBucket::new("all", "all", Quota::per_day(100), 1)];
    let mut passed = 0;
    while leases.stats().leased < 5 {
        passed += u32::from(take(&leases, &request).await.unwrap().is_allowed());
        assert!(passed < 50, "no lease was made");
    }
    until_async("no lease is followed", async || {
        leases.stats().followed == 0
    })
    .await;
    // The call that returns the lease is in flight, without a completion signal.
    until_async("all are spent", async || {
        passed += u32::from(take(&strict, &request).await.unwrap().is_allowed());
        passed == 100
    })
    .await;
    assert!(!take(&strict, &request).await.unwrap().is_allowed());
}

/// While a smaller quota is rolled out, processes have different quotas for one bucket.
#[tokio::test]
async fn a_smaller_quota_forgives_no_debt_of_a_larger_one() {
    let server = Server::start();
    let replicas = [
        RedisLimits::new(&connect(&server).await),
        RedisLimits::new(&connect(&server).await),
    ];
    let before = [OwnedBucket::new("all", "all", Quota::per_day(100), 1)];
    let after = [OwnedBucket::new(
        "all",
        "all",
        Quota::per_day(100).burst(10),
        1,
    )];
    let mut passed = 0;
    for _ in 0..120 {
        passed += u32::from(take(&replicas[0], &before).await.unwrap().is_allowed());
        if passed > 10 {
            assert!(!take(&replicas[1], &after).await.unwrap().is_allowed());
        }
    }
    assert_eq!(passed, 100);
    // Nor does a settlement.
    for delta in [1, -1] {
        replicas[1].settle(&after[0].as_bucket(), delta);
    }
    for _ in 0..3 {
        assert!(!take(&replicas[1], &after).await.unwrap().is_allowed());
        assert!(!take(&replicas[0], &before).await.unwrap().is_allowed());
    }
}

#[tokio::test]
async fn settles_the_actual_usage() {
    let server = Server::start();
    let store = RedisLimits::new(&connect(&server).await);
    let request = [OwnedBucket::new("tokens", "a", Quota::per_day(100), 60)];
    assert!(take(&store, &request).await.unwrap().is_allowed());
    assert!(!take(&store, &request).await.unwrap().is_allowed());
    store.settle(&request[0].as_bucket(), -20);
    let decision = take(&store, &request).await.unwrap();
    assert!(decision.is_allowed());
    assert_eq!(decision.statuses()[0].remaining(), 0);
    assert_eq!(store.stats().dropped, 0);
}

#[tokio::test]
async fn every_key_expires() {
    let server = Server::start();
    let store = RedisLimits::with_leases(&connect(&server).await, NonZeroU32::MIN);
    let request = [
        OwnedBucket::new("ip", "a", Quota::per_hour(50), 1),
        OwnedBucket::new(
            "key",
            "a",
            Quota::sliding(9, Duration::from_secs(60)).unwrap(),
            1,
        ),
    ];
    for taken in 1..=9 {
        take(&store, &request).await.unwrap();
        let keys: Vec<String> = server.run(&["KEYS", "*"]);
        assert_eq!(keys.len(), 2);
        for key in keys {
            let life: i64 = server.run(&["PTTL", &key]);
            // Until the bucket is full or the next window has ended, and as long again. One
            // permit may be leased, and the test may have been waiting for a minute.
            let needed = match key.contains(":ip/") {
                true => taken * 72_000 - 60_000..=(taken + 1) * 144_000 + 10,
                false => 1..=240_000,
            };
            assert!(needed.contains(&life), "{key} {life}");
        }
    }
}

#[tokio::test]
async fn a_bucket_that_is_in_use_does_not_expire() {
    let server = Server::start();
    let store = RedisLimits::new(&connect(&server).await);
    // A permit a second: the first key lives for two.
    let request = [OwnedBucket::new("ip", "a", Quota::per_minute(60), 1)];
    let start = Instant::now();
    let mut allowed = 0;
    while start.elapsed() < Duration::from_secs(4) {
        allowed += u64::from(take(&store, &request).await.unwrap().is_allowed());
        // Sleeps: keys expire by the clock of Redis.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let most = 60 + start.elapsed().as_secs() + 1;
    assert!((60..=most).contains(&allowed), "{allowed}");
}

#[tokio::test]
async fn a_full_queue_fails_immediately() {
    let server = Server::start();
    let store = RedisLimits::new(&connect(&server).await);
    let request = [OwnedBucket::new("all", "all", Quota::per_day(100), 1)];
    // On a single-threaded runtime, nothing is sent before this task waits.
    let asked: Vec<_> = (0..5_000)
        .map(|_| store.take(&[request[0].as_bucket()]))
        .collect();
    let busy = asked.iter().filter(|answer| {
        matches!(answer, StoreReply::Ready(Err(error)) if error.kind() == StoreErrorKind::Busy)
    });
    assert_eq!(busy.count(), 5_000 - 4_096);
}
