//! Tests of the script against the memory store: the same calls, the same decisions.

#[path = "../../tests/support/server.rs"]
#[allow(dead_code, unreachable_pub, reason = "other tests need the rest")]
mod server;

use std::{
    cell::RefCell,
    time::{Duration, Instant},
};

use proptest::prelude::*;
use redis::{Client, Connection, Script};
use stockade_core::clock::Timestamp;
use stockade_rate_limit::{
    Decision, LimitStore, MemoryLimitStore, OwnedBucket, Quota, StoreReply, gcra,
};
use stockade_testkit::FakeClock;
use tokio::sync::oneshot;

use super::{
    call::{BucketCall, LeaseCall, PendingCall},
    lease::{LIFETIME, TERM},
    wire::{self, CallOutcome},
};
use crate::Namespace;
use server::Server;

/// The start of the tests, in microseconds.
const START: u64 = 1_800_000_000_000_000;

/// Operations, with numbers that select keys and quotas.
#[derive(Clone, Debug)]
enum Step {
    Advance(u64),
    Take(Vec<(u8, u8, u32)>),
    Settle(u8, u8, i64),
}

fn step() -> impl Strategy<Value = Step> {
    let day = 86_400_000_000_u64;
    let time = prop_oneof![
        0..2_000_000_u64,
        0..7_200_000_000_u64,
        0..3 * day,
        300 * day..600 * day,
    ];
    let cost = prop_oneof![4 => Just(1), 1 => Just(0), 3 => 0..12_u32, 1 => any::<u32>()];
    let take = (0..2_u8, 0..QUOTAS as u8, cost);
    let delta = prop_oneof![-20..20_i64, any::<i64>()];
    prop_oneof![
        2 => time.prop_map(Step::Advance),
        6 => prop::collection::vec(take, 1..4).prop_map(Step::Take),
        1 => (0..2_u8, 0..QUOTAS as u8, delta).prop_map(|(a, b, c)| Step::Settle(a, b, c)),
    ]
}

const QUOTAS: usize = 6;

fn quotas() -> [Quota; QUOTAS] {
    let long = Duration::from_secs(366 * 86_400);
    [
        Quota::per_hour(7),
        Quota::per_day(1_000).burst(3),
        Quota::new(10, long).unwrap(),
        Quota::sliding(5, Duration::from_secs(3_600)).unwrap(),
        Quota::sliding(1_000, Duration::from_millis(86_400_001)).unwrap(),
        Quota::sliding(11, long).unwrap(),
    ]
}

fn bucket(subject: u8, quota: u8, cost: u32) -> OwnedBucket {
    let quota = usize::from(quota);
    OwnedBucket::new(
        &format!("limit-{quota}"),
        &subject.to_string(),
        quotas()[quota],
        cost,
    )
}

/// The script with a clock that the test controls.
struct ByScript {
    connection: Connection,
    script: Script,
    now: u64,
}

impl ByScript {
    fn new(server: &Server) -> Self {
        let text = include_str!("script.lua");
        let (clock, life) = ("redis.call('TIME')", "'PX', life");
        assert!(text.contains(clock) && text.contains(life));
        let text = text
            .replace(clock, "{ ARGV[2], ARGV[3] }")
            // The server's own clock must not matter.
            .replace(life, "'PX', life + 3600000");
        Self {
            connection: Client::open(server.url())
                .unwrap()
                .get_connection()
                .unwrap(),
            script: Script::new(&text),
            now: START,
        }
    }

    fn begin(&mut self) {
        let () = redis::cmd("FLUSHALL").query(&mut self.connection).unwrap();
        self.now = START;
    }

    fn run(&mut self, calls: &[PendingCall]) -> Vec<CallOutcome> {
        let (keys, packed) = wire::encode(calls);
        let mut call = self.script.prepare_invoke();
        call.key(keys).arg(packed);
        call.arg(self.now / 1_000_000).arg(self.now % 1_000_000);
        let answer: Vec<u8> = call.invoke(&mut self.connection).unwrap();
        wire::decode(calls, &answer).unwrap()
    }
}

fn bucket_call(bucket: &OwnedBucket) -> BucketCall {
    BucketCall::new(&bucket.as_bucket(), &Namespace::default())
}

fn in_memory(store: &MemoryLimitStore, buckets: &[OwnedBucket]) -> Decision {
    let buckets: Vec<_> = buckets.iter().map(OwnedBucket::as_bucket).collect();
    match store.take(&buckets) {
        StoreReply::Ready(decision) => decision.unwrap(),
        StoreReply::Wait(never) => match never {},
    }
}

#[test]
fn decides_like_the_memory_store() {
    let server = Server::start();
    let steps = prop::collection::vec(step(), 1..60);
    let config = ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let script = RefCell::new(ByScript::new(&server));
    proptest!(config, |(steps in steps)| {
        let mut script = script.borrow_mut();
        script.begin();
        let clock = FakeClock::at(Timestamp::from_nanos(START * 1_000));
        let memory = MemoryLimitStore::with_clock(100, clock.clone());
        let mut calls = Vec::new();
        let mut expected = Vec::new();
        // Calls at the same time are sent as one batch.
        for step in steps.into_iter().chain([Step::Advance(0)]) {
            match step {
                Step::Take(chosen) => {
                    let mut buckets: Vec<OwnedBucket> = Vec::new();
                    for (subject, quota, cost) in chosen {
                        let bucket = bucket(subject, quota, cost);
                        let id = |bucket: &OwnedBucket| bucket.as_bucket().quota_id().clone();
                        if buckets.iter().all(|other| id(other) != id(&bucket)) {
                            buckets.push(bucket);
                        }
                    }
                    expected.push(Some(in_memory(&memory, &buckets)));
                    let buckets = buckets.iter().map(bucket_call).collect();
                    let (reply, _) = oneshot::channel();
                    calls.push(PendingCall::Take { buckets, reply });
                }
                Step::Settle(subject, quota, delta) => {
                    let bucket = bucket(subject, quota, 1);
                    memory.settle(&bucket.as_bucket(), delta);
                    expected.push(None);
                    calls.push(PendingCall::Settle { bucket: bucket_call(&bucket), delta });
                }
                Step::Advance(time) => {
                    if !calls.is_empty() {
                        let outcomes = script.run(&calls);
                        for (outcome, expected) in outcomes.iter().zip(&expected) {
                            match (outcome, expected) {
                                (CallOutcome::Taken(decision), Some(expected)) => {
                                    prop_assert_eq!(decision.statuses(), expected.statuses());
                                }
                                (CallOutcome::Settled, None) => {}
                                other => prop_assert!(false, "{:?}", other),
                            }
                        }
                    }
                    calls.clear();
                    expected.clear();
                    script.now += time;
                    clock.advance(Duration::from_micros(time));
                }
            }
        }
    });
}

/// Operations with leases by one of three processes.
#[derive(Clone, Debug)]
enum LeaseStep {
    Advance(u64),
    Ask(usize, u32),
    GiveBack(usize),
    Spend(usize),
    /// The process crashes without returning its lease.
    Die(usize),
    Strict,
}

fn lease_step() -> impl Strategy<Value = LeaseStep> {
    let time = prop_oneof![0..300_000_u64, 0..2_000_000_u64, 0..20_000_000_u64];
    prop_oneof![
        3 => time.prop_map(LeaseStep::Advance),
        3 => (0..3_usize, 1..11_u32).prop_map(|(node, want)| LeaseStep::Ask(node, want)),
        1 => (0..3_usize).prop_map(LeaseStep::GiveBack),
        8 => (0..3_usize).prop_map(LeaseStep::Spend),
        1 => (0..3_usize).prop_map(LeaseStep::Die),
        6 => Just(LeaseStep::Strict),
    ]
}

/// A lease as a process knows it.
#[derive(Clone, Copy, Default)]
struct Known {
    left: u32,
    held: u32,
    ends: u64,
    since: u64,
}

/// All processes together allow at most what a single bucket would have allowed, at any time.
#[test]
fn leases_never_exceed_the_quota() {
    let quota = Quota::per_minute(600).burst(20);
    let key = "stockade:{default}:limit:leased";
    let server = Server::start();
    let script = RefCell::new(ByScript::new(&server));
    let steps = prop::collection::vec((lease_step(), 1..20_usize), 1..60);
    let config = ProptestConfig {
        cases: 150,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(steps in steps)| {
        let mut script = script.borrow_mut();
        script.begin();
        let mut nodes = [Known::default(); 3];
        let mut really = 0;
        let repeated = steps.into_iter().flat_map(|(step, times)| match step {
            LeaseStep::Spend(_) | LeaseStep::Strict => vec![step; times],
            once => vec![once],
        });
        for step in repeated {
            let now = script.now;
            let mut call = |node: &Known, back, done, want| {
                let call = PendingCall::Lease(LeaseCall {
                    id: (0, 0),
                    key: key.into(),
                    quota,
                    ends: if node.held > 0 { node.ends } else { 0 },
                    back,
                    done,
                    want,
                    at: Instant::now(),
                });
                match script.run(&[call]).pop() {
                    Some(CallOutcome::Leased(granted)) => granted.granted,
                    other => panic!("{other:?}"),
                }
            };
            let mut passes = false;
            match step {
                LeaseStep::Advance(time) => script.now += time,
                LeaseStep::Die(node) => nodes[node] = Known::default(),
                LeaseStep::GiveBack(node) => {
                    let node = &mut nodes[node];
                    call(node, node.left, node.held, 0);
                    *node = Known::default();
                }
                LeaseStep::Ask(node, want) => {
                    let node = &mut nodes[node];
                    let is_over = now - node.since >= LIFETIME.as_micros() as u64;
                    let back = if is_over { node.left } else { 0 };
                    let done = node.held - (node.left - back);
                    let granted = call(node, back, done, want);
                    node.left -= back;
                    node.held = node.left;
                    if granted {
                        node.left += want;
                        node.held += want;
                        node.since = now;
                        node.ends = now + TERM.as_micros() as u64;
                    }
                }
                LeaseStep::Spend(node) => {
                    let node = &mut nodes[node];
                    let is_over = now - node.since >= LIFETIME.as_micros() as u64;
                    passes = node.left > 0 && !is_over;
                    node.left -= u32::from(passes);
                }
                LeaseStep::Strict => {
                    let bucket = BucketCall { id: (0, 0), key: key.into(), quota, cost: 1 };
                    let (reply, _) = oneshot::channel();
                    let call = PendingCall::Take { buckets: vec![bucket], reply };
                    match script.run(&[call]).pop() {
                        Some(CallOutcome::Taken(decision)) => passes = decision.is_allowed(),
                        other => panic!("{other:?}"),
                    }
                }
            }
            if passes {
                let (state, status) = gcra::take(really, &quota, now * 1_000, 1);
                prop_assert!(status.is_allowed(), "one too many at {}", now - START);
                really = state;
            }
        }
    });
}
