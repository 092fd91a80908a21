//! A set of slots.

use crate::{Quota, policy};

/// Twelve slots; a key uses one of them.
///
/// In this layout, and behind a lock, everything needed for a look-up is in one cache line.
/// The whole set is three lines, 16 bytes per slot.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Set {
    /// At least the debt of every evicted key.
    floor: u64,
    /// The tag of the key in each slot.
    tags: [u32; Self::SLOTS],
    states: [u64; Self::SLOTS],
}

/// The slot of a key, if it has one, and its state.
pub(super) struct Lookup {
    slot: Option<usize>,
    pub(super) state: u64,
}

impl Set {
    pub(super) const SLOTS: usize = 12;

    /// The tag of an empty slot, used by no key.
    const EMPTY_TAG: u32 = 0;

    pub(super) const EMPTY: Self = Self {
        floor: 0,
        tags: [Self::EMPTY_TAG; Self::SLOTS],
        states: [0; Self::SLOTS],
    };

    /// The state of a key; the floor if it has no slot.
    #[inline]
    pub(super) fn find(&self, tag: u32) -> Lookup {
        // Compares all tags, with a few vector instructions.
        let bits = self.tags.iter().enumerate();
        let lookup = bits.fold(0, |lookup, (slot, &other)| {
            lookup | u32::from(other == tag) << slot
        });
        let slot = (lookup != 0).then(|| lookup.trailing_zeros() as usize);
        Lookup {
            slot,
            state: slot.map_or(self.floor, |slot| self.states[slot]),
        }
    }

    /// Stores the state of a key that was looked up under the same lock.
    #[inline]
    pub(super) fn keep(&mut self, tag: u32, lookup: &Lookup, state: u64, quota: &Quota, now: u64) {
        let slot = lookup.slot.unwrap_or_else(|| self.claim_slot(quota, now));
        self.tags[slot] = tag;
        self.states[slot] = state;
    }

    /// Stores the state of a refused key if it has a slot; it gets none otherwise.
    pub(super) fn keep_refused(&mut self, lookup: &Lookup, state: u64) {
        if let Some(slot) = lookup.slot {
            self.states[slot] = state;
        }
    }

    /// Returns an empty slot, or that of the key with the lowest debt.
    fn claim_slot(&mut self, quota: &Quota, now: u64) -> usize {
        // Empty slots first, so that keys without debt keep their slots.
        if let Some(slot) = self.find(Self::EMPTY_TAG).slot {
            return slot;
        }
        let debt = |slot: &usize| policy::debt(self.states[*slot], quota, now);
        let slot = (0..Self::SLOTS)
            .min_by_key(debt)
            .expect("there are twelve slots");
        if policy::debt(self.states[slot], quota, now) > 0 {
            self.floor = policy::worse(self.floor, self.states[slot], quota, now);
        }
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUOTA: Quota = Quota::per_hour(10);

    fn keep(set: &mut Set, tag: u32, state: u64) {
        let lookup = set.find(tag);
        set.keep(tag, &lookup, state, &QUOTA, 0);
    }

    #[test]
    fn keys_without_debt_keep_their_slots_while_others_are_empty() {
        let mut set = Set::EMPTY;
        for tag in 1..=13 {
            keep(&mut set, tag, 0);
        }
        let kept = (1..=13).filter(|&tag| set.find(tag).slot.is_some());
        assert_eq!(kept.count(), Set::SLOTS);
    }

    #[test]
    fn new_keys_in_a_full_set_start_with_the_evicted_debt() {
        let mut set = Set::EMPTY;
        for number in 1..=14 {
            keep(&mut set, number, u64::from(number) * 1_000);
        }
        // The first two were evicted for the last two.
        for (tag, state) in [
            (1, 2_000),
            (2, 2_000),
            (3, 3_000),
            (14, 14_000),
            (15, 2_000),
        ] {
            assert_eq!(set.find(tag).state, state, "{tag}");
        }
    }
}
