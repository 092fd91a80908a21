use super::*;
use crate::{KeyChange, LiveKeys};

const KEY: &[u8] = b"opaque-key";

fn record() -> KeyRecord {
    let hash = bcrypt::hash(KEY, 4).unwrap();
    KeyRecord::new("a".parse().unwrap(), hash.parse::<KeyHash>().unwrap())
}

fn let_in(live: &LiveKeys) -> bool {
    match live.current().find_verified(&KeyDigest::of(KEY)) {
        Lookup::Found(entry) => !entry.key.revoked,
        Lookup::NotFound | Lookup::NeedsVerification => false,
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
                if let SlowOutcome::Match(slow) = set.verify_slow(KEY, None, || true) {
                    self.matched = Some(slow);
                }
            }
            _ => {
                let verified = self
                    .matched
                    .as_ref()
                    .and_then(|slow| self.live.load().cache_verified(KeyDigest::of(KEY), slow));
                self.passed = Some(verified.is_some_and(|entry| !entry.key.revoked));
            }
        }
    }

    fn publish(&mut self, step: usize) {
        match step {
            0 => self.new.carry_over(&self.live.load()),
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
    let SlowOutcome::Match(slow) = live.current().verify_slow(KEY, None, || true) else {
        panic!("the key matches its hash");
    };
    live.current()
        .cache_verified(KeyDigest::of(KEY), &slow)
        .unwrap();
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
        set.verify_slow(KEY, None, || false),
        SlowOutcome::Cancelled
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
            set.verify_slow(b"wrong", Some(&id), count),
            SlowOutcome::NoMatch
        ));
        assert_eq!(asked.get(), 1);
    }
}

/// What trying a key of this id costs: the kinds and parameters of its hashes.
fn cost(set: &KeySet, id: &str) -> Vec<String> {
    let (candidates, _) = set.candidates(Some(&id.parse().unwrap()));
    let hash = |slow: &&Arc<SlowEntry>| match &slow.hash {
        SlowHash::Bcrypt(text) => text.rsplit_once('$').unwrap().0.to_owned(),
        SlowHash::Argon2(text) => text.rsplitn(3, '$').last().unwrap().to_owned(),
    };
    candidates.iter().map(hash).collect()
}

// FA07
#[test]
fn unknown_ids_cost_what_known_ids_cost_in_each_kind() {
    const SALT_AND_HASH: &str = "c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    let slow = |id: &str, hash: String| {
        KeyRecord::new(id.parse().unwrap(), hash.parse::<KeyHash>().unwrap())
    };
    let argon2 =
        |id: &str, params: &str| slow(id, format!("$argon2id$v=19${params}${SALT_AND_HASH}"));
    let rotated = KeyChange::Rotate {
        hash: bcrypt::hash(b"new", 5).unwrap().parse().unwrap(),
        grace: Duration::from_secs(60),
        at: Timestamp::from_secs(1),
    };
    let records = || {
        [
            slow("bcrypt", bcrypt::hash(KEY, 4).unwrap()),
            argon2("small", "m=8,t=1,p=1"),
            argon2("large", "m=64,t=3,p=2"),
            rotated
                .apply(slow("rotated", bcrypt::hash(KEY, 4).unwrap()))
                .unwrap(),
            KeyRecord::new("fast".parse().unwrap(), KeyDigest::of(b"fast")),
        ]
    };
    let set = KeySet::new(records()).unwrap();
    let known = ["bcrypt", "small", "large", "rotated"].map(|id| cost(&set, id));
    assert_eq!(known[0], ["$2b$04"]);
    assert_eq!(known[1], ["$argon2id$v=19$m=8,t=1,p=1"]);
    assert_eq!(known[3], ["$2b$04", "$2b$05"]);

    let published_again = KeySet::new(records()).unwrap();
    let mut seen = HashSet::new();
    for number in 0..200 {
        let id = format!("unknown-{number}");
        let unknown = cost(&set, &id);
        assert!(known.contains(&unknown), "{unknown:?}");
        assert_eq!(unknown, cost(&published_again, &id), "the same each time");
        seen.insert(unknown);
    }
    assert_eq!(
        seen.len(),
        known.len(),
        "an id without slow hashes may be of any kind"
    );
    // A key with a fast hash costs what an unknown one costs, too.
    assert!(known.contains(&cost(&set, "fast")));
}

// FA07
#[test]
fn a_key_never_matches_the_hashes_that_stand_in_for_an_unknown_id() {
    let set = KeySet::new([record()]).unwrap();
    let tried = |id: &str| set.verify_slow(KEY, Some(&id.parse().unwrap()), || true);
    assert!(matches!(tried("a"), SlowOutcome::Match(_)));
    assert!(matches!(tried("unknown"), SlowOutcome::NoMatch));
}

// FP04
#[test]
fn a_well_known_secret_opens_nothing_whatever_published_its_hash() {
    let known = KeyDigest::of(b"changeme");
    let set = KeySet::new([KeyRecord::new("a".parse().unwrap(), known)]).unwrap();
    assert!(set.find(&known).is_none());
    assert_eq!(set.len(), 1, "it is listed all the same");
}
