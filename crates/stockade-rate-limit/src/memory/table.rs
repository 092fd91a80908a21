//! The subjects of one lane.

use std::sync::{
    Mutex, MutexGuard, OnceLock, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use super::set::Set;

/// Sets of places, in segments that are made when they are needed.
pub(crate) struct Table {
    store: u64,
    quota_id: u64,
    segments: Box<[OnceLock<Segment>]>,
    /// When it may be forgotten if it is not used any more, in nanoseconds.
    forgotten_at: AtomicU64,
    /// Whether the store has forgotten it, or is about to. Its lane may still know it, and
    /// keeps its memory as long as there is the lane.
    forgotten: AtomicBool,
}

type Segment = Box<[AlignedSet; SETS]>;

/// So that a segment has 16 kB. Smaller ones make a directory that is too big for a cache,
/// larger ones are a waste where few clients come.
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

    /// Whether it is one of this store's, and not forgotten.
    pub(super) fn is_of(&self, store: u64) -> bool {
        self.store == store && !self.forgotten.load(Ordering::Relaxed)
    }

    /// Locks the set in which the subject of this digest is.
    pub(super) fn lock(&self, digest: u64) -> MutexGuard<'_, Set> {
        let sets = self.segments.len() * SETS;
        // The upper bits of a product say in which of so many equal parts the digest lies.
        let set = ((u128::from(digest) * sets as u128) >> 64) as usize;
        let segment = self.segments[set / SETS]
            .get_or_init(|| Box::new([const { AlignedSet(Mutex::new(Set::EMPTY)) }; SETS]));
        // A set is whole at every moment: its numbers are written one by one.
        let AlignedSet(set) = &segment[set % SETS];
        set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that somebody will owe something until then.
    pub(super) fn keep_until(&self, time: u64) {
        // Once in a while is enough, so that processors do not fight for the number.
        if time > self.forgotten_at.load(Ordering::Relaxed) {
            let later = time.saturating_add(SLACK);
            self.forgotten_at.fetch_max(later, Ordering::Relaxed);
        }
    }

    /// Whether nobody owes anything any more; then its lane may use it no longer without
    /// asking the store.
    pub(super) fn forget(&self, now: u64) -> bool {
        let idle = self.forgotten_at.load(Ordering::Relaxed) < now;
        if idle {
            self.forgotten.store(true, Ordering::Relaxed);
        }
        idle
    }

    /// Whether it is one of this store's, which uses it again.
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

/// A second, in nanoseconds.
const SLACK: u64 = 1_000_000_000;

/// More places than subjects, since digests do not fall evenly. Where all subjects are
/// there, two in a hundred find all places taken that they may have.
fn segments(capacity: usize) -> usize {
    let slots = capacity.max(1).saturating_mul(29).div_ceil(20);
    slots.div_ceil(Set::SLOTS * SETS)
}

fn directory(segments: usize) -> usize {
    size_of::<Table>() + segments * size_of::<OnceLock<Segment>>()
}
