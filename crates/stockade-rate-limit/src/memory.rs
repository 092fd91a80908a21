//! The store of one process.

mod clock;
mod debit;
mod set;
mod table;

use std::{
    fmt, slice,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::{ArcSwap, Guard};
use arrayvec::ArrayVec;
use stockade_core::{
    clock::{Clock, Timestamp},
    context::RequestContext,
};

use debit::{PendingDebit, tag};

use crate::{
    Bucket, Decision, LimitStore, Limits, NoWait, QuotaId, StoreError, StoreErrorKind, StoreReply,
    policy,
};

pub use clock::MonotonicClock;
use table::Table;

/// Stores states in the memory of one process. Clones share them.
///
/// 1. Each quota of each limit has its own table with a fixed number of slots of 16 bytes.
///    Memory is allocated as keys arrive, 16 kB at a time, up to
///    [`max_bytes`](Self::max_bytes).
/// 2. A key without debt is evicted when its slot is needed. No background task is needed.
/// 3. A key may use any of 12 slots. If all of them have debts, the key with the lowest debt
///    is evicted, and **its debt is kept**: the set remembers the highest evicted debt, and
///    new keys start with it. Eviction therefore never refills a quota, however many other
///    keys arrive; in exchange, during such a flood a new client may be refused.
/// 4. A request locks one set of slots per quota, for some tens of nanoseconds.
///
/// Why not `governor`: its stores grow with the number of keys, which clients choose, until
/// the caller removes old ones, and its trait decides about one key synchronously, so that
/// neither stacked quotas nor remote stores fit. The decisions are tested to be the same
/// ([`gcra`](crate::gcra)).
///
/// ```
/// use stockade_rate_limit::MemoryLimitStore;
///
/// let store = MemoryLimitStore::new(100_000);
/// // Memory is allocated as clients arrive, up to a maximum.
/// assert!(store.bytes() <= store.max_bytes());
/// ```
#[derive(Clone)]
pub struct MemoryLimitStore(Arc<Shared>);

type Tables = Vec<Arc<Table>>;

struct Shared {
    /// Identifies the store in its tables.
    id: u64,
    tables: ArcSwap<Tables>,
    capacity: usize,
    clock: Box<dyn Clock>,
}

impl MemoryLimitStore {
    /// The default number of keys per quota.
    pub const DEFAULT_CAPACITY: usize = 1_000_000;

    /// The highest number of quotas. A quota without debts makes room for a new one.
    pub const MAX_QUOTAS: usize = 64;

    /// Creates a store with this capacity of keys per quota.
    ///
    /// There are almost half as many slots again, since keys are not spread evenly: 24 bytes
    /// per key at capacity.
    pub fn new(capacity: usize) -> Self {
        Self::with_clock(capacity, MonotonicClock::new())
    }

    /// Creates a store with this clock, which must not be set back: evicted debts would last
    /// longer by that time.
    pub fn with_clock(capacity: usize, clock: impl Clock) -> Self {
        static STORES: AtomicU64 = AtomicU64::new(0);
        Self(Arc::new(Shared {
            id: STORES.fetch_add(1, Ordering::Relaxed),
            tables: ArcSwap::default(),
            capacity,
            clock: Box::new(clock),
        }))
    }

    /// The memory of the states in bytes. A quota that made room for another one keeps its
    /// memory as long as its limit is in use, and is not included.
    pub fn bytes(&self) -> usize {
        self.0.tables.load().iter().map(|table| table.bytes()).sum()
    }

    /// The upper bound of the memory of one quota, in bytes.
    pub fn max_bytes(&self) -> usize {
        Table::max_bytes(self.0.capacity)
    }

    /// Decides like [`LimitStore::take`], always immediately.
    pub(crate) fn decide(&self, buckets: &[Bucket<'_>]) -> Result<Decision, StoreError> {
        self.decide_at(self.0.clock.now(), buckets)
    }

    fn decide_at(&self, now: Timestamp, buckets: &[Bucket<'_>]) -> Result<Decision, StoreError> {
        let now = now.as_nanos();
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
        // Sets are always locked in this order, which prevents deadlocks.
        ordered.sort_unstable_by_key(|(_, bucket)| bucket.quota_id().digest());
        // Two keys of one quota may be in the same set, and locking it twice would deadlock.
        assert!(
            ordered.is_sorted_by(
                |(_, one), (_, next)| one.quota_id().digest() < next.quota_id().digest()
            ),
            "the buckets of one request have different quota ids"
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
    /// A store with the [`DEFAULT_CAPACITY`](Self::DEFAULT_CAPACITY).
    fn default() -> Self {
        Self::new(Self::DEFAULT_CAPACITY)
    }
}

impl LimitStore for MemoryLimitStore {
    type Wait = NoWait;

    fn take(&self, buckets: &[Bucket<'_>]) -> StoreReply<NoWait> {
        StoreReply::Ready(self.decide(buckets))
    }

    fn take_in(&self, buckets: &[Bucket<'_>], context: &RequestContext) -> StoreReply<NoWait> {
        let now = self.0.clock.now_in(context);
        StoreReply::Ready(self.decide_at(now, buckets))
    }

    fn settle(&self, bucket: &Bucket<'_>, delta: i64) {
        let now = self.0.clock.now().as_nanos();
        // A quota without room has never allowed anything.
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
    /// The table of this bucket, if its quota id has cached it: the common case, without a
    /// look-up.
    #[inline]
    fn cached_table<'b>(&self, bucket: &Bucket<'b>) -> Option<&'b Table> {
        let table: &Table = bucket.quota_id().cached()?;
        table.is_of(self.id).then_some(table)
    }

    /// The tables, with one for each of these buckets.
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
    /// A table for this quota. A table that made room for others is reused with its memory: it
    /// has no debts.
    fn table(&self, quota_id: &QuotaId) -> Arc<Table> {
        match quota_id.cached_arc::<Table>() {
            Some(table) if table.revive(self.id) => table,
            _ => Arc::new(Table::new(self.id, quota_id.digest(), self.capacity)),
        }
    }
}

fn has(tables: &Tables, bucket: &Bucket<'_>) -> bool {
    let quota_id = bucket.quota_id().digest();
    tables.iter().any(|table| table.quota_id() == quota_id)
}

/// The table of this bucket, which is cached in its quota id.
fn find<'t>(tables: &'t Tables, bucket: &Bucket<'_>) -> &'t Table {
    let quota_id = bucket.quota_id().digest();
    let table = tables.iter().find(|table| table.quota_id() == quota_id);
    let table = table.expect("the table was created before");
    let quota_id = bucket.quota_id();
    if quota_id.cached::<Table>().is_none() {
        quota_id.cache(Arc::clone(table) as _);
    }
    table
}

impl fmt::Debug for MemoryLimitStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryLimitStore")
            .field("capacity", &self.0.capacity)
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}
