use proptest::{collection::vec, prelude::*, sample::Index};

use super::*;

fn key_of(number: u8) -> Key {
    [0, number.into()]
}

/// Key `n` has `n + 1` permits.
fn slots(keys: &[u8]) -> Box<[Slot]> {
    let place = |&key: &u8| Slot {
        key: key_of(key),
        max: u32::from(key) + 1,
    };
    keys.iter().map(place).collect()
}

#[test]
fn acquires_all_permits_or_none() {
    let mut places = PermitTable::<()>::default();
    places.take(&slots(&[2, 0])).unwrap();
    assert_eq!(places.take(&slots(&[2, 1, 0])), Err(2));
    assert_eq!(
        (
            places.in_use(key_of(2)),
            places.in_use(key_of(1)),
            places.in_use(key_of(0))
        ),
        (1, 0, 1)
    );
    assert_eq!(places.keys(), 2);
}

#[test]
fn serves_in_the_order_of_arrival() {
    let mut places = PermitTable::default();
    let place = slots(&[0]);
    places.take(&place).unwrap();
    for name in ["first", "second"] {
        places.queue(0, place.clone(), name, 2).unwrap();
    }
    assert_eq!(places.queue(0, place.clone(), "one too many", 2), None);
    for name in ["first", "second"] {
        let served = places.free(&place);
        let names: Vec<_> = served.iter().map(|served| served.handle).collect();
        assert_eq!(names, [name]);
    }
    assert!(places.free(&place).is_empty());
    assert_eq!(places.keys(), 0);
}

#[test]
fn keeps_its_turn_when_moving_to_another_queue() {
    let mut places = PermitTable::default();
    let (both, one) = (slots(&[1, 0]), slots(&[0]));
    places.take(&both).unwrap();
    places.take(&slots(&[1])).unwrap();
    places.queue(0, both.clone(), "first", 9).unwrap();
    places.queue(0, one.clone(), "second", 9).unwrap();
    // The first one waits for a free permit, but its other key is still in use by `both`.
    assert!(places.free(&slots(&[1])).is_empty());
    let served = places.free(&both);
    let names: Vec<_> = served.iter().map(|served| served.handle).collect();
    assert_eq!(names, ["first"]);
    let served = places.free(&both);
    assert_eq!(served.len(), 1);
    places.free(&one);
    assert_eq!((places.keys(), places.waiting()), (0, 0));
}

#[test]
fn departed_waiters_are_not_served() {
    let mut places = PermitTable::default();
    let place = slots(&[0]);
    places.take(&place).unwrap();
    let ticket = places.queue(0, place.clone(), "gone", 9).unwrap();
    places.queue(0, place.clone(), "there", 9).unwrap();
    assert_eq!(places.leave(ticket, &place), Some((0, "gone")));
    assert_eq!(places.leave(ticket, &place), None);
    let served = places.free(&place);
    assert_eq!(served[0].handle, "there");
}

#[derive(Clone, Debug)]
enum Step {
    Ask(Vec<u8>),
    Free(Index),
    Leave(Index),
}

fn step() -> impl Strategy<Value = Step> {
    let keys = proptest::sample::subsequence(vec![0_u8, 1, 2], 1..=3).prop_shuffle();
    prop_oneof![
        3 => keys.prop_map(Step::Ask),
        2 => any::<Index>().prop_map(Step::Free),
        1 => any::<Index>().prop_map(Step::Leave),
    ]
}

/// A naive model of permits and queues.
#[derive(Default)]
struct Model {
    holding: Vec<Box<[Slot]>>,
    waiting: BTreeMap<u64, Box<[Slot]>>,
}

impl Model {
    fn in_use(&self, key: Key) -> u32 {
        let places = self.holding.iter().flatten();
        places.filter(|place| place.key == key).map(|_| 1).sum()
    }

    fn fits(&self, slots: &[Slot]) -> bool {
        slots.iter().all(|place| self.in_use(place.key) < place.max)
    }

    /// No key exceeds its limit, no request waits while it fits, and both sides agree.
    fn check(&self, places: &PermitTable<()>) {
        for place in slots(&[0, 1, 2]) {
            assert!(self.in_use(place.key) <= place.max);
            assert_eq!(places.in_use(place.key), self.in_use(place.key));
        }
        assert!(!self.waiting.values().any(|slots| self.fits(slots)));
        assert_eq!(places.waiting(), self.waiting.len());
    }

    /// Moves the served requests, and checks that none of the same kind waited longer.
    fn served(&mut self, served: Vec<Served<()>>) {
        for Served { places, .. } in served {
            let first = self.waiting.iter().find(|(_, slots)| **slots == places);
            let ticket = *first.expect("who is served has waited").0;
            self.waiting.remove(&ticket);
            self.holding.push(places);
        }
    }
}

proptest! {
    #[test]
    fn never_gives_too_much_keeps_nothing_back_and_ends_empty(steps in vec(step(), 0..60)) {
        let mut places = PermitTable::default();
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Ask(keys) => {
                    let slots = slots(&keys);
                    match places.take(&slots) {
                        Ok(()) => {
                            assert!(model.fits(&slots));
                            model.holding.push(slots);
                        }
                        Err(full) => {
                            assert!(!model.fits(&slots));
                            if let Some(ticket) = places.queue(full, slots.clone(), (), 5) {
                                model.waiting.insert(ticket, slots);
                            } else {
                                assert_eq!(model.waiting.len(), 5);
                            }
                        }
                    }
                }
                Step::Free(index) if !model.holding.is_empty() => {
                    let held = model.holding.remove(index.index(model.holding.len()));
                    model.served(places.free(&held));
                }
                Step::Leave(index) if !model.waiting.is_empty() => {
                    let tickets: Vec<u64> = model.waiting.keys().copied().collect();
                    let ticket = *index.get(&tickets);
                    let slots = model.waiting.remove(&ticket).expect("it waits");
                    prop_assert!(places.leave(ticket, &slots).is_some());
                }
                Step::Free(_) | Step::Leave(_) => {}
            }
            model.check(&places);
        }
        while let Some(held) = model.holding.pop() {
            model.served(places.free(&held));
            model.check(&places);
        }
        prop_assert_eq!((places.keys(), places.waiting()), (0, 0));
    }
}
