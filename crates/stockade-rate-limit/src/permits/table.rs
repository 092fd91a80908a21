//! Who has a place and who waits for one: a state and its transitions, without lock and
//! time.

use std::collections::{BTreeMap, HashMap, hash_map};

use foldhash::fast::RandomState;

/// A digest of a limit's name, and one of its subject. Two numbers and not one of twice the
/// size: that would make whatever holds it twice as aligned, which many allocators mind.
pub(super) type Key = [u64; 2];

/// A place that is asked for: one of `max` for this subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) key: Key,
    pub(super) max: u32,
}

/// Places in use, and in what order others wait for them.
///
/// Only subjects in use are kept. Whoever waits stands in the queue of a subject that is
/// full for it; so where there is place, nobody waits for it.
#[derive(Debug)]
pub(super) struct PermitTable<W> {
    keys: HashMap<Key, KeyState<W>, RandomState>,
    waiting: usize,
    next_ticket: u64,
}

/// Tickets are drawn in the order of arrival, and kept on the way from queue to queue.
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

/// A waiter whose turn has come, and the places that are now its own.
#[derive(Debug)]
pub(super) struct Served<W> {
    pub(super) handle: W,
    pub(super) places: Box<[Slot]>,
}

impl<W> PermitTable<W> {
    /// Takes all of these places, or none and says which is the first that is full.
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

    /// Queues for the place that was found full; `None` where so many wait already.
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

    /// Ends a wait; `None` where it was served in the meantime. Otherwise the index of the
    /// place that it stood in the queue of, and its handle.
    pub(super) fn leave(&mut self, ticket: u64, slots: &[Slot]) -> Option<(usize, W)> {
        let (full, waiter) = slots.iter().enumerate().find_map(|(index, place)| {
            let subject = self.keys.get_mut(&place.key)?;
            Some((index, subject.queue.remove(&ticket)?))
        })?;
        self.waiting -= 1;
        Some((full, waiter.handle))
    }

    /// Frees places, and hands them to those who wait for them, first come, first served.
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

    /// Subjects in use.
    pub(super) fn keys(&self) -> usize {
        self.keys.len()
    }

    /// Who waits.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Places of this subject that are in use.
    pub(super) fn in_use(&self, key: Key) -> u32 {
        self.keys.get(&key).map_or(0, |subject| subject.in_use)
    }

    /// Gives one place back, and says whether somebody waits for it.
    fn release_one(&mut self, key: Key) -> bool {
        let hash_map::Entry::Occupied(mut entry) = self.keys.entry(key) else {
            unreachable!("a place that is given back is in use");
        };
        let subject = entry.get_mut();
        subject.in_use -= 1;
        let contested = !subject.queue.is_empty();
        if subject.in_use == 0 && !contested {
            entry.remove();
        }
        contested
    }

    /// Serves the queues of these subjects until they are full again or nobody waits for
    /// them. Whoever finds another of its subjects full goes on to wait there.
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

    /// Calls up whoever has waited longest for one of these subjects.
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
