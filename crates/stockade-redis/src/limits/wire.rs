//! The encoding of calls and replies.
//!
//! All numbers are big-endian doubles; times are whole microseconds plus the remaining
//! nanoseconds. The calls follow the prices of the batch: the number of prices, and for each of
//! them the kind of the bucket and six numbers:
//!
//! - GCRA: the highest debt at which it is allowed, the cost, and the longest debt;
//! - sliding window: the length in milliseconds, the highest usage at which it is allowed, and
//!   the cost.
//!
//! A take is its number of buckets, and for each of them the numbers of its key and its price.
//!
//! The reply is the time, followed for each take by two numbers per bucket with the state
//! before it (the debt, or the counts of both windows) and whether it was allowed, and for
//! each lease by whether it was granted and the debt including it.

use std::{collections::HashMap, time::Duration};

use foldhash::fast::RandomState;
use stockade_rate_limit::{Algorithm, Decision, Quota, QuotaStatus, gcra, sliding};

use super::{
    call::{BucketCall, LeaseCall, PendingCall},
    lease::{self, LeaseReply},
};

const GCRA: u8 = 0;
const SLIDING: u8 = 1;
const SETTLE: u8 = 0;
const LEASE: u8 = 255;

/// Returns the distinct keys of these calls, and their encoding.
pub(super) fn encode(calls: &[PendingCall]) -> (Vec<&str>, Vec<u8>) {
    let mut packed = Encoder::default();
    for call in calls {
        match call {
            PendingCall::Take { buckets, .. } => packed.take(buckets),
            PendingCall::Settle { bucket, delta } => packed.settle(bucket, *delta),
            PendingCall::Lease(call) => packed.lease(call),
        }
    }
    packed.finish()
}

/// The result of a call.
#[derive(Debug)]
pub(super) enum CallOutcome {
    Taken(Decision),
    Settled,
    Leased(LeaseReply),
}

/// Decodes the results of these calls; `None` if the reply is malformed.
pub(super) fn decode(calls: &[PendingCall], answer: &[u8]) -> Option<Vec<CallOutcome>> {
    let mut answer = ReplyDecoder(answer);
    let now = answer.number()? as u64 * NANOS;
    let outcomes = calls.iter().map(|call| {
        Some(match call {
            PendingCall::Take { buckets, .. } => CallOutcome::Taken(answer.decision(buckets, now)?),
            PendingCall::Settle { .. } => CallOutcome::Settled,
            PendingCall::Lease(_) => CallOutcome::Leased(LeaseReply {
                granted: answer.flag()?,
                now,
                full_at: now + answer.time()?,
            }),
        })
    });
    outcomes.collect()
}

/// Nanoseconds per microsecond.
const NANOS: u64 = 1_000;

#[derive(Default)]
struct Encoder<'o> {
    keys: Vec<&'o str>,
    /// Lua indices start at 1.
    indices: HashMap<&'o str, u16, RandomState>,
    /// Quotas and costs, each with its number.
    prices: HashMap<(Quota, u32), u16, RandomState>,
    price_bytes: Bytes,
    bytes: Bytes,
}

impl<'o> Encoder<'o> {
    fn take(&mut self, buckets: &'o [BucketCall]) {
        // At most Limits::MAX_QUOTAS.
        self.bytes.0.push(buckets.len() as u8);
        for BucketCall {
            key, quota, cost, ..
        } in buckets
        {
            self.key(key);
            self.price(quota, *cost);
        }
    }

    fn price(&mut self, quota: &Quota, cost: u32) {
        // At most one per bucket of a batch.
        let number = self.prices.len() as u16 + 1;
        let number = *self.prices.entry((*quota, cost)).or_insert_with(|| {
            self.price_bytes.price(quota, cost);
            number
        });
        self.bytes.index(number);
    }

    fn settle(&mut self, bucket: &'o BucketCall, delta: i64) {
        let BucketCall { key, quota, .. } = bucket;
        self.bytes.0.push(SETTLE);
        self.bytes.0.push(u8::from(delta < 0));
        self.bytes.0.push(kind(quota));
        self.key(key);
        let number = delta.unsigned_abs();
        match quota.algorithm() {
            // No window counts more than this.
            Algorithm::SlidingWindow => {
                let number = number.min(u64::from(u32::MAX)) as f64;
                self.bytes.numbers([length(quota), number, 0.0, 0.0]);
            }
            _ => {
                let time = number.saturating_mul(times(quota, 1));
                self.bytes.time(time.min(longest(quota)));
                self.bytes.time(longest(quota));
            }
        }
    }

    fn lease(&mut self, call: &'o LeaseCall) {
        let LeaseCall {
            key,
            quota,
            ends,
            back,
            done,
            want,
            ..
        } = call;
        let burst = quota.max_burst();
        self.bytes.0.push(LEASE);
        self.key(key);
        self.bytes.numbers([*ends as f64]);
        for nanos in [
            times(quota, *back),
            times(quota, *done),
            times(quota, *want),
            times(quota, burst.saturating_sub(*want)),
            // Half of the burst always remains available without a lease.
            times(quota, (burst / 2).saturating_sub(*want)),
            longest(quota),
        ] {
            self.bytes.time(nanos);
        }
        self.bytes.numbers([lease::TERM.as_micros() as f64]);
    }

    fn key(&mut self, key: &'o str) {
        let index = *self.indices.entry(key).or_insert_with(|| {
            self.keys.push(key);
            // At most one per bucket of a batch.
            self.keys.len() as u16
        });
        self.bytes.index(index);
    }

    fn finish(self) -> (Vec<&'o str>, Vec<u8>) {
        let mut bytes = Bytes::default();
        bytes.index(self.prices.len() as u16);
        bytes.0.extend(self.price_bytes.0);
        bytes.0.extend(self.bytes.0);
        (self.keys, bytes.0)
    }
}

/// Encoded numbers.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn price(&mut self, quota: &Quota, cost: u32) {
        self.0.push(kind(quota));
        match quota.algorithm() {
            Algorithm::SlidingWindow => {
                let never = cost > quota.count();
                let most = match never {
                    true => -1.0,
                    false => f64::from(quota.count() - cost.max(1)),
                };
                self.numbers([length(quota), most, f64::from(cost), 0.0, 0.0, 0.0]);
            }
            _ => {
                match cost.max(1) <= quota.max_burst() {
                    true => self.time(times(quota, quota.max_burst() - cost.max(1))),
                    false => self.numbers([-1.0, 0.0]),
                }
                self.time(times(quota, cost));
                self.time(longest(quota));
            }
        }
    }

    fn index(&mut self, index: u16) {
        self.0.extend_from_slice(&index.to_be_bytes());
    }

    fn time(&mut self, nanos: u64) {
        self.numbers([(nanos / NANOS) as f64, (nanos % NANOS) as f64]);
    }

    fn numbers<const N: usize>(&mut self, numbers: [f64; N]) {
        for number in numbers {
            self.0.extend_from_slice(&number.to_be_bytes());
        }
    }
}

fn kind(quota: &Quota) -> u8 {
    match quota.algorithm() {
        Algorithm::SlidingWindow => SLIDING,
        _ => GCRA,
    }
}

/// The time in which this many permits refill, in nanoseconds. A burst takes at most a year,
/// but a request may cost more.
pub(super) fn times(quota: &Quota, number: u32) -> u64 {
    (quota.interval().as_nanos() as u64).saturating_mul(u64::from(number))
}

/// See [`gcra`].
fn longest(quota: &Quota) -> u64 {
    times(quota, quota.max_burst()).saturating_mul(3)
}

fn length(quota: &Quota) -> f64 {
    quota.period().as_millis() as f64
}

struct ReplyDecoder<'a>(&'a [u8]);

impl ReplyDecoder<'_> {
    fn decision(&mut self, buckets: &[BucketCall], now: u64) -> Option<Decision> {
        let states = buckets.iter().map(|bucket| {
            Some(match bucket.quota.algorithm() {
                Algorithm::SlidingWindow => {
                    let number = (now / bucket.quota.period().as_nanos() as u64) & 0xff_ffff;
                    (number << 40) | ((self.number()? as u64) << 20) | self.number()? as u64
                }
                _ => now + self.time()?,
            })
        });
        let states: Vec<u64> = states.collect::<Option<_>>()?;
        let allowed = self.flag()?;
        let statuses = buckets.iter().zip(states).map(|(bucket, state)| {
            let status = take(state, &bucket.quota, now, bucket.cost);
            match (allowed, status.is_allowed()) {
                // Another bucket refused the request. A cost of 0 changes nothing.
                (false, true) => take(state, &bucket.quota, now, 0),
                _ => status,
            }
        });
        let decision = Decision::new(statuses);
        // The script has already decided and debited. Its result can only differ if the
        // server's clock was set back, or for counts beyond the precision of doubles.
        Some(match decision.is_allowed() == allowed {
            true => decision,
            false => forced(&decision, allowed),
        })
    }

    /// In nanoseconds.
    fn time(&mut self) -> Option<u64> {
        Some(self.number()? as u64 * NANOS + self.number()? as u64)
    }

    fn number(&mut self) -> Option<f64> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(f64::from_be_bytes(*number))
    }

    fn flag(&mut self) -> Option<bool> {
        Some(self.number()? == 1.0)
    }
}

fn take(state: u64, quota: &Quota, now: u64, cost: u32) -> QuotaStatus {
    match quota.algorithm() {
        Algorithm::SlidingWindow => sliding::take(state, quota, now, cost).1,
        _ => gcra::take(state, quota, now, cost).1,
    }
}

fn forced(decision: &Decision, allowed: bool) -> Decision {
    let retry_after = match allowed {
        true => Duration::ZERO,
        false => Duration::from_millis(1),
    };
    let statuses = decision.statuses().iter();
    Decision::new(
        statuses
            .map(|status| QuotaStatus::new(status.remaining(), status.reset_after(), retry_after)),
    )
}
