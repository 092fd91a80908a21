use proptest::{collection::vec, prelude::*, sample::Index};

use super::{super::counters::Attempt, *};

/// The keys 1 and 2 have the same counter.
fn key_of(number: u8) -> KeyId {
    KeyId::new(0, [0, 1, 1 | 1 << 40][usize::from(number)])
}

/// Key `n` has `n + 1` permits.
fn slots(keys: &[u8]) -> Box<[Slot]> {
    let slot = |&key: &u8| Slot {
        key: key_of(key),
        max: u32::from(key) + 1,
    };
    keys.iter().map(slot).collect()
}

#[test]
fn acquires_all_permits_or_none() {
    let counters = Counters::default();
    let mut table = PermitTable::<()>::default();
    table.acquire(&counters, &slots(&[2, 0])).unwrap();
    assert_eq!(table.acquire(&counters, &slots(&[2, 1, 0])), Err(2));
    assert_eq!(
        (
            table.in_use(&counters, key_of(2)),
            table.in_use(&counters, key_of(1)),
            table.in_use(&counters, key_of(0))
        ),
        (1, 0, 1)
    );
    assert_eq!(table.keys().count(), 2);
}

#[test]
fn serves_in_the_order_of_arrival() {
    let counters = Counters::default();
    let mut table = PermitTable::default();
    let slot = slots(&[0]);
    table.acquire(&counters, &slot).unwrap();
    for name in ["first", "second"] {
        table.queue(&counters, 0, slot.clone(), name, 2).unwrap();
    }
    assert_eq!(
        table.queue(&counters, 0, slot.clone(), "one too many", 2),
        None
    );
    for name in ["first", "second"] {
        let served = table.release(&counters, &slot);
        let names: Vec<_> = served.iter().map(|served| served.handle).collect();
        assert_eq!(names, [name]);
    }
    assert!(table.release(&counters, &slot).is_empty());
    assert_eq!(table.keys().count(), 0);
}

#[test]
fn keeps_its_turn_when_moving_to_another_queue() {
    let counters = Counters::default();
    let mut table = PermitTable::default();
    let (both, one) = (slots(&[1, 0]), slots(&[0]));
    table.acquire(&counters, &both).unwrap();
    table.acquire(&counters, &slots(&[1])).unwrap();
    table.queue(&counters, 0, both.clone(), "first", 9).unwrap();
    table.queue(&counters, 0, one.clone(), "second", 9).unwrap();
    // The first one waits for a free permit, but its other key is still in use by `both`.
    assert!(table.release(&counters, &slots(&[1])).is_empty());
    let served = table.release(&counters, &both);
    let names: Vec<_> = served.iter().map(|served| served.handle).collect();
    assert_eq!(names, ["first"]);
    let served = table.release(&counters, &both);
    assert_eq!(served.len(), 1);
    table.release(&counters, &one);
    assert_eq!((table.keys().count(), table.waiting()), (0, 0));
}

#[test]
fn departed_waiters_are_not_served() {
    let counters = Counters::default();
    let mut table = PermitTable::default();
    let slot = slots(&[0]);
    table.acquire(&counters, &slot).unwrap();
    let ticket = table.queue(&counters, 0, slot.clone(), "gone", 9).unwrap();
    table.queue(&counters, 0, slot.clone(), "there", 9).unwrap();
    assert_eq!(table.leave(&counters, ticket, &slot), Some((0, "gone")));
    assert_eq!(table.leave(&counters, ticket, &slot), None);
    let served = table.release(&counters, &slot);
    assert_eq!(served[0].handle, "there");
}

#[derive(Clone, Debug)]
enum Step {
    Ask(Vec<u8>),
    Count(u8),
    Free(Index),
    Leave(Index),
}

fn step() -> impl Strategy<Value = Step> {
    let keys = proptest::sample::subsequence(vec![0_u8, 1, 2], 1..=3).prop_shuffle();
    prop_oneof![
        3 => keys.prop_map(Step::Ask),
        2 => (0_u8..3).prop_map(Step::Count),
        2 => any::<Index>().prop_map(Step::Free),
        1 => any::<Index>().prop_map(Step::Leave),
    ]
}

/// A naive model of permits and queues.
#[derive(Default)]
struct Model {
    holding: Vec<Holding>,
    waiting: BTreeMap<u64, Box<[Slot]>>,
}

struct Holding {
    slots: Box<[Slot]>,
    counted: bool,
}

impl Model {
    fn in_use(&self, key: KeyId) -> u32 {
        let slots = self.holding.iter().flat_map(|holding| &holding.slots);
        slots.filter(|slot| slot.key == key).map(|_| 1).sum()
    }

    fn fits(&self, slots: &[Slot]) -> bool {
        slots.iter().all(|slot| self.in_use(slot.key) < slot.max)
    }

    /// No key exceeds its limit, no request waits while it fits, and both sides agree.
    fn check(&self, counters: &Counters, table: &PermitTable<()>) {
        for slot in slots(&[0, 1, 2]) {
            assert!(self.in_use(slot.key) <= slot.max);
            assert_eq!(table.in_use(counters, slot.key), self.in_use(slot.key));
        }
        assert!(!self.waiting.values().any(|slots| self.fits(slots)));
        assert_eq!(table.waiting(), self.waiting.len());
    }

    fn hold(&mut self, slots: Box<[Slot]>, counted: bool) {
        self.holding.push(Holding { slots, counted });
    }

    /// Releases a permit, and moves the served requests.
    fn release(&mut self, index: usize, counters: &Counters, table: &mut PermitTable<()>) {
        let Holding { slots, counted } = self.holding.remove(index);
        let served = match (counted, &slots[..]) {
            (true, [slot]) => match counters.release(slot.key.index()) {
                Some(key) => table.serve(counters, vec![key]),
                None => Vec::new(),
            },
            _ => table.release(counters, &slots),
        };
        self.served(served);
    }

    /// Moves the served requests, and checks that none of the same kind waited longer.
    fn served(&mut self, served: Vec<Served<()>>) {
        for Served { slots, .. } in served {
            let first = self.waiting.iter().find(|(_, waiting)| **waiting == slots);
            let ticket = *first.expect("a served request has waited").0;
            self.waiting.remove(&ticket);
            self.hold(slots, false);
        }
    }
}

proptest! {
    #[test]
    fn never_exceeds_a_limit_serves_what_fits_and_ends_empty(steps in vec(step(), 0..60)) {
        let counters = Counters::default();
    let mut table = PermitTable::default();
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Ask(keys) => {
                    let slots = slots(&keys);
                    match table.acquire(&counters, &slots) {
                        Ok(()) => {
                            assert!(model.fits(&slots));
                            model.hold(slots, false);
                        }
                        Err(full) => {
                            assert!(!model.fits(&slots));
                            if let Some(ticket) = table.queue(&counters, full, slots.clone(), (), 5) {
                                model.waiting.insert(ticket, slots);
                            } else {
                                assert_eq!(model.waiting.len(), 5);
                            }
                        }
                    }
                }
                Step::Count(key) => {
                    let slots = slots(&[key]);
                    match counters.acquire(&slots[0]) {
                        Attempt::Acquired => {
                            prop_assert!(model.fits(&slots));
                            model.hold(slots, true);
                        }
                        Attempt::Full => prop_assert!(!model.fits(&slots)),
                        Attempt::Contended => prop_assert!(!model.holding.is_empty()),
                    }
                }
                Step::Free(index) if !model.holding.is_empty() => {
                    let index = index.index(model.holding.len());
                    model.release(index, &counters, &mut table);
                }
                Step::Leave(index) if !model.waiting.is_empty() => {
                    let tickets: Vec<u64> = model.waiting.keys().copied().collect();
                    let ticket = *index.get(&tickets);
                    let slots = model.waiting.remove(&ticket).expect("it waits");
                    prop_assert!(table.leave(&counters, ticket, &slots).is_some());
                }
                Step::Free(_) | Step::Leave(_) => {}
            }
            model.check(&counters, &table);
        }
        while !model.holding.is_empty() {
            model.release(model.holding.len() - 1, &counters, &mut table);
            model.check(&counters, &table);
        }
        prop_assert_eq!((table.keys().count(), table.waiting()), (0, 0));
        prop_assert!(counters.is_idle());
    }
}
