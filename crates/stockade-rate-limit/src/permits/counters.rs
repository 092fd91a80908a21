//! Lock-free counters for the permits of uncontended keys.

use std::sync::atomic::{AtomicU64, Ordering};

/// Identifies a limit and a key: 12 bits select a counter, 43 bits are its tag.
///
/// Two keys share their permits if both parts are equal: with 100,000 keys in use, about once
/// in seven million. Clients cannot construct such keys, since the digests are keyed randomly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct KeyId(u64);

/// A requested permit: one of `max` for this key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) key: KeyId,
    pub(super) max: u32,
}

/// The result of an attempt without a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    Acquired,
    Full,
    /// Needs the lock: the counter belongs to another key, or requests wait.
    Contended,
}

/// One counter per key, as long as no other key needs the same one and no request waits.
///
/// A counter is a tag, a flag and a count. Without the flag, permits are acquired and released
/// by compare-and-swap. The flag is set and cleared under the lock of the permit table. While
/// it is set, permits are only acquired under that lock, and a release has to serve the queue
/// of the key.
pub(super) struct Counters(Box<[AtomicU64]>);

/// The index of a counter, 12 bits.
pub(super) type CounterIndex = u16;

const COUNTERS: usize = 1 << 12;
const COUNT: u64 = (1 << 20) - 1;
const CONTENDED: u64 = 1 << 20;
const INDEX: u64 = COUNTERS as u64 - 1;
const TAG: u64 = !(COUNT | CONTENDED);

impl KeyId {
    pub(super) fn new(limit: u64, key: u64) -> Self {
        Self((limit.rotate_left(17) ^ key) & (TAG | INDEX))
    }

    /// The counter of this key.
    pub(super) fn index(self) -> CounterIndex {
        (self.0 & INDEX) as CounterIndex
    }

    fn tag(self) -> u64 {
        self.0 & TAG
    }

    fn count(self, state: u64) -> u32 {
        match state & TAG == self.tag() {
            true => (state & COUNT) as u32,
            false => 0,
        }
    }
}

impl Counters {
    /// Acquires a permit, unless that needs the lock.
    pub(super) fn acquire(&self, slot: &Slot) -> Attempt {
        let counter = self.of(slot.key);
        let mut state = counter.load(Ordering::Relaxed);
        loop {
            let next = match state & COUNT {
                _ if state & CONTENDED != 0 => return Attempt::Contended,
                0 => slot.key.tag() | 1,
                _ if state & TAG != slot.key.tag() => return Attempt::Contended,
                count if count >= u64::from(slot.max) => return Attempt::Full,
                COUNT => return Attempt::Contended,
                _ => state + 1,
            };
            match counter.compare_exchange_weak(state, next, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Attempt::Acquired,
                Err(current) => state = current,
            }
        }
    }

    /// Releases a permit. Returns the key if its queue has to be served.
    pub(super) fn release(&self, index: CounterIndex) -> Option<KeyId> {
        let state = self.0[usize::from(index)].fetch_sub(1, Ordering::AcqRel);
        let contended = state & CONTENDED != 0;
        contended.then_some(KeyId(state & TAG | u64::from(index)))
    }

    /// Stops acquisitions without the lock; returns the permits of this key in use. Requires
    /// the lock.
    pub(super) fn contend(&self, key: KeyId) -> u32 {
        key.count(self.of(key).fetch_or(CONTENDED, Ordering::AcqRel))
    }

    /// Allows acquisitions without the lock again. Requires the lock.
    pub(super) fn settle(&self, key: KeyId) {
        self.of(key).fetch_and(!CONTENDED, Ordering::AcqRel);
    }

    /// The permits of this key in use that were acquired without the lock.
    pub(super) fn in_use(&self, key: KeyId) -> u32 {
        key.count(self.of(key).load(Ordering::Acquire))
    }

    /// The keys with such permits.
    pub(super) fn keys(&self) -> impl Iterator<Item = KeyId> {
        self.0.iter().enumerate().filter_map(|(index, counter)| {
            let state = counter.load(Ordering::Acquire);
            (state & COUNT != 0).then_some(KeyId(state & TAG | index as u64))
        })
    }

    /// Whether no permit is in use and no counter contended.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        let idle = |counter: &AtomicU64| counter.load(Ordering::Acquire) & !TAG == 0;
        self.0.iter().all(idle)
    }

    fn of(&self, key: KeyId) -> &AtomicU64 {
        // The index is less than the number of counters.
        &self.0[usize::from(key.index())]
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self((0..COUNTERS).map(|_| AtomicU64::new(0)).collect())
    }
}
