//! Any operations at any times, in a store that is much too small: nobody ever gets more
//! than the bare policy would give it.

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
use stockade_core::{Clock, Timestamp};
use stockade_rate_limit::{
    Answer, Level, LimitStore, MemoryLimitStore, OwnedBucket, Quota, gcra, sliding,
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
    /// In 1/64 s, so that all of them together are less than 2^23 windows.
    Pause {
        ticks: u16,
    },
    /// So many subjects in a row; there are more of them than places.
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

type Take = fn(u64, &Quota, u64, u32) -> (u64, Level);
type Settle = fn(u64, &Quota, u64, i64) -> u64;

const SUBJECTS: u16 = 4_096;

#[derive(Clone)]
struct Hands(Arc<AtomicU64>);

impl Clock for Hands {
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
    let clock = Hands(Arc::new(AtomicU64::new(1_700_000_000_000_000_000)));
    // The smallest store there is has about a thousand places.
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
                    let Answer::Ready(Ok(decision)) = store.take(&[bucket.as_bucket()]) else {
                        panic!("a store in memory decides at once");
                    };
                    let state = &mut states[usize::from(subject)];
                    let (next, level) = take(*state, &quota, now, cost.into());
                    if decision.allows() {
                        assert!(level.allows(), "{subject} got more than there is");
                        assert!(decision.levels()[0].remaining() <= level.remaining());
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
