//! Arbitrary operations at arbitrary times in a store that is too small: no subject ever gets
//! more than the policy alone would allow.

#![no_main]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};
use stockade_core::clock::{Clock, Timestamp};
use stockade_rate_limit::{
    LimitStore, MemoryLimitStore, OwnedBucket, Quota, QuotaStatus, StoreReply, gcra, sliding,
};

#[derive(Arbitrary, Debug)]
struct Operations {
    count: u16,
    burst: u16,
    secs: u16,
    sliding: bool,
    all: Vec<Operation>,
}

#[derive(Arbitrary, Debug)]
enum Operation {
    /// Advances the clock by units of 1/64 s, so that all pauses together are less than 2^23
    /// windows.
    Pause {
        ticks: u16,
    },
    /// Debits consecutive subjects; there are more subjects than slots in the store.
    Take {
        first: u16,
        subjects: u8,
        cost: u8,
    },
    Settle {
        subject: u16,
        delta: i16,
    },
}

type Take = fn(u64, &Quota, u64, u32) -> (u64, QuotaStatus);
type Settle = fn(u64, &Quota, u64, i64) -> u64;

const SUBJECTS: u16 = 4_096;

#[derive(Clone)]
struct SharedClock(Arc<AtomicU64>);

impl Clock for SharedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

fuzz_target!(|operations: Operations| {
    let period = Duration::from_secs(operations.secs.into());
    let quota = match operations.sliding {
        true => Quota::sliding(operations.count.into(), period),
        false => Quota::new(operations.count.into(), period)
            .and_then(|quota| quota.try_burst(operations.burst.into())),
    };
    let Ok(quota) = quota else {
        return;
    };
    let (take, settle): (Take, Settle) = match operations.sliding {
        true => (sliding::take, sliding::settle),
        false => (gcra::take, gcra::settle),
    };
    let clock = SharedClock(Arc::new(AtomicU64::new(1_700_000_000_000_000_000)));
    // The smallest store has about 1,000 slots.
    let store = MemoryLimitStore::with_clock(1, clock.clone());
    let mut states = [0; SUBJECTS as usize];
    let bucket = |subject: u16, cost| OwnedBucket::new("limit", &subject.to_string(), quota, cost);
    for operation in operations.all {
        let now = clock.now().as_nanos();
        match operation {
            Operation::Pause { ticks } => {
                clock
                    .0
                    .fetch_add(u64::from(ticks) * 15_625_000, Ordering::Relaxed);
            }
            Operation::Take {
                first,
                subjects,
                cost,
            } => {
                for subject in 0..=u16::from(subjects) {
                    let subject = first.wrapping_add(subject) % SUBJECTS;
                    let bucket = bucket(subject, cost.into());
                    let StoreReply::Ready(Ok(decision)) = store.take(&[bucket.as_bucket()]) else {
                        panic!("a memory store decides immediately");
                    };
                    let state = &mut states[usize::from(subject)];
                    let (next, status) = take(*state, &quota, now, cost.into());
                    if decision.is_allowed() {
                        assert!(status.is_allowed(), "{subject} exceeded the quota");
                        assert!(decision.statuses()[0].remaining() <= status.remaining());
                        *state = next;
                    }
                }
            }
            Operation::Settle { subject, delta } => {
                let subject = subject % SUBJECTS;
                store.settle(&bucket(subject, 1).as_bucket(), delta.into());
                let state = &mut states[usize::from(subject)];
                *state = settle(*state, &quota, now, delta.into());
            }
        }
    }
    assert!(store.bytes() <= store.max_bytes());
});
