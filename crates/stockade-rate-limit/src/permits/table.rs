//! The permits in use and the requests that wait for one: a pure state machine, without lock
//! or time.

use std::collections::{BTreeMap, HashMap, hash_map};

use foldhash::fast::RandomState;

use super::counters::{CounterIndex, Counters, KeyId, Slot};

/// The permits in use, and the queues of waiting requests.
///
/// Only contended keys are stored; the permits of all others are in the [`Counters`] alone. A
/// request waits in the queue of a key that is full for it, so no request waits while all of
/// its keys have room.
#[derive(Debug)]
pub(super) struct PermitTable<W> {
    keys: HashMap<KeyId, KeyState<W>, RandomState>,
    /// The number of stored keys for each counter.
    contended: HashMap<CounterIndex, usize, RandomState>,
    waiting: usize,
    next_ticket: u64,
}

/// Tickets are issued in the order of arrival, and kept when a request moves to another queue.
type Queue<W> = BTreeMap<u64, Waiter<W>>;

#[derive(Debug)]
struct KeyState<W> {
    /// Excludes the permits in the counter.
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
    pub(super) slots: Box<[Slot]>,
}

impl<W> PermitTable<W> {
    /// Acquires all of these permits, or none and returns the index of the first full one.
    /// Then [`queue`](Self::queue) or [`refuse`](Self::refuse) has to follow.
    pub(super) fn acquire(&mut self, counters: &Counters, slots: &[Slot]) -> Result<(), usize> {
        for (index, slot) in slots.iter().enumerate() {
            let counted = self.contend(counters, slot.key);
            let state = self.keys.entry(slot.key).or_default();
            if counted.saturating_add(state.in_use) >= slot.max {
                for acquired in &slots[..index] {
                    self.release_one(counters, acquired.key);
                }
                return Err(index);
            }
            state.in_use += 1;
        }
        Ok(())
    }

    /// Queues for the permit that was found full; `None` if too many requests wait.
    pub(super) fn queue(
        &mut self,
        counters: &Counters,
        full: usize,
        slots: Box<[Slot]>,
        handle: W,
        max_waiters: usize,
    ) -> Option<u64> {
        let key = slots[full].key;
        if self.waiting >= max_waiters {
            self.remove_idle(counters, key);
            return None;
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.waiting += 1;
        self.enter(key, ticket, Waiter { slots, handle });
        Some(ticket)
    }

    /// Does not queue for the permit that was found full.
    pub(super) fn refuse(&mut self, counters: &Counters, full: &Slot) {
        self.remove_idle(counters, full.key);
    }

    /// Leaves the queue; `None` if the request was served in the meantime. Otherwise the index
    /// of the full permit, and the handle.
    pub(super) fn leave(
        &mut self,
        counters: &Counters,
        ticket: u64,
        slots: &[Slot],
    ) -> Option<(usize, W)> {
        let (full, waiter) = slots.iter().enumerate().find_map(|(index, slot)| {
            let state = self.keys.get_mut(&slot.key)?;
            Some((index, state.queue.remove(&ticket)?))
        })?;
        self.waiting -= 1;
        self.remove_idle(counters, slots[full].key);
        Some((full, waiter.handle))
    }

    /// Releases permits, and hands them to the waiting requests, first come, first served.
    pub(super) fn release(&mut self, counters: &Counters, slots: &[Slot]) -> Vec<Served<W>> {
        let mut contested = Vec::new();
        for slot in slots {
            if self.release_one(counters, slot.key) {
                contested.push(slot.key);
            }
        }
        if contested.is_empty() {
            return Vec::new();
        }
        self.serve(counters, contested)
    }

    /// Serves the queues of these keys until they are full or empty. A request that finds
    /// another of its keys full moves to that queue.
    pub(super) fn serve(
        &mut self,
        counters: &Counters,
        mut contested: Vec<KeyId>,
    ) -> Vec<Served<W>> {
        let mut served = Vec::new();
        while let Some((ticket, waiter)) = self.next(&contested) {
            match self.acquire(counters, &waiter.slots) {
                Ok(()) => {
                    self.waiting -= 1;
                    served.push(Served {
                        handle: waiter.handle,
                        slots: waiter.slots,
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
            self.remove_idle(counters, key);
        }
        served
    }

    /// The stored keys with permits in use.
    pub(super) fn keys(&self) -> impl Iterator<Item = KeyId> {
        let keys = self.keys.iter().filter(|(_, state)| state.in_use > 0);
        keys.map(|(&key, _)| key)
    }

    /// The number of waiting requests.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// The permits of this key in use.
    pub(super) fn in_use(&self, counters: &Counters, key: KeyId) -> u32 {
        let stored = self.keys.get(&key).map_or(0, |state| state.in_use);
        stored.saturating_add(counters.in_use(key))
    }

    /// Stores the key, so that its permits are acquired under the lock only. Returns how many
    /// were acquired without it.
    fn contend(&mut self, counters: &Counters, key: KeyId) -> u32 {
        if let hash_map::Entry::Vacant(entry) = self.keys.entry(key) {
            entry.insert(KeyState::default());
            *self.contended.entry(key.index()).or_default() += 1;
        }
        counters.contend(key)
    }

    /// Releases one permit, and returns whether a request waits for it.
    fn release_one(&mut self, counters: &Counters, key: KeyId) -> bool {
        let Some(state) = self.keys.get_mut(&key) else {
            unreachable!("a released permit is in use");
        };
        state.in_use -= 1;
        let contested = !state.queue.is_empty();
        if !contested {
            self.remove_idle(counters, key);
        }
        contested
    }

    /// Takes the request that has waited longest for one of these keys.
    fn next(&mut self, keys: &[KeyId]) -> Option<(u64, Waiter<W>)> {
        let first = |key| self.keys.get(key)?.queue.first_key_value();
        let (_, key) = keys
            .iter()
            .filter_map(|key| Some((first(key)?.0, key)))
            .min_by_key(|(ticket, _)| *ticket)?;
        self.keys.get_mut(key)?.queue.pop_first()
    }

    /// Removes a key without stored permits and waiting requests.
    fn remove_idle(&mut self, counters: &Counters, key: KeyId) {
        let hash_map::Entry::Occupied(entry) = self.keys.entry(key) else {
            return;
        };
        if entry.get().in_use > 0 || !entry.get().queue.is_empty() {
            return;
        }
        entry.remove();
        if let hash_map::Entry::Occupied(mut stored) = self.contended.entry(key.index()) {
            *stored.get_mut() -= 1;
            if *stored.get() == 0 {
                stored.remove();
                counters.settle(key);
            }
        }
    }

    fn enter(&mut self, key: KeyId, ticket: u64, waiter: Waiter<W>) {
        let state = self.keys.entry(key).or_default();
        state.queue.insert(ticket, waiter);
    }
}

impl<W> Default for PermitTable<W> {
    fn default() -> Self {
        Self {
            keys: HashMap::default(),
            contended: HashMap::default(),
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
