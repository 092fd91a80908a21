//! A bounded queue that serves its keys in turns: a pure data structure.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
};

/// A bounded queue that serves its keys round robin. An item waits for at most one item of each
/// other key, however many these have.
///
/// When it is full, an item of a key with few items takes the place of the newest item of the key
/// with the most; one key cannot lock out the others.
#[derive(Debug)]
pub(super) struct FairQueue<K, T> {
    items: HashMap<K, VecDeque<(u64, T)>>,
    /// The keys with items, in the order of their turns.
    turns: VecDeque<K>,
    len: usize,
    capacity: usize,
    next_id: u64,
}

/// Identifies an item of a queue.
#[derive(Debug)]
pub(super) struct Place<K> {
    key: K,
    id: u64,
}

impl<K: Copy + Eq + Hash, T> FairQueue<K, T> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            items: HashMap::new(),
            turns: VecDeque::new(),
            len: 0,
            capacity,
            next_id: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether [`push`](Self::push) would refuse an item of this key.
    pub(super) fn is_full_for(&self, key: K) -> bool {
        self.len >= self.capacity && self.longest_other(key).is_none()
    }

    /// Adds an item, and returns the item that it displaced.
    ///
    /// # Errors
    /// Returns the item if the queue is full.
    pub(super) fn push(&mut self, key: K, item: T) -> Result<(Place<K>, Option<T>), T> {
        let mut displaced = None;
        if self.len >= self.capacity {
            match self.longest_other(key) {
                Some(longest) => displaced = self.take(longest, VecDeque::pop_back),
                None => return Err(item),
            }
        }
        let id = self.next_id;
        self.next_id += 1;
        let items = self.items.entry(key).or_default();
        if items.is_empty() {
            self.turns.push_back(key);
        }
        items.push_back((id, item));
        self.len += 1;
        Ok((Place { key, id }, displaced))
    }

    /// Removes the oldest item of the key whose turn it is.
    pub(super) fn pop(&mut self) -> Option<T> {
        let key = *self.turns.front()?;
        let item = self.take(key, VecDeque::pop_front);
        // Still in the queue unless that was its last item.
        if self.turns.front() == Some(&key) {
            self.turns.rotate_left(1);
        }
        item
    }

    /// Removes an item that has not been served yet.
    pub(super) fn remove(&mut self, place: &Place<K>) -> Option<T> {
        self.take(place.key, |items| {
            let index = items.binary_search_by_key(&place.id, |(id, _)| *id).ok()?;
            items.remove(index)
        })
    }

    /// Removes all items.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = T> + use<K, T> {
        self.turns.clear();
        self.len = 0;
        let items = std::mem::take(&mut self.items).into_values();
        items.flatten().map(|(_, item)| item)
    }

    /// The key with the most items, if `key` would still have fewer with one more.
    fn longest_other(&self, key: K) -> Option<K> {
        let own = self.items.get(&key).map_or(0, VecDeque::len);
        let (longest, items) = self.items.iter().max_by_key(|(_, items)| items.len())?;
        (items.len() > own + 1).then_some(*longest)
    }

    fn take(
        &mut self,
        key: K,
        take: impl FnOnce(&mut VecDeque<(u64, T)>) -> Option<(u64, T)>,
    ) -> Option<T> {
        let items = self.items.get_mut(&key)?;
        let (_, item) = take(items)?;
        self.len -= 1;
        if items.is_empty() {
            self.items.remove(&key);
            self.turns.retain(|other| *other != key);
        }
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_item_waits_for_at_most_one_of_a_busy_key() {
        let mut queue = FairQueue::new(100);
        for item in 0..60 {
            queue.push('a', ('a', item)).unwrap();
        }
        queue.push('b', ('b', 0)).unwrap();
        assert_eq!(queue.pop(), Some(('a', 0)));
        assert_eq!(queue.pop(), Some(('b', 0)));
        assert_eq!(queue.pop(), Some(('a', 1)));
    }

    #[test]
    fn serves_keys_in_turns_and_their_items_in_order() {
        let mut queue = FairQueue::new(9);
        for (key, item) in [('a', 1), ('a', 2), ('a', 3), ('b', 1), ('c', 1), ('c', 2)] {
            queue.push(key, (key, item)).unwrap();
        }
        let served: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        let expected = [('a', 1), ('b', 1), ('c', 1), ('a', 2), ('c', 2), ('a', 3)];
        assert_eq!(served, expected);
    }

    #[test]
    fn gives_a_place_to_a_key_with_few_items_when_full() {
        let mut queue = FairQueue::new(4);
        for item in 0..4 {
            assert!(!queue.is_full_for('a'));
            queue.push('a', ('a', item)).unwrap();
        }
        assert!(queue.is_full_for('a'));
        assert_eq!(queue.push('a', ('a', 4)).unwrap_err(), ('a', 4));
        assert!(!queue.is_full_for('b'));
        let (_, displaced) = queue.push('b', ('b', 0)).unwrap();
        assert_eq!(displaced, Some(('a', 3)), "the newest of the longest");
        let (_, displaced) = queue.push('b', ('b', 1)).unwrap();
        assert_eq!(displaced, Some(('a', 2)));
        assert!(
            queue.push('b', ('b', 2)).is_err(),
            "both have the same number"
        );
        assert_eq!(queue.len(), 4);
    }

    #[test]
    fn frees_the_place_of_a_removed_item() {
        let mut queue = FairQueue::new(2);
        let (first, _) = queue.push('a', 1).unwrap();
        queue.push('a', 2).unwrap();
        assert_eq!(queue.remove(&first), Some(1));
        assert_eq!(queue.remove(&first), None);
        queue.push('a', 3).unwrap();
        assert_eq!(
            (queue.pop(), queue.pop(), queue.pop()),
            (Some(2), Some(3), None)
        );
        assert_eq!(queue.remove(&first), None);
    }

    #[test]
    fn holds_nothing_without_capacity() {
        let mut queue = FairQueue::new(0);
        assert!(queue.push('a', 1).is_err());
    }

    proptest! {
        #[test]
        fn stays_bounded_and_loses_no_item(
            events in prop::collection::vec((0u8..4, 0u8..4), 0..300),
            capacity in 0usize..12,
        ) {
            let mut queue = FairQueue::new(capacity);
            let (mut places, mut added, mut gone) = (Vec::new(), 0, 0);
            for (event, key) in events {
                match event {
                    0 | 1 => {
                        let full = queue.is_full_for(key);
                        let pushed = queue.push(key, added);
                        prop_assert_eq!(pushed.is_err(), full);
                        if let Ok((place, displaced)) = pushed {
                            added += 1;
                            gone += usize::from(displaced.is_some());
                            places.push(place);
                        }
                    }
                    2 => gone += usize::from(queue.pop().is_some()),
                    _ => if let Some(place) = places.pop() {
                        gone += usize::from(queue.remove(&place).is_some());
                    },
                }
                prop_assert!(queue.len() <= capacity);
                prop_assert_eq!(queue.len(), added - gone);
                prop_assert_eq!(queue.turns.len(), queue.items.len());
            }
            let left = queue.len();
            prop_assert_eq!(queue.drain().count(), left);
            prop_assert_eq!(queue.len(), 0);
            prop_assert!(queue.pop().is_none());
        }

        #[test]
        fn serves_each_key_within_one_round(lengths in prop::collection::vec(1usize..20, 1..8)) {
            let mut queue = FairQueue::new(200);
            for (key, length) in lengths.iter().enumerate() {
                for _ in 0..*length {
                    queue.push(key, key).unwrap();
                }
            }
            let mut first_round: Vec<_> = (0..lengths.len()).filter_map(|_| queue.pop()).collect();
            first_round.sort_unstable();
            prop_assert_eq!(first_round, (0..lengths.len()).collect::<Vec<_>>());
        }
    }
}
