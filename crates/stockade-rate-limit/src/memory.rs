//! The store of one process.

mod clock;
mod set;
mod table;

use std::{
    fmt, slice,
    sync::{
        Arc, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::{ArcSwap, Guard};
use arrayvec::ArrayVec;
use stockade_core::clock::Clock;

use set::{Lookup, Set};

use crate::{
    Bucket, Decision, LimitStore, Limits, NoWait, QuotaId, QuotaStatus, StoreError, StoreErrorKind,
    StoreReply, policy,
};

pub use clock::MonotonicClock;
pub(crate) use table::Table;

/// Keeps the states of one process in memory. Clones share them.
///
/// 1. Each lane (one quota of one limit) has a table of its own with a fixed number of
///    places, 16 bytes each. It takes memory as subjects come, 16 kB at a time, and never
///    more than [`max_bytes`](Self::max_bytes).
/// 2. A subject that owes nothing is forgotten when its place is needed. Nothing else has to
///    clean up.
/// 3. Where all of the 12 places that a subject may have are taken by debtors, the one that
///    owes least has to go, and **no debt goes with it**: those places remember the highest
///    debt that ever had to go, and whoever is new there begins with that. So nobody is
///    refilled by being forgotten, however many others come; the price is that under such a
///    flood, somebody new may be refused who has done nothing yet.
/// 4. A request locks one set of places a quota, for some tens of nanoseconds.
///
/// Why not `governor`: its stores grow with the keys that clients choose, until the caller
/// sweeps them, and their trait answers for one key and at once, so that neither stacked
/// quotas nor a store far away can be behind it. What decides here is equal to it
/// ([`gcra`](crate::gcra)), and tested to be.
#[derive(Clone)]
pub struct MemoryLimitStore(Arc<Shared>);

type Tables = Vec<Arc<Table>>;

struct Shared {
    /// By which its tables are told from those of other stores.
    id: u64,
    tables: ArcSwap<Tables>,
    capacity: usize,
    clock: Box<dyn Clock>,
}

impl MemoryLimitStore {
    /// How many subjects a lane has places for, where nothing else is said.
    pub const DEFAULT_CAPACITY: usize = 1_000_000;

    /// The most lanes at once. One that has not been used for so long that nobody owes
    /// anything in it makes room for a new one.
    pub const MAX_QUOTAS: usize = 64;

    /// A store with places for so many subjects in each lane.
    ///
    /// There are almost half as many places more, since subjects do not fall into them
    /// evenly. So a subject costs 24 bytes where as many are there.
    pub fn new(capacity: usize) -> Self {
        Self::with_clock(capacity, MonotonicClock::new())
    }

    /// A store that goes by this clock, which must not be put back: what had to go from
    /// full places would count for as long as that.
    pub fn with_clock(capacity: usize, clock: impl Clock) -> Self {
        static STORES: AtomicU64 = AtomicU64::new(0);
        Self(Arc::new(Shared {
            id: STORES.fetch_add(1, Ordering::Relaxed),
            tables: ArcSwap::default(),
            capacity,
            clock: Box::new(clock),
        }))
    }

    /// Bytes that the states take now. A lane that has made room for another one keeps what
    /// it had for as long as its limit is in force, and is not counted here.
    pub fn bytes(&self) -> usize {
        self.0.tables.load().iter().map(|table| table.bytes()).sum()
    }

    /// The most bytes that the states of one lane ever take.
    pub fn max_bytes(&self) -> usize {
        Table::max_bytes(self.0.capacity)
    }

    /// The decision of [`LimitStore::take`], which is always ready.
    pub(crate) fn decide(&self, buckets: &[Bucket<'_>]) -> Result<Decision, StoreError> {
        let now = self.0.clock.now().as_nanos();
        if let [bucket] = buckets {
            let tables;
            let table = match self.0.cached_table(bucket) {
                Some(table) => table,
                None => {
                    tables = self.0.tables(buckets, now)?;
                    find(&tables, bucket)
                }
            };
            let pending = PendingDebit::check(bucket, table, now);
            let allowed = pending.status.is_allowed();
            return Ok(Decision::one(pending.commit(allowed, now)));
        }
        let tables = self.0.tables(buckets, now)?;
        let mut decision = Decision::blank(buckets.len());
        let mut ordered: ArrayVec<_, { Limits::MAX_QUOTAS }> = buckets
            .iter()
            .take(Limits::MAX_QUOTAS)
            .enumerate()
            .collect();
        // Whoever locks several sets locks them in this order, so nobody waits in a circle.
        ordered.sort_unstable_by_key(|(_, bucket)| bucket.quota_id().digest());
        // Two of one lane may be in one set, and who locks that twice waits for itself.
        assert!(
            ordered.is_sorted_by(
                |(_, one), (_, next)| one.quota_id().digest() < next.quota_id().digest()
            ),
            "buckets of one request are of a lane each"
        );
        let pending: ArrayVec<_, { Limits::MAX_QUOTAS }> = ordered
            .into_iter()
            .map(|(at, bucket)| (at, PendingDebit::check(bucket, find(&tables, bucket), now)))
            .collect();
        let allowed = pending
            .iter()
            .all(|(_, pending)| pending.status.is_allowed());
        for (at, pending) in pending {
            decision.set(at, pending.commit(allowed, now));
        }
        Ok(decision)
    }
}

impl Default for MemoryLimitStore {
    /// A store of the usual [`DEFAULT_CAPACITY`](Self::DEFAULT_CAPACITY).
    fn default() -> Self {
        Self::new(Self::DEFAULT_CAPACITY)
    }
}

impl LimitStore for MemoryLimitStore {
    type Wait = NoWait;

    fn take(&self, buckets: &[Bucket<'_>]) -> StoreReply<NoWait> {
        StoreReply::Ready(self.decide(buckets))
    }

    fn settle(&self, bucket: &Bucket<'_>, delta: i64) {
        let now = self.0.clock.now().as_nanos();
        // A lane for which there is no room has never let anything in.
        if let Ok(tables) = self.0.tables(slice::from_ref(bucket), now) {
            let table = find(&tables, bucket);
            let mut set = table.lock(bucket.key().digest());
            let lookup = set.find(tag(bucket));
            let quota = bucket.as_quota();
            let state = policy::settle(lookup.state, quota, now, delta);
            set.keep(tag(bucket), &lookup, state, quota, now);
            table.keep_until(now.saturating_add(policy::reset_after(state, quota, now)));
        }
    }
}

impl Shared {
    /// The table of this bucket, where its lane knows it: the usual case, in which nothing
    /// has to be looked up.
    #[inline]
    fn cached_table<'b>(&self, bucket: &Bucket<'b>) -> Option<&'b Table> {
        let table = bucket.quota_id().cached_table().get()?;
        table.is_of(self.id).then_some(&**table)
    }

    /// Tables with one for each of these buckets.
    #[inline]
    fn tables(&self, buckets: &[Bucket<'_>], now: u64) -> Result<Guard<Arc<Tables>>, StoreError> {
        let tables = self.tables.load();
        match buckets.iter().all(|bucket| has(&tables, bucket)) {
            true => Ok(tables),
            false => self.more_tables(buckets, now),
        }
    }

    #[cold]
    fn more_tables(
        &self,
        buckets: &[Bucket<'_>],
        now: u64,
    ) -> Result<Guard<Arc<Tables>>, StoreError> {
        self.tables.rcu(|tables| {
            let mut tables = Tables::clone(tables);
            for bucket in buckets {
                if tables.len() >= MemoryLimitStore::MAX_QUOTAS {
                    tables.retain(|table| !table.forget(now));
                }
                if !has(&tables, bucket) && tables.len() < MemoryLimitStore::MAX_QUOTAS {
                    tables.push(self.table(bucket.quota_id()));
                }
            }
            tables
        });
        let tables = self.tables.load();
        match buckets.iter().all(|bucket| has(&tables, bucket)) {
            true => Ok(tables),
            false => Err(StoreError::new(StoreErrorKind::Full)),
        }
    }
}

impl Shared {
    /// A table for this lane. One that had made room for others comes back with the memory
    /// that it had: nobody owes anything in it.
    fn table(&self, quota_id: &QuotaId) -> Arc<Table> {
        match quota_id.cached_table().get() {
            Some(table) if table.revive(self.id) => Arc::clone(table),
            _ => Arc::new(Table::new(self.id, quota_id.digest(), self.capacity)),
        }
    }
}

fn has(tables: &Tables, bucket: &Bucket<'_>) -> bool {
    let quota_id = bucket.quota_id().digest();
    tables.iter().any(|table| table.quota_id() == quota_id)
}

/// The table of this bucket, which its lane gets to know.
fn find<'t>(tables: &'t Tables, bucket: &Bucket<'_>) -> &'t Table {
    let quota_id = bucket.quota_id().digest();
    let table = tables.iter().find(|table| table.quota_id() == quota_id);
    let table = table.expect("made before it is looked for");
    bucket
        .quota_id()
        .cached_table()
        .get_or_init(|| Arc::clone(table));
    table
}

/// The half of the digest that does not say in which set the subject is. 0 is no tag. Two
/// subjects count as one where set and tag are the same: of 10 million, that is one pair in
/// a hundred tables.
fn tag(bucket: &Bucket<'_>) -> u32 {
    (bucket.key().digest() as u32).max(1)
}

/// One bucket on its way to a decision, with its set locked.
struct PendingDebit<'a> {
    bucket: &'a Bucket<'a>,
    table: &'a Table,
    set: MutexGuard<'a, Set>,
    lookup: Lookup,
    state: u64,
    status: QuotaStatus,
}

impl<'a> PendingDebit<'a> {
    // Left to itself, the compiler calls it for one bucket too, and hands all of it over in
    // memory.
    #[inline(always)]
    fn check(bucket: &'a Bucket<'a>, table: &'a Table, now: u64) -> Self {
        let set = table.lock(bucket.key().digest());
        let lookup = set.find(tag(bucket));
        let (state, status) = policy::take(lookup.state, bucket.as_quota(), now, bucket.cost());
        Self {
            bucket,
            table,
            set,
            lookup,
            state,
            status,
        }
    }

    /// Keeps the state, where all of the request's buckets allow it or this one does not,
    /// and says what is left.
    #[inline(always)]
    fn commit(mut self, allowed: bool, now: u64) -> QuotaStatus {
        let quota = self.bucket.as_quota();
        if allowed {
            let tag = tag(self.bucket);
            self.set.keep(tag, &self.lookup, self.state, quota, now);
            let forgotten = now.saturating_add(self.status.reset_nanos());
            self.table.keep_until(forgotten);
            self.status
        } else if self.status.is_allowed() {
            // Another one refused the request. What costs nothing changes nothing.
            policy::take(self.lookup.state, quota, now, 0).1
        } else {
            self.set.keep_refused(&self.lookup, self.state);
            self.status
        }
    }
}

impl fmt::Debug for MemoryLimitStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryLimitStore")
            .field("capacity", &self.0.capacity)
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}
