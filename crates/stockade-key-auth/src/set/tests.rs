use super::*;
use crate::{KeyChange, LiveKeys};

const KEY: &[u8] = b"opaque-key";

fn record() -> KeyRecord {
    let hash = bcrypt::hash(KEY, 4).unwrap();
    KeyRecord::new("a".parse().unwrap(), hash.parse::<KeyHash>().unwrap())
}

fn let_in(live: &LiveKeys) -> bool {
    match live.current().find_slow(&KeyDigest::of(KEY)) {
        Known::Found(entry) => !entry.key.revoked,
        Known::Nothing | Known::Unknown => false,
    }
}

/// A verification takes three steps, and putting a new set in force takes two. Each step
/// is one atomic load, store or compare-and-swap of the set or of what it has learnt, so
/// the orders in which they can meet are all there is to a race. This walks through them.
struct Race {
    live: LiveKeys,
    new: KeySet,
    verifying: Option<Arc<KeySet>>,
    matched: Option<Arc<SlowEntry>>,
    passed: Option<bool>,
}

impl Race {
    fn verify(&mut self, step: usize) {
        match step {
            0 => self.verifying = Some(self.live.current()),
            1 => {
                let set = self.verifying.as_ref().unwrap();
                if let Tried::Matches(slow) = set.try_slow(KEY, None, || true) {
                    self.matched = Some(slow);
                }
            }
            _ => {
                let learnt = self
                    .matched
                    .as_ref()
                    .and_then(|slow| self.live.load().learn(KeyDigest::of(KEY), slow));
                self.passed = Some(learnt.is_some_and(|entry| !entry.key.revoked));
            }
        }
    }

    fn publish(&mut self, step: usize) {
        match step {
            0 => self.new.inherit(&self.live.load()),
            _ => self.live.store(std::mem::take(&mut self.new)),
        }
    }
}

// A08
#[test]
fn in_every_order_of_steps_a_key_that_is_gone_is_gone() {
    let removed = || KeySet::default();
    let revoked = || {
        let at = Timestamp::from_secs(1);
        let change = KeyChange::Revoke { at };
        KeySet::new([change.apply(record()).unwrap()]).unwrap()
    };
    let replaced =
        || KeySet::new([KeyRecord::new("a".parse().unwrap(), KeyDigest::of(b"x"))]).unwrap();
    let mut orders = 0;
    // Which two of the five steps are those of the publisher.
    for first in 0..5 {
        for second in first + 1..5 {
            for new in [&removed as &dyn Fn() -> KeySet, &revoked, &replaced] {
                orders += 1;
                let mut race = Race {
                    live: LiveKeys::new(KeySet::new([record()]).unwrap()),
                    new: new(),
                    verifying: None,
                    matched: None,
                    passed: None,
                };
                let (mut verified, mut published) = (0, 0);
                for step in 0..5 {
                    if step == first || step == second {
                        race.publish(published);
                        published += 1;
                    } else {
                        race.verify(verified);
                        verified += 1;
                    }
                }
                // A verification that ended before the new set was in force may pass.
                let ended_before = second == 4;
                assert_eq!(
                    race.passed,
                    Some(ended_before),
                    "steps {first} and {second}"
                );
                assert!(!let_in(&race.live), "steps {first} and {second}");
            }
        }
    }
    assert_eq!(orders, 30);
}

#[test]
fn what_was_learnt_is_kept_for_hashes_that_are_the_same() {
    let (a, b) = (
        record(),
        KeyRecord::new("b".parse().unwrap(), KeyDigest::of(b"b")),
    );
    let live = LiveKeys::new(KeySet::new([a.clone()]).unwrap());
    let Tried::Matches(slow) = live.current().try_slow(KEY, None, || true) else {
        panic!("the key matches its hash");
    };
    live.current().learn(KeyDigest::of(KEY), &slow).unwrap();
    live.publish(KeySet::new([a, b]).unwrap());
    assert!(let_in(&live));

    // The same key with another salt is another hash.
    live.publish(KeySet::new([record()]).unwrap());
    assert!(!let_in(&live));
}

#[test]
fn tries_no_key_for_whom_nobody_waits() {
    let set = KeySet::new([record()]).unwrap();
    assert!(matches!(
        set.try_slow(KEY, None, || false),
        Tried::Abandoned
    ));
}

// A01: an unknown id is tried against some hash, too, and matches none.
#[test]
fn an_unknown_id_takes_a_hash_and_matches_nothing() {
    let set = KeySet::new([record()]).unwrap();
    let asked = std::cell::Cell::new(0);
    let count = || {
        asked.set(asked.get() + 1);
        true
    };
    for id in ["a", "unknown"] {
        asked.set(0);
        let id = id.parse().unwrap();
        assert!(matches!(
            set.try_slow(b"wrong", Some(&id), count),
            Tried::Fails
        ));
        assert_eq!(asked.get(), 1);
    }
}
