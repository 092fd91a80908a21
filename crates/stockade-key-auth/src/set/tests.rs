use std::time::Duration;

use stockade_core::clock::Timestamp;

use super::*;
use crate::{KeyChange, LiveKeys};

const KEY: &[u8] = b"opaque-key";

fn record() -> KeyRecord {
    let hash = bcrypt::hash(KEY, 4).unwrap();
    KeyRecord::new("a".parse().unwrap(), hash.parse::<KeyHash>().unwrap())
}

fn is_accepted(live: &LiveKeys) -> bool {
    match live.current().find_verified(&KeyDigest::of(KEY)) {
        Lookup::Found(entry) => !entry.key.revoked,
        Lookup::NotFound | Lookup::NeedsVerification => false,
    }
}

/// A verification takes three steps, and a publication two. Each step is one atomic load, store
/// or compare-and-swap of the set or its cache, so interleaving the steps covers all races.
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
fn removed_key_is_rejected_in_every_interleaving() {
    let removed = || KeySet::default();
    let revoked = || {
        let at = Timestamp::from_secs(1);
        let change = KeyChange::Revoke { at };
        KeySet::new([change.apply(record()).unwrap()]).unwrap()
    };
    let replaced =
        || KeySet::new([KeyRecord::new("a".parse().unwrap(), KeyDigest::of(b"x"))]).unwrap();
    let mut orders = 0;
    // The positions of the two steps of the publisher among the five.
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
                // A verification that ended before the publication may pass.
                let ended_before = second == 4;
                assert_eq!(
                    race.passed,
                    Some(ended_before),
                    "steps {first} and {second}"
                );
                assert!(!is_accepted(&race.live), "steps {first} and {second}");
            }
        }
    }
    assert_eq!(orders, 30);
}

#[test]
fn verified_keys_carry_over_for_unchanged_hashes() {
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
    assert!(is_accepted(&live));

    // Another salt makes another hash.
    live.publish(KeySet::new([record()]).unwrap());
    assert!(!is_accepted(&live));
}

#[test]
fn verification_stops_when_cancelled() {
    let set = KeySet::new([record()]).unwrap();
    assert!(matches!(
        set.verify_slow(KEY, None, || false),
        SlowOutcome::Cancelled
    ));
}

// A01: an unknown id is verified against a decoy, which never matches.
#[test]
fn unknown_id_is_verified_against_a_decoy() {
    let set = KeySet::new([record()]).unwrap();
    let calls = std::cell::Cell::new(0);
    let count = || {
        calls.set(calls.get() + 1);
        true
    };
    for id in ["a", "unknown"] {
        calls.set(0);
        let id = id.parse().unwrap();
        assert!(matches!(
            set.verify_slow(b"wrong", Some(&id), count),
            SlowOutcome::NoMatch
        ));
        assert_eq!(calls.get(), 1);
    }
}

/// The cost of verifying a key with this id: the algorithms and parameters of its hashes.
fn cost(set: &KeySet, id: &str) -> Vec<String> {
    let (candidates, _) = set.slow.candidates(Some(&id.parse().unwrap()));
    let hash = |slow: &&Arc<SlowEntry>| {
        let text = slow.hash.as_str();
        // The parts after the parameters: one in bcrypt, two in argon2id.
        let parts = if text.starts_with("$2") { 2 } else { 3 };
        text.rsplitn(parts, '$').last().unwrap().to_owned()
    };
    candidates.iter().map(hash).collect()
}

// FA07
#[test]
fn unknown_ids_cost_as_much_as_known_ids() {
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
        assert_eq!(unknown, cost(&published_again, &id), "the choice is stable");
        seen.insert(unknown);
    }
    assert_eq!(
        seen.len(),
        known.len(),
        "every kind of hash serves as a decoy"
    );
    // So does an id with a fast hash.
    assert!(known.contains(&cost(&set, "fast")));
}

// FA07
#[test]
fn decoys_never_match() {
    let set = KeySet::new([record()]).unwrap();
    let tried = |id: &str| set.verify_slow(KEY, Some(&id.parse().unwrap()), || true);
    assert!(matches!(tried("a"), SlowOutcome::Match(_)));
    assert!(matches!(tried("unknown"), SlowOutcome::NoMatch));
}

// FP04
#[test]
fn well_known_secrets_never_match() {
    let known = KeyDigest::of(b"changeme");
    let set = KeySet::new([KeyRecord::new("a".parse().unwrap(), known)]).unwrap();
    assert!(set.find(&known).is_none());
    assert_eq!(set.len(), 1, "the key is still listed");
}
