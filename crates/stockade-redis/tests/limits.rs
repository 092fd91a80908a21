//! Decisions by a real Redis.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use stockade_rate_limit::{OwnedBucket, Quota};
use stockade_redis::RedisLimits;
use support::{Server, connect, take};

#[tokio::test]
async fn counts_all_quotas_of_a_request_or_none() {
    let server = Server::start();
    let store = RedisLimits::new(&connect(&server).await);
    let request = [
        OwnedBucket::new("ip", "a", Quota::per_hour(5), 1),
        OwnedBucket::new("ip", "a", Quota::sliding(3, Duration::from_secs(86_400)).unwrap(), 1),
    ];
    for left in [2, 1, 0] {
        let decision = take(&store, &request).await.unwrap();
        assert!(decision.allows());
        assert_eq!(decision.levels()[1].remaining(), left);
    }
    for _ in 0..3 {
        let refused = take(&store, &request).await.unwrap();
        assert!(!refused.allows());
        let left: Vec<_> = refused.levels().iter().map(|level| level.remaining()).collect();
        assert_eq!(left, [2, 0]);
    }
}

// R15
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_let_in_exactly_what_one_would() {
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
            take(&store, &*request).await.unwrap().allows()
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
async fn leases_let_in_no_more_and_strand_no_more_than_their_size() {
    const SIZE: NonZeroU32 = NonZeroU32::new(7).unwrap();
    let server = Server::start();
    let stores = [
        RedisLimits::with_leases(&connect(&server).await, SIZE),
        RedisLimits::with_leases(&connect(&server).await, SIZE),
    ];
    let request = [OwnedBucket::new("all", "all", Quota::per_day(100), 1)];
    let mut passed = 0;
    for index in 0..1_000 {
        passed += u32::from(take(&stores[index % 2], &request).await.unwrap().allows());
        let leased: u64 = stores.iter().map(|store| store.stats().leased).sum();
        assert!(leased <= 2 * 7);
    }
    // One of them may hold what the other was refused.
    assert!((100 - 7..=100).contains(&passed), "{passed}");
}
