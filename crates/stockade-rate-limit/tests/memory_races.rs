//! Tests of the memory store with threads that contend for the same slots.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{sync::Barrier, thread, time::Duration};

use stockade_core::clock::Timestamp;
use stockade_rate_limit::{Bucket, LimitStore, MemoryLimitStore, OwnedBucket, Quota, StoreReply};
use stockade_testkit::FakeClock;

/// A store whose clock stands still, so that refusals are final.
fn store() -> MemoryLimitStore {
    let clock = FakeClock::at(Timestamp::from_secs(1_700_000_000));
    MemoryLimitStore::with_clock(1_000, clock)
}

fn bucket(limit: &str, subject: &str, quota: Quota) -> OwnedBucket {
    OwnedBucket::new(limit, subject, quota, 1)
}

fn allows(store: &MemoryLimitStore, buckets: &[&OwnedBucket]) -> bool {
    let buckets: Vec<Bucket<'_>> = buckets.iter().map(|bucket| bucket.as_bucket()).collect();
    match store.take(&buckets) {
        StoreReply::Ready(decision) => decision.unwrap().is_allowed(),
        StoreReply::Wait(never) => match never {},
    }
}

/// Counts how often these threads were allowed by these buckets, each until it is refused.
fn exhaust(store: &MemoryLimitStore, threads: &[&[&OwnedBucket]]) -> Vec<u32> {
    let barrier = Barrier::new(threads.len());
    thread::scope(|scope| {
        let threads: Vec<_> = threads
            .iter()
            .map(|buckets| {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    let mut passed = 0;
                    while allows(store, buckets) {
                        passed += 1;
                    }
                    passed
                })
            })
            .collect();
        let passed = threads.into_iter().map(|thread| thread.join().unwrap());
        passed.collect()
    })
}

// R09
#[test]
fn single_and_stacked_buckets_together_never_exceed_a_quota() {
    let (hour, window) = (
        Quota::per_hour(4_000),
        Quota::sliding(2_000, Duration::from_secs(3_600)).unwrap(),
    );
    let store = store();
    for round in 0..20 {
        let subject = round.to_string();
        let wide = bucket("wide", &subject, hour);
        let narrow = bucket("narrow", &subject, window);
        let passed = exhaust(
            &store,
            &[&[&wide, &narrow], &[&narrow, &wide], &[&wide], &[&narrow]],
        );
        // A request that one bucket refuses debits the other at no time.
        let both = passed[0] + passed[1];
        assert_eq!(both + passed[2], 4_000, "{passed:?}");
        assert_eq!(both + passed[3], 2_000, "{passed:?}");
    }
}
