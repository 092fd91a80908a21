//! The places that a subject may have.

use crate::{Quota, policy};

/// Twelve places, of which a subject has one.
///
/// In this order, and behind a lock, all by which a subject is found is in one line of the
/// cache. The whole is three, so that a place is 16 bytes.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Set {
    /// No less than anybody owes who had to go.
    floor: u64,
    /// By which the subject in each place is known.
    tags: [u32; Self::SLOTS],
    states: [u64; Self::SLOTS],
}

/// The place of a subject, or that it has none.
pub(super) struct Lookup {
    slot: Option<usize>,
    pub(super) state: u64,
}

impl Set {
    pub(super) const SLOTS: usize = 12;

    /// The tag of a free place, and of no subject.
    const EMPTY_TAG: u32 = 0;

    pub(super) const EMPTY: Self = Self {
        floor: 0,
        tags: [Self::EMPTY_TAG; Self::SLOTS],
        states: [0; Self::SLOTS],
    };

    /// The state of a subject; what the floor says where it has no place.
    #[inline]
    pub(super) fn find(&self, tag: u32) -> Lookup {
        // All are compared, which is a few vector instructions.
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

    /// Keeps the state of a subject, which was found just now under the same lock.
    #[inline]
    pub(super) fn keep(&mut self, tag: u32, lookup: &Lookup, state: u64, quota: &Quota, now: u64) {
        let slot = lookup.slot.unwrap_or_else(|| self.claim_slot(quota, now));
        self.tags[slot] = tag;
        self.states[slot] = state;
    }

    /// Keeps what became of the state of a subject that was not let in, where it has a
    /// place: it gets none for that.
    pub(super) fn keep_refused(&mut self, lookup: &Lookup, state: u64) {
        if let Some(slot) = lookup.slot {
            self.states[slot] = state;
        }
    }

    /// A place for one more: a free one, that of somebody who owes nothing, or that of
    /// whoever owes least.
    fn claim_slot(&mut self, quota: &Quota, now: u64) -> usize {
        // First, so that those who owe nothing are not driven from place to place.
        if let Some(slot) = self.find(Self::EMPTY_TAG).slot {
            return slot;
        }
        let debt = |slot: &usize| policy::debt(self.states[*slot], quota, now);
        let slot = (0..Self::SLOTS).min_by_key(debt).expect("there are twelve");
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
    fn whoever_owes_nothing_keeps_its_place_as_long_as_there_are_free_ones() {
        let mut set = Set::EMPTY;
        for tag in 1..=13 {
            keep(&mut set, tag, 0);
        }
        let kept = (1..=13).filter(|&tag| set.find(tag).slot.is_some());
        assert_eq!(kept.count(), Set::SLOTS);
    }

    #[test]
    fn whoever_comes_to_full_places_begins_with_the_debt_of_those_who_had_to_go() {
        let mut set = Set::EMPTY;
        for number in 1..=14 {
            keep(&mut set, number, u64::from(number) * 1_000);
        }
        // The first two had to go, for the last two.
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
