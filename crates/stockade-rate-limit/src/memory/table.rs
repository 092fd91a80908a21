//! The keys of one quota.

use std::sync::{
    Mutex, MutexGuard, OnceLock, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use super::set::Set;

/// Sets of slots, in segments that are allocated when needed.
pub(crate) struct Table {
    store: u64,
    quota_id: u64,
    segments: Box<[OnceLock<Segment>]>,
    /// The time after which no key has a debt, in nanoseconds.
    forgotten_at: AtomicU64,
    /// Whether the store has dropped the table. A quota id may still cache it.
    forgotten: AtomicBool,
}

type Segment = Box<[AlignedSet; SETS]>;

/// A segment of 16 kB. Smaller ones would need a directory too large for a cache; larger ones
/// waste memory for few clients.
const SETS: usize = 85;

#[repr(align(64))]
struct AlignedSet(Mutex<Set>);

impl Table {
    pub(super) fn new(store: u64, quota_id: u64, capacity: usize) -> Self {
        Self {
            store,
            quota_id,
            segments: (0..segments(capacity)).map(|_| OnceLock::new()).collect(),
            forgotten_at: AtomicU64::new(0),
            forgotten: AtomicBool::new(false),
        }
    }

    pub(super) fn quota_id(&self) -> u64 {
        self.quota_id
    }

    /// Whether it belongs to this store and is in use.
    pub(super) fn is_of(&self, store: u64) -> bool {
        self.store == store && !self.forgotten.load(Ordering::Relaxed)
    }

    /// Locks the set of the key with this digest.
    pub(super) fn lock(&self, digest: u64) -> MutexGuard<'_, Set> {
        let sets = self.segments.len() * SETS;
        // The upper bits of the product select one of equal ranges of digests.
        let set = ((u128::from(digest) * sets as u128) >> 64) as usize;
        let segment = self.segments[set / SETS]
            .get_or_init(|| Box::new([const { AlignedSet(Mutex::new(Set::EMPTY)) }; SETS]));
        // A set is consistent even after a panic: its fields are written one by one.
        let AlignedSet(set) = &segment[set % SETS];
        set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that a key has a debt until then.
    pub(super) fn keep_until(&self, time: u64) {
        // Updated with slack, so that threads do not contend for it.
        if time > self.forgotten_at.load(Ordering::Relaxed) {
            let later = time.saturating_add(SLACK);
            self.forgotten_at.fetch_max(later, Ordering::Relaxed);
        }
    }

    /// Whether no key has a debt any more; then the cached reference is no longer used.
    pub(super) fn forget(&self, now: u64) -> bool {
        let idle = self.forgotten_at.load(Ordering::Relaxed) < now;
        if idle {
            self.forgotten.store(true, Ordering::Relaxed);
        }
        idle
    }

    /// Whether it belongs to this store, which uses it again.
    pub(super) fn revive(&self, store: u64) -> bool {
        let ours = self.store == store;
        if ours {
            self.forgotten.store(false, Ordering::Relaxed);
        }
        ours
    }

    pub(super) fn bytes(&self) -> usize {
        let made = self.segments.iter().filter(|it| it.get().is_some());
        directory(self.segments.len()) + made.count() * size_of::<[AlignedSet; SETS]>()
    }

    pub(super) fn max_bytes(capacity: usize) -> usize {
        let segments = segments(capacity);
        directory(segments) + segments * size_of::<[AlignedSet; SETS]>()
    }
}

/// One second, in nanoseconds.
const SLACK: u64 = 1_000_000_000;

/// More slots than keys, since digests are not spread evenly. At capacity, two of a hundred
/// keys find their set full.
fn segments(capacity: usize) -> usize {
    let slots = capacity.max(1).saturating_mul(29).div_ceil(20);
    slots.div_ceil(Set::SLOTS * SETS)
}

fn directory(segments: usize) -> usize {
    size_of::<Table>() + segments * size_of::<OnceLock<Segment>>()
}
