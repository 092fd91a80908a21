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
    /// By which the subject in each place is known; 0 where there is none.
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

    pub(super) const EMPTY: Self = Self {
        floor: 0,
        tags: [0; Self::PLACES],
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
