//! A bounded queue that shares a server between keys in proportion to their weights: a pure data
//! structure.
//!
//! Start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996): the work of a key moves its
//! virtual time forward, by the cost divided by the weight, and the key with the earliest virtual
//! time is next. In contrast to deficit round robin, a key that has not used the server lately is
//! next at once, however many other keys wait.

use std::{
    collections::{BTreeSet, HashMap, VecDeque, hash_map::Entry},
    hash::Hash,
    num::NonZeroU32,
    time::Duration,
};

/// The maximum number of keys without items whose virtual time is remembered. Beyond it, the
/// smallest debt is forgotten.
const MAX_IDLE_KEYS: usize = 1_024;

/// A virtual time, in nanoseconds of a key with weight 1.
type Tag = u64;

/// A bounded queue that serves the key with the least work for its weight.
///
/// When it is full, an item of a key with few items takes the place of the newest item of the key
/// with the most; one key cannot lock out the others.
#[derive(Debug)]
pub(crate) struct FairQueue<K, T> {
    flows: HashMap<K, Flow<T>>,
    /// The keys with items, by their virtual time and the arrival of their oldest item.
    turns: BTreeSet<(Tag, u64, K)>,
    /// The keys without items that are ahead of the clock.
    idle: BTreeSet<(Tag, K)>,
    /// The virtual time of the latest item that was served.
    clock: Tag,
    len: usize,
    capacity: usize,
    next_id: u64,
}

/// The items of a key.
#[derive(Debug)]
struct Flow<T> {
    /// The virtual time of its next item.
    start: Tag,
    weight: NonZeroU32,
    items: VecDeque<Queued<T>>,
}

#[derive(Debug)]
struct Queued<T> {
    id: u64,
    cost: Duration,
    item: T,
}

/// Who takes a share of a server, and of which size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share<K> {
    /// Who takes it, such as a client.
    pub key: K,
    /// A key of weight 2 gets twice the time of a key of weight 1.
    pub weight: NonZeroU32,
}

/// Identifies an item of a queue.
#[derive(Debug)]
pub(crate) struct Place<K> {
    key: K,
    id: u64,
}

impl<K: Copy + Eq + Hash + Ord, T> FairQueue<K, T> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            flows: HashMap::new(),
            turns: BTreeSet::new(),
            idle: BTreeSet::new(),
            clock: 0,
            len: 0,
            capacity,
            next_id: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether [`push`](Self::push) would refuse an item of this key.
    pub(crate) fn is_full_for(&self, key: K) -> bool {
        self.len >= self.capacity && self.longest_other(key).is_none()
    }

    /// Adds an item, and returns the item that it displaced.
    ///
    /// # Errors
    /// Returns the item if the queue is full.
    pub(crate) fn push(
        &mut self,
        share: Share<K>,
        cost: Duration,
        item: T,
    ) -> Result<(Place<K>, Option<T>), T> {
        let Share { key, weight } = share;
        let mut displaced = None;
        if self.len >= self.capacity {
            match self.longest_other(key) {
                Some(longest) => displaced = self.take(longest, VecDeque::pop_back),
                None => return Err(item),
            }
        }
        let id = self.next_id;
        self.next_id += 1;
        self.update(key, |flow, clock| {
            if flow.items.is_empty() {
                flow.start = flow.start.max(clock);
            }
            flow.weight = weight;
            flow.items.push_back(Queued { id, cost, item });
        });
        self.len += 1;
        Ok((Place { key, id }, displaced))
    }

    /// Removes the next item, and adds its cost to the work of its key.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let (start, _, key) = *self.turns.first()?;
        let cost = self.flows.get(&key)?.items.front()?.cost;
        let item = self.take(key, VecDeque::pop_front);
        self.clock = self.clock.max(start);
        self.update(key, |flow, _| flow.advance(cost));
        item
    }

    /// Removes an item that has not been served yet.
    pub(crate) fn remove(&mut self, place: &Place<K>) -> Option<T> {
        self.take(place.key, |items| {
            let found = items.binary_search_by_key(&place.id, |queued| queued.id);
            items.remove(found.ok()?)
        })
    }

    /// Removes all items.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = T> + use<K, T> {
        self.turns.clear();
        self.idle.clear();
        self.len = 0;
        let flows = std::mem::take(&mut self.flows).into_values();
        flows.flat_map(|flow| flow.items).map(|queued| queued.item)
    }

    /// The key with the most items, if `key` would still have fewer with one more.
    fn longest_other(&self, key: K) -> Option<K> {
        let own = self.flows.get(&key).map_or(0, |flow| flow.items.len());
        let lengths = self.flows.iter().map(|(key, flow)| (flow.items.len(), key));
        let (items, longest) = lengths.max()?;
        (items > own + 1).then_some(*longest)
    }

    fn take(
        &mut self,
        key: K,
        take: impl FnOnce(&mut VecDeque<Queued<T>>) -> Option<Queued<T>>,
    ) -> Option<T> {
        if !self.flows.contains_key(&key) {
            return None;
        }
        let mut taken = None;
        self.update(key, |flow, _| taken = take(&mut flow.items));
        let taken = taken?;
        self.len -= 1;
        Some(taken.item)
    }

    /// Changes a flow, and its place in the order of the turns.
    fn update(&mut self, key: K, change: impl FnOnce(&mut Flow<T>, Tag)) {
        let mut entry = match self.flows.entry(key) {
            Entry::Vacant(vacant) => vacant.insert_entry(Flow::new(self.clock)),
            Entry::Occupied(occupied) => occupied,
        };
        let flow = entry.get_mut();
        match flow.turn(key) {
            Some(turn) => self.turns.remove(&turn),
            None => self.idle.remove(&(flow.start, key)),
        };
        change(flow, self.clock);
        match flow.turn(key) {
            Some(turn) => {
                self.turns.insert(turn);
            }
            None => {
                self.idle.insert((flow.start, key));
                self.forget_idle();
            }
        }
    }

    /// Adds the work of an item that did not wait.
    pub(crate) fn charge(&mut self, share: Share<K>, cost: Duration) {
        let clock = self.clock;
        let mut start = clock;
        self.update(share.key, |flow, _| {
            flow.weight = share.weight;
            flow.start = flow.start.max(clock);
            start = flow.start;
            flow.advance(cost);
        });
        if self.len == 0 {
            // Otherwise it would overtake those that wait.
            self.clock = start;
        }
    }

    /// Forgets the work of all keys, when the server is idle.
    ///
    /// It changes nothing while items wait.
    pub(crate) fn forget_work(&mut self) {
        if self.len == 0 {
            self.flows.clear();
            self.idle.clear();
            self.clock = 0;
        }
    }

    /// Forgets the keys that are not ahead of the others.
    fn forget_idle(&mut self) {
        while let Some((start, key)) = self.idle.first().copied()
            && (start <= self.clock || self.idle.len() > MAX_IDLE_KEYS)
        {
            self.idle.pop_first();
            self.flows.remove(&key);
        }
    }
}

/// What engines need, which share their time.
#[cfg(any(feature = "mistralrs", test))]
impl<K: Copy + Eq + Hash + Ord, T> FairQueue<K, T> {
    /// The items of all keys, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        let items = self.flows.values().flat_map(|flow| &flow.items);
        items.map(|queued| &queued.item)
    }

    /// The item that is served next.
    pub(crate) fn peek(&self) -> Option<&T> {
        let (_, _, key) = self.turns.first()?;
        let next = self.flows.get(key)?.items.front()?;
        Some(&next.item)
    }

    /// Corrects the work of a key by the difference between the cost of an item and what it took.
    pub(crate) fn correct(&mut self, share: Share<K>, cost: Duration, took: Duration) {
        self.update(share.key, |flow, clock| {
            if flow.items.is_empty() {
                flow.weight = share.weight;
                flow.start = flow.start.max(clock);
            }
            if took > cost {
                flow.advance(took - cost);
            } else {
                flow.start = flow.start.saturating_sub(flow.virtual_time(cost - took));
            }
        });
    }
}

impl<T> Flow<T> {
    fn new(start: Tag) -> Self {
        Self {
            start,
            weight: NonZeroU32::MIN,
            items: VecDeque::new(),
        }
    }

    fn turn<K>(&self, key: K) -> Option<(Tag, u64, K)> {
        let oldest = self.items.front()?;
        Some((self.start, oldest.id, key))
    }

    fn advance(&mut self, cost: Duration) {
        self.start = self.start.saturating_add(self.virtual_time(cost));
    }

    fn virtual_time(&self, cost: Duration) -> Tag {
        let nanos = u64::try_from(cost.as_nanos()).unwrap_or(u64::MAX);
        nanos / u64::from(self.weight.get())
    }
}

impl<K> Share<K> {
    /// The share of a key with weight 1.
    pub fn new(key: K) -> Self {
        Self {
            key,
            weight: NonZeroU32::MIN,
        }
    }
}

#[cfg(test)]
mod tests;
