//! A concurrent map of bounded size.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicUsize, Ordering},
    },
};

use indexmap::IndexMap;

use crate::Offender;

const SHARDS: usize = 16;
/// The number of entries that are inspected when one is added.
const SWEEP: usize = 8;

/// A map from offenders to values, bounded by a capacity.
///
/// Adding an entry inspects a few others and removes the expired ones; there is no full
/// sweep. If the shard is still full, the lowest-ranked of the inspected entries is removed,
/// so the highest-ranked one never is.
pub(crate) struct Table<V> {
    shards: Box<[RwLock<Shard<V>>]>,
    hasher: RandomState,
    shard_capacity: usize,
    len: AtomicUsize,
}

struct Shard<V> {
    entries: IndexMap<Offender, V, RandomState>,
    cursor: usize,
}

impl<V> Table<V> {
    /// Creates a table with this capacity, rounded up to a multiple of 16.
    pub(crate) fn new(capacity: usize) -> Self {
        let shard = || {
            RwLock::new(Shard {
                entries: IndexMap::default(),
                cursor: 0,
            })
        };
        Self {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            hasher: RandomState::new(),
            shard_capacity: capacity.div_ceil(SHARDS).max(1),
            len: AtomicUsize::new(0),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    /// Reads the entry of this offender.
    pub(crate) fn read<R>(&self, offender: &Offender, read: impl FnOnce(&V) -> R) -> Option<R> {
        self.readable(self.shard(offender))
            .entries
            .get(offender)
            .map(read)
    }

    /// Changes the entry of this offender, after adding one if necessary. `rank` returns the
    /// rank of an entry, or `None` if it has expired. Also returns the removed entries.
    pub(crate) fn change<R, K>(
        &self,
        offender: &Offender,
        new: impl FnOnce() -> V,
        change: impl FnOnce(&mut V) -> R,
        rank: impl Fn(&V) -> Option<K>,
    ) -> (R, Vec<(Offender, V)>)
    where
        K: Ord,
    {
        let mut shard = self.writable(self.shard(offender));
        if let Some(entry) = shard.entries.get_mut(offender) {
            return (change(entry), Vec::new());
        }
        let removed = shard.make_room(self.shard_capacity, rank);
        let result = change(shard.entries.entry(offender.clone()).or_insert_with(new));
        self.len.fetch_add(1, Ordering::Release);
        self.len.fetch_sub(removed.len(), Ordering::Release);
        (result, removed)
    }

    pub(crate) fn remove(&self, offender: &Offender) -> Option<V> {
        let mut shard = self.writable(self.shard(offender));
        let removed = shard.entries.swap_remove(offender);
        self.len
            .fetch_sub(usize::from(removed.is_some()), Ordering::Release);
        removed
    }

    /// Removes all entries that match.
    pub(crate) fn remove_where(
        &self,
        matches: impl Fn(&Offender, &V) -> bool,
    ) -> Vec<(Offender, V)> {
        let mut removed = Vec::new();
        for at in 0..SHARDS {
            let mut shard = self.writable(at);
            let taken = shard
                .entries
                .extract_if(.., |offender, value| matches(offender, value));
            let before = removed.len();
            removed.extend(taken);
            self.len
                .fetch_sub(removed.len() - before, Ordering::Release);
        }
        removed
    }

    /// Visits all entries, locking one shard at a time.
    pub(crate) fn for_each(&self, mut look: impl FnMut(&Offender, &V)) {
        for at in 0..SHARDS {
            let shard = self.readable(at);
            shard
                .entries
                .iter()
                .for_each(|(offender, value)| look(offender, value));
        }
    }

    fn shard(&self, offender: &Offender) -> usize {
        self.hasher.hash_one(offender) as usize % SHARDS
    }

    // No code panics while holding a lock, and each step leaves the shard consistent.
    fn readable(&self, at: usize) -> RwLockReadGuard<'_, Shard<V>> {
        self.shards[at]
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn writable(&self, at: usize) -> RwLockWriteGuard<'_, Shard<V>> {
        self.shards[at]
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V> Shard<V> {
    fn make_room<K>(
        &mut self,
        capacity: usize,
        rank: impl Fn(&V) -> Option<K>,
    ) -> Vec<(Offender, V)>
    where
        K: Ord,
    {
        let mut removed = Vec::new();
        let mut least: Option<(K, Offender)> = None;
        for _ in 0..SWEEP.min(self.entries.len()) {
            self.cursor = if self.cursor < self.entries.len() {
                self.cursor
            } else {
                0
            };
            let Some((offender, value)) = self.entries.get_index(self.cursor) else {
                break;
            };
            match rank(value) {
                None => removed.extend(self.entries.swap_remove_index(self.cursor)),
                Some(rank) => {
                    if least.as_ref().is_none_or(|(least, _)| rank < *least) {
                        least = Some((rank, offender.clone()));
                    }
                    self.cursor += 1;
                }
            }
        }
        if self.entries.len() >= capacity
            && let Some((_, offender)) = least
        {
            removed.extend(self.entries.swap_remove_entry(&offender));
        }
        removed
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use stockade_core::client::IpPrefix;

    use super::*;

    fn client(number: u32) -> Offender {
        Offender::Network(IpPrefix::host(Ipv4Addr::from(number).into()))
    }

    fn set(table: &Table<u32>, number: u32, value: u32) {
        table.change(
            &client(number),
            || value,
            |entry| *entry = value,
            |value| Some(*value),
        );
    }

    // D05, R06
    #[test]
    fn respects_the_capacity_and_keeps_the_highest_rank() {
        let table = Table::new(1_600);
        set(&table, 0, u32::MAX);
        for number in 1..200_000 {
            set(&table, number, number % 7);
        }
        assert!(table.len() <= 1_600, "{}", table.len());
        assert_eq!(table.read(&client(0), |value| *value), Some(u32::MAX));
        let mut counted = 0;
        table.for_each(|_, _| counted += 1);
        assert_eq!(counted, table.len());
    }

    #[test]
    fn removes_expired_entries_first() {
        let table = Table::new(16);
        for number in 0..1_000 {
            table.change(&client(number), || 0, |_| (), |_| None::<u32>);
        }
        assert!(table.len() <= 16);
        assert_eq!(
            table.remove_where(|_, _| true).len(),
            table.shards.len().min(16)
        );
        assert_eq!(table.len(), 0);
    }
}
