//! The leases of this process.

use std::{
    collections::{HashMap, hash_map::Entry},
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use foldhash::fast::RandomState;
use stockade_rate_limit::{Algorithm, Bucket, Decision};

use super::{
    call::{BucketCall, LeaseCall, PendingCall},
    lease::{Debit, Lease, LeaseId, LeaseReply, id},
};
use crate::Namespace;

/// The highest number of tracked keys; further ones are decided in Redis.
const MAX_LEASES: usize = 65_536;
/// The highest number of parked calls; further ones go to Redis.
const MAX_PARKED: usize = 4_096;

/// The leases of this process.
pub(super) struct Leases {
    size: u32,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    leases: HashMap<LeaseId, Lease, RandomState>,
    /// Calls that wait for the reply to a lease call.
    parked: usize,
}

impl Leases {
    /// Creates leases of at most this size.
    pub(super) fn new(size: u32) -> Self {
        Self {
            size,
            state: Mutex::default(),
        }
    }

    /// Decides locally if there is a lease for each bucket, and returns the lease calls to
    /// send.
    pub(super) fn take(
        &self,
        buckets: &[Bucket<'_>],
        namespace: &Namespace,
    ) -> (Option<Decision>, Vec<LeaseCall>) {
        let now = Instant::now();
        let mut state = self.lock();
        let decision = state.decide(buckets.iter().map(Debit::from_bucket), now);
        let mut calls = Vec::new();
        for bucket in buckets {
            let max = self.size.min(bucket.quota().max_burst() / 10);
            if bucket.quota().algorithm() != Algorithm::Gcra || max == 0 {
                continue;
            }
            let is_full = state.leases.len() >= MAX_LEASES;
            match state.leases.entry(id(bucket)) {
                Entry::Occupied(mut lease) => {
                    let key = || BucketCall::new(bucket, namespace).key;
                    calls.extend(lease.get_mut().ask(bucket, max, now, key));
                }
                Entry::Vacant(_) if is_full => {}
                // The first request of a key creates no lease.
                Entry::Vacant(place) => {
                    place.insert(Lease::new(bucket.quota(), now));
                }
            }
        }
        (decision, calls)
    }

    /// Parks a call until a requested lease is granted; returns it if it has to go to Redis.
    pub(super) fn park(&self, call: PendingCall) -> Option<PendingCall> {
        let PendingCall::Take { buckets, .. } = &call else {
            return Some(call);
        };
        let mut state = self.lock();
        let State { leases, parked } = &mut *state;
        let asking = buckets.iter().find_map(|bucket| {
            let lease = leases.get(&bucket.id)?;
            (lease.asking && lease.quota == bucket.quota).then_some(bucket.id)
        });
        match asking.and_then(|id| leases.get_mut(&id)) {
            Some(lease) if *parked < MAX_PARKED => {
                lease.parked.push(call);
                *parked += 1;
                None
            }
            _ => Some(call),
        }
    }

    /// Applies the reply to a lease call; `None` if it failed. Returns the parked calls that
    /// have to go to Redis.
    pub(super) fn answered(
        &self,
        call: &LeaseCall,
        granted: Option<&LeaseReply>,
    ) -> Vec<PendingCall> {
        let now = Instant::now();
        let mut state = self.lock();
        let Some(lease) = state.leases.get_mut(&call.id).filter(|_| call.want > 0) else {
            return Vec::new();
        };
        lease.answered(call, granted);
        let parked = mem::take(&mut lease.parked);
        state.parked -= parked.len();
        let unserved = parked.into_iter().filter_map(|call| match call {
            PendingCall::Take { buckets, reply } => {
                if reply.is_closed() {
                    return None;
                }
                match state.decide(buckets.iter().map(Debit::from_call), now) {
                    Some(decision) => {
                        // A request that was dropped in the meantime is charged.
                        let _ = reply.send(Ok(decision));
                        None
                    }
                    None => Some(PendingCall::Take { buckets, reply }),
                }
            }
            other => Some(other),
        });
        unserved.collect()
    }

    /// Drops expired leases, and returns the calls that give them back.
    pub(super) fn sweep(&self) -> Vec<LeaseCall> {
        let now = Instant::now();
        let mut back = Vec::new();
        self.lock().leases.retain(|id, lease| {
            let over = lease.is_over(now) && !lease.asking;
            if over {
                back.extend(lease.give_back(*id, now));
            }
            !over
        });
        back
    }

    /// The number of tracked keys, and of their unspent permits.
    pub(super) fn sizes(&self) -> (usize, u64) {
        let state = self.lock();
        let left = state
            .leases
            .values()
            .map(|lease| u64::from(lease.left))
            .sum();
        (state.leases.len(), left)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Spends from a lease for each debit, or from none.
    fn decide(
        &mut self,
        debits: impl Iterator<Item = Debit> + Clone,
        now: Instant,
    ) -> Option<Decision> {
        let covers = |debit: Debit| {
            let lease = self.leases.get(&debit.id);
            lease.is_some_and(|lease| lease.covers(debit, now))
        };
        debits.clone().all(covers).then(|| {
            Decision::new(debits.map(|debit| {
                let lease = self.leases.get_mut(&debit.id);
                lease
                    .expect("the lease was found before")
                    .spend(debit.cost, now)
            }))
        })
    }
}
