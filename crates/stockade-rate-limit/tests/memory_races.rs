//! The store of one process under threads that want the same places at once.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{sync::Barrier, thread, time::Duration};

use stockade_core::clock::Timestamp;
use stockade_rate_limit::{Bucket, LimitStore, MemoryLimitStore, OwnedBucket, Quota, StoreReply};
use stockade_testkit::FakeClock;

/// A store whose time stands still: who is refused stays refused.
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

/// How often all of these threads were let in by these buckets, each until it is refused.
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
fn requests_with_one_bucket_and_with_several_take_exactly_what_there_is() {
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
        // A request that one refuses takes nothing from the other, not for a moment either.
        let both = passed[0] + passed[1];
        assert_eq!(both + passed[2], 4_000, "{passed:?}");
        assert_eq!(both + passed[3], 2_000, "{passed:?}");
    }
}
