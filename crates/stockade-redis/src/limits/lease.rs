//! Permits that this process has taken in advance.
//!
//! A lease is debited when it is made, so what is spent from it was counted before. What is
//! left of it must not become more than was counted while the bucket fills up again: so
//! Redis remembers how much is held in leases, and lets the debt of the bucket never fall
//! below that. Hence, at any moment, the debt in Redis is at least what was really let in
//! and what still may be, and no more is let in than without leases.
//!
//! Here a lease is spent for [`LIFETIME`] after it was asked for; Redis holds it for
//! [`TERM`], which is longer, so the two clocks need not agree.

use std::{
    collections::{HashMap, hash_map::Entry},
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use foldhash::fast::RandomState;
use stockade_rate_limit::{Algorithm, Bucket, Decision, Level, Quota, gcra};

use super::{
    batch::times,
    order::{LeaseOrder, Line, Order},
};
use crate::Namespace;

/// How long a lease may be spent.
pub(super) const LIFETIME: Duration = Duration::from_secs(1);
/// How long Redis holds a lease for whoever does not say that it is over.
pub(super) const TERM: Duration = Duration::from_secs(3);
/// How long nothing is asked for after a lease was refused.
const REST: Duration = Duration::from_millis(100);
/// The most subjects that are followed; one more is decided in Redis.
const MOST: usize = 65_536;
/// The most orders that are parked; one more goes to Redis itself.
const PARKED: usize = 4_096;

/// The lane and the subject, by their digests.
pub(super) type LeaseId = (u64, u64);

/// What Redis said to an order for a lease; times in nanoseconds of its clock.
#[derive(Debug)]
pub(super) struct Granted {
    pub(super) granted: bool,
    pub(super) now: u64,
    pub(super) full_at: u64,
}

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

/// One bucket of a request.
#[derive(Clone, Copy)]
struct Claim {
    id: LeaseId,
    quota: Quota,
    cost: u32,
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
        let left = state.leases.values().map(|lease| u64::from(lease.left)).sum();
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

impl Claim {
    fn of_bucket(bucket: &Bucket<'_>) -> Self {
        Self {
            id: id(bucket),
            quota: bucket.quota(),
            cost: bucket.cost(),
        }
    }

    fn of_line(line: &Line) -> Self {
        Self {
            id: line.id,
            quota: line.quota,
            cost: line.cost,
        }
    }
}

/// Which lease a bucket may have.
pub(super) fn id(bucket: &Bucket<'_>) -> LeaseId {
    (bucket.lane().id(), bucket.subject().digest())
}

struct Lease {
    quota: Quota,
    key: Box<str>,
    /// What can be spent.
    left: u32,
    /// What Redis holds: what is left, and what was spent since it was told last.
    held: u32,
    /// How many to have.
    target: u32,
    /// Spent since a lease was over the last time.
    used: u32,
    /// When the last one that was granted was asked for.
    since: Instant,
    /// Redis's clock then, in nanoseconds.
    server_time: u64,
    /// When the bucket would be full, if what is left were given back.
    full_at: u64,
    /// Until when Redis holds it, in microseconds of its clock.
    ends: u64,
    asking: bool,
    /// Until when nothing is asked for.
    rest: Option<Instant>,
    /// Who waits while it asks.
    parked: Vec<Order>,
}

impl Lease {
    fn new(quota: Quota, now: Instant) -> Self {
        Self {
            quota,
            key: "".into(),
            left: 0,
            held: 0,
            target: 0,
            used: 0,
            since: now,
            server_time: 0,
            full_at: 0,
            ends: 0,
            asking: false,
            rest: None,
            parked: Vec::new(),
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= LIFETIME
    }

    fn covers(&self, claim: Claim, now: Instant) -> bool {
        self.left >= claim.cost.max(1) && self.quota == claim.quota && !self.is_over(now)
    }

    fn spend(&mut self, cost: u32, now: Instant) -> Level {
        self.left -= cost;
        self.used = self.used.saturating_add(cost);
        let elapsed = now.saturating_duration_since(self.since).as_nanos() as u64;
        let (full_at, level) =
            gcra::take(self.full_at, &self.quota, self.server_time + elapsed, cost);
        self.full_at = full_at;
        // What others have left is not known here, but that this much was debited.
        Level::new(level.remaining(), level.reset_after(), Duration::ZERO)
    }

    /// Asks for more before it is needed: once at a time, and twice as much each time that
    /// most of it was spent within the lifetime.
    fn ask(
        &mut self,
        bucket: &Bucket<'_>,
        most: u32,
        now: Instant,
        key: impl FnOnce() -> Box<str>,
    ) -> Option<LeaseOrder> {
        if self.asking || self.rest.is_some_and(|rest| now < rest) {
            return None;
        }
        if self.quota != bucket.quota() {
            let back = self.give_back(id(bucket), now);
            *self = Self::new(bucket.quota(), now);
            return back;
        }
        let (back, want) = if self.is_over(now) {
            if self.used == 0 {
                let back = self.give_back(id(bucket), now);
                *self = Self::new(bucket.quota(), now);
                return back;
            }
            (mem::take(&mut self.left), mem::take(&mut self.used))
        } else if self.left <= self.target / 4 {
            (0, self.target.saturating_mul(2).max(2))
        } else {
            return None;
        };
        self.target = want.min(most);
        if self.target <= self.left {
            return None;
        }
        if self.key.is_empty() {
            self.key = key();
        }
        self.asking = true;
        let held = mem::replace(&mut self.held, self.left);
        Some(LeaseOrder {
            id: id(bucket),
            key: self.key.clone(),
            quota: self.quota,
            ends: if held > 0 { self.ends } else { 0 },
            back,
            done: held - self.left,
            want: self.target - self.left,
            at: now,
        })
    }

    fn answered(&mut self, order: &LeaseOrder, granted: Option<&Granted>) {
        self.asking = false;
        match granted {
            Some(Granted {
                granted: true,
                now,
                full_at,
            }) => {
                self.left += order.want;
                self.held += order.want;
                self.since = order.at;
                self.server_time = *now;
                self.full_at = full_at.saturating_sub(times(&self.quota, self.left));
                self.ends = now / 1_000 + TERM.as_micros() as u64;
            }
            _ => {
                self.target = self.left;
                self.rest = Some(order.at + REST);
            }
        }
    }

    fn give_back(&mut self, id: LeaseId, now: Instant) -> Option<LeaseOrder> {
        (self.held > 0).then(|| LeaseOrder {
            id,
            key: self.key.clone(),
            quota: self.quota,
            ends: self.ends,
            back: self.left,
            done: self.held,
            want: 0,
            at: now,
        })
    }
}
