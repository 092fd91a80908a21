//! The permits in use and the requests that wait for one: a pure state machine, without lock
//! or time.

use std::collections::{BTreeMap, HashMap, hash_map};

use foldhash::fast::RandomState;

/// The digest of a limit's name, and that of a key. Two numbers instead of a u128, whose
/// larger alignment would pad everything that holds it.
pub(super) type Key = [u64; 2];

/// A requested permit: one of `max` for this key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) key: Key,
    pub(super) max: u32,
}

/// The permits in use, and the queues of waiting requests.
///
/// Only keys in use are stored. A request waits in the queue of a key that is full for it, so
/// no request waits while all of its keys have room.
#[derive(Debug)]
pub(super) struct PermitTable<W> {
    keys: HashMap<Key, KeyState<W>, RandomState>,
    waiting: usize,
    next_ticket: u64,
}

/// Tickets are issued in the order of arrival, and kept when a request moves to another queue.
type Queue<W> = BTreeMap<u64, Waiter<W>>;

#[derive(Debug)]
struct KeyState<W> {
    in_use: u32,
    queue: Queue<W>,
}

#[derive(Debug)]
struct Waiter<W> {
    slots: Box<[Slot]>,
    handle: W,
}

/// A request that was served, and its permits.
#[derive(Debug)]
pub(super) struct Served<W> {
    pub(super) handle: W,
    pub(super) places: Box<[Slot]>,
}

impl<W> PermitTable<W> {
    /// Acquires all of these permits, or none and returns the index of the first full one.
    pub(super) fn take(&mut self, slots: &[Slot]) -> Result<(), usize> {
        for (index, place) in slots.iter().enumerate() {
            let subject = self.keys.entry(place.key).or_default();
            if subject.in_use >= place.max {
                for taken in &slots[..index] {
                    self.release_one(taken.key);
                }
                return Err(index);
            }
            subject.in_use += 1;
        }
        Ok(())
    }

    /// Queues for the permit that was found full; `None` if too many requests wait.
    pub(super) fn queue(
        &mut self,
        full: usize,
        slots: Box<[Slot]>,
        handle: W,
        max_waiters: usize,
    ) -> Option<u64> {
        if self.waiting >= max_waiters {
            return None;
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.waiting += 1;
        let key = slots[full].key;
        self.enter(key, ticket, Waiter { slots, handle });
        Some(ticket)
    }

    /// Leaves the queue; `None` if the request was served in the meantime. Otherwise the index
    /// of the full permit, and the handle.
    pub(super) fn leave(&mut self, ticket: u64, slots: &[Slot]) -> Option<(usize, W)> {
        let (full, waiter) = slots.iter().enumerate().find_map(|(index, place)| {
            let subject = self.keys.get_mut(&place.key)?;
            Some((index, subject.queue.remove(&ticket)?))
        })?;
        self.waiting -= 1;
        Some((full, waiter.handle))
    }

    /// Releases permits, and hands them to the waiting requests, first come, first served.
    pub(super) fn free(&mut self, places: &[Slot]) -> Vec<Served<W>> {
        let mut contested = Vec::new();
        for place in places {
            if self.release_one(place.key) {
                contested.push(place.key);
            }
        }
        if contested.is_empty() {
            return Vec::new();
        }
        self.serve(contested)
    }

    /// The number of keys in use.
    pub(super) fn keys(&self) -> usize {
        self.keys.len()
    }

    /// The number of waiting requests.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// The permits of this key in use.
    pub(super) fn in_use(&self, key: Key) -> u32 {
        self.keys.get(&key).map_or(0, |subject| subject.in_use)
    }

    /// Releases one permit, and returns whether a request waits for it.
    fn release_one(&mut self, key: Key) -> bool {
        let hash_map::Entry::Occupied(mut entry) = self.keys.entry(key) else {
            unreachable!("a released permit is in use");
        };
        let subject = entry.get_mut();
        subject.in_use -= 1;
        let contested = !subject.queue.is_empty();
        if subject.in_use == 0 && !contested {
            entry.remove();
        }
        contested
    }

    /// Serves the queues of these keys until they are full or empty. A request that finds
    /// another of its keys full moves to that queue.
    fn serve(&mut self, mut contested: Vec<Key>) -> Vec<Served<W>> {
        let mut served = Vec::new();
        while let Some((ticket, waiter)) = self.next(&contested) {
            match self.take(&waiter.slots) {
                Ok(()) => {
                    self.waiting -= 1;
                    served.push(Served {
                        handle: waiter.handle,
                        places: waiter.slots,
                    });
                }
                Err(full) => {
                    let full = waiter.slots[full].key;
                    contested.retain(|&key| key != full);
                    self.enter(full, ticket, waiter);
                }
            }
        }
        for key in contested {
            self.forget_idle(key);
        }
        served
    }

    /// Takes the request that has waited longest for one of these keys.
    fn next(&mut self, keys: &[Key]) -> Option<(u64, Waiter<W>)> {
        let first = |key| self.keys.get(key)?.queue.first_key_value();
        let (_, key) = keys
            .iter()
            .filter_map(|key| Some((first(key)?.0, key)))
            .min()?;
        self.keys.get_mut(key)?.queue.pop_first()
    }

    fn forget_idle(&mut self, key: Key) {
        if let hash_map::Entry::Occupied(entry) = self.keys.entry(key)
            && entry.get().in_use == 0
            && entry.get().queue.is_empty()
        {
            entry.remove();
        }
    }

    fn enter(&mut self, key: Key, ticket: u64, waiter: Waiter<W>) {
        let subject = self.keys.entry(key).or_default();
        subject.queue.insert(ticket, waiter);
    }
}

impl<W> Default for PermitTable<W> {
    fn default() -> Self {
        Self {
            keys: HashMap::default(),
            waiting: 0,
            next_ticket: 0,
        }
    }
}

impl<W> Default for KeyState<W> {
    fn default() -> Self {
        Self {
            in_use: 0,
            queue: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests;
