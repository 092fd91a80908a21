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
    lease::{Claim, Granted, Lease, LeaseId, id},
    order::{LeaseOrder, Line, Order},
};
use crate::Namespace;

/// The most subjects that are followed; one more is decided in Redis.
const MOST: usize = 65_536;
/// The most orders that are parked; one more goes to Redis itself.
const PARKED: usize = 4_096;

/// The leases of this process.
pub(super) struct Leases {
    size: u32,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    leases: HashMap<LeaseId, Lease, RandomState>,
    /// Orders that wait for an answer to one that asks for a lease.
    parked: usize,
}

impl Leases {
    /// Leases of so many permits at most.
    pub(super) fn new(size: u32) -> Self {
        Self {
            size,
            state: Mutex::default(),
        }
    }

    /// Decides by the leases, where there is one for each bucket; and says what to order, so
    /// that there will be one.
    pub(super) fn take(
        &self,
        buckets: &[Bucket<'_>],
        namespace: &Namespace,
    ) -> (Option<Decision>, Vec<LeaseOrder>) {
        let now = Instant::now();
        let mut state = self.lock();
        let decision = state.decide(buckets.iter().map(Claim::of_bucket), now);
        let mut orders = Vec::new();
        for bucket in buckets {
            let most = self.size.min(bucket.quota().max_burst() / 10);
            if bucket.quota().algorithm() != Algorithm::Gcra || most == 0 {
                continue;
            }
            let is_full = state.leases.len() >= MOST;
            match state.leases.entry(id(bucket)) {
                Entry::Occupied(mut lease) => {
                    let key = || Line::new(bucket, namespace).key;
                    orders.extend(lease.get_mut().ask(bucket, most, now, key));
                }
                Entry::Vacant(_) if is_full => {}
                // Whoever comes once gets no lease.
                Entry::Vacant(place) => {
                    place.insert(Lease::new(bucket.quota(), now));
                }
            }
        }
        (decision, orders)
    }

    /// Keeps an order until a lease that was asked for is there; gives it back where it has
    /// to go to Redis itself.
    pub(super) fn park(&self, order: Order) -> Option<Order> {
        let Order::Take { lines, .. } = &order else {
            return Some(order);
        };
        let mut state = self.lock();
        let State { leases, parked } = &mut *state;
        let asking = lines.iter().find_map(|line| {
            let lease = leases.get(&line.id)?;
            (lease.asking && lease.quota == line.quota).then_some(line.id)
        });
        match asking.and_then(|id| leases.get_mut(&id)) {
            Some(lease) if *parked < PARKED => {
                lease.parked.push(order);
                *parked += 1;
                None
            }
            _ => Some(order),
        }
    }

    /// What Redis said to an order; `None` where it said nothing. Returns what was parked
    /// and has to go to Redis itself.
    pub(super) fn answered(&self, order: &LeaseOrder, granted: Option<&Granted>) -> Vec<Order> {
        let now = Instant::now();
        let mut state = self.lock();
        let Some(lease) = state.leases.get_mut(&order.id).filter(|_| order.want > 0) else {
            return Vec::new();
        };
        lease.answered(order, granted);
        let parked = mem::take(&mut lease.parked);
        state.parked -= parked.len();
        let unserved = parked.into_iter().filter_map(|order| match order {
            Order::Take { lines, reply } => {
                if reply.is_closed() {
                    return None;
                }
                match state.decide(lines.iter().map(Claim::of_line), now) {
                    Some(decision) => {
                        // Whoever has left meanwhile has paid.
                        let _ = reply.send(Ok(decision));
                        None
                    }
                    None => Some(Order::Take { lines, reply }),
                }
            }
            other => Some(other),
        });
        unserved.collect()
    }

    /// Forgets what is over, and says what goes back.
    pub(super) fn sweep(&self) -> Vec<LeaseOrder> {
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

    /// Subjects that are followed, and permits that are left for them.
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
    /// Spends from a lease for each of these, or from none.
    fn decide(
        &mut self,
        claims: impl Iterator<Item = Claim> + Clone,
        now: Instant,
    ) -> Option<Decision> {
        let covers = |claim: Claim| {
            let lease = self.leases.get(&claim.id);
            lease.is_some_and(|lease| lease.covers(claim, now))
        };
        claims.clone().all(covers).then(|| {
            Decision::new(claims.map(|claim| {
                let lease = self.leases.get_mut(&claim.id);
                lease.expect("looked at before").spend(claim.cost, now)
            }))
        })
    }
}
