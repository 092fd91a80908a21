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
    tags: [u32; Self::PLACES],
    states: [u64; Self::PLACES],
}

/// The place of a subject, or that it has none.
pub(super) struct Found {
    place: Option<usize>,
    pub(super) state: u64,
}

impl Set {
    pub(super) const PLACES: usize = 12;

    /// The tag of a free place, and of no subject.
    const NOBODY: u32 = 0;

    pub(super) const EMPTY: Self = Self {
        floor: 0,
        tags: [Self::NOBODY; Self::PLACES],
        states: [0; Self::PLACES],
    };

    /// The state of a subject; what the floor says where it has no place.
    #[inline]
    pub(super) fn find(&self, tag: u32) -> Found {
        // All are compared, which is a few vector instructions.
        let bits = self.tags.iter().enumerate();
        let found = bits.fold(0, |found, (place, &other)| {
            found | u32::from(other == tag) << place
        });
        let place = (found != 0).then(|| found.trailing_zeros() as usize);
        Found {
            place,
            state: place.map_or(self.floor, |place| self.states[place]),
        }
    }

    /// Keeps the state of a subject, which was found just now under the same lock.
    #[inline]
    pub(super) fn keep(&mut self, tag: u32, found: &Found, state: u64, quota: &Quota, now: u64) {
        let place = found.place.unwrap_or_else(|| self.make_place(quota, now));
        self.tags[place] = tag;
        self.states[place] = state;
    }

    /// Keeps what became of the state of a subject that was not let in, where it has a
    /// place: it gets none for that.
    pub(super) fn keep_refused(&mut self, found: &Found, state: u64) {
        if let Some(place) = found.place {
            self.states[place] = state;
        }
    }

    /// A place for one more: a free one, that of somebody who owes nothing, or that of
    /// whoever owes least.
    fn make_place(&mut self, quota: &Quota, now: u64) -> usize {
        // First, so that those who owe nothing are not driven from place to place.
        if let Some(place) = self.find(Self::NOBODY).place {
            return place;
        }
        let debt = |place: &usize| policy::debt(self.states[*place], quota, now);
        let place = (0..Self::PLACES)
            .min_by_key(debt)
            .expect("there are twelve");
        if policy::debt(self.states[place], quota, now) > 0 {
            self.floor = policy::worse(self.floor, self.states[place], quota, now);
        }
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUOTA: Quota = Quota::per_hour(10);

    fn keep(set: &mut Set, tag: u32, state: u64) {
        let found = set.find(tag);
        set.keep(tag, &found, state, &QUOTA, 0);
    }

    #[test]
    fn whoever_owes_nothing_keeps_its_place_as_long_as_there_are_free_ones() {
        let mut set = Set::EMPTY;
        for tag in 1..=13 {
            keep(&mut set, tag, 0);
        }
        let kept = (1..=13).filter(|&tag| set.find(tag).place.is_some());
        assert_eq!(kept.count(), Set::PLACES);
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
