//! The guard with its caches, compared with a model without caches.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{collections::BTreeMap, time::Duration};

use http::{Request, header::AUTHORIZATION};
use proptest::prelude::*;
use stockade_core::{
    clock::{Clock, Timestamp},
    guard::{Check, Guard, Head},
};
use stockade_key_auth::{
    KeyAuth, KeyChange, KeyDigest, KeyHash, KeyRecord, KeyStore, MemoryKeyStore,
};
use stockade_testkit::FakeClock;

const IDS: [&str; 3] = ["a", "b", "c"];
const KEYS: [&str; 4] = ["first", "second", "third", "fourth"];

#[derive(Clone, Debug)]
enum Step {
    Put {
        id: usize,
        key: usize,
        slow: bool,
        lives: Option<u64>,
    },
    Remove {
        id: usize,
    },
    Revoke {
        id: usize,
    },
    Rotate {
        id: usize,
        key: usize,
        grace: u64,
    },
    Wait {
        seconds: u64,
    },
    Present {
        key: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let (id, key) = (0..IDS.len(), 0..KEYS.len());
    prop_oneof![
        2 => (id.clone(), key.clone(), any::<bool>(), proptest::option::of(1u64..20))
            .prop_map(|(id, key, slow, lives)| Step::Put { id, key, slow, lives }),
        1 => id.clone().prop_map(|id| Step::Remove { id }),
        1 => id.clone().prop_map(|id| Step::Revoke { id }),
        1 => (id, key.clone(), 0u64..20).prop_map(|(id, key, grace)| Step::Rotate { id, key, grace }),
        1 => (1u64..10).prop_map(|seconds| Step::Wait { seconds }),
        6 => key.prop_map(|key| Step::Present { key }),
    ]
}

fn hash(key: usize, slow: bool) -> KeyHash {
    match slow {
        true => bcrypt::hash(KEYS[key], 4).unwrap().parse().unwrap(),
        false => KeyDigest::of(KEYS[key].as_bytes()).into(),
    }
}

/// Returns the owners of a key and whether it is valid for them, by verifying every hash.
fn owners(records: &BTreeMap<&str, KeyRecord>, key: &str, now: Timestamp) -> Vec<(String, bool)> {
    let mut owners = Vec::new();
    for record in records.values() {
        let expires = record.expires.unwrap_or(Timestamp::from_nanos(u64::MAX));
        let previous = record
            .previous
            .as_ref()
            .map(|old| (&old.hash, old.until.min(expires)));
        for (hash, until) in [(&record.hash, expires)].into_iter().chain(previous) {
            let matches = hash.verify(key.as_bytes()) == Some(true);
            if matches {
                let is_valid = record.revoked.is_none() && now < until;
                owners.push((record.id.to_string(), is_valid));
            }
        }
    }
    owners
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn caches_never_change_the_decision(steps in proptest::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let clock = FakeClock::at(Timestamp::from_secs(1_000));
        let store = MemoryKeyStore::new();
        let guard = KeyAuth::new(&store).clock(clock.clone());
        let mut model: BTreeMap<&str, KeyRecord> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Put { id, key, slow, lives } => {
                    let mut record = KeyRecord::new(IDS[id].parse().unwrap(), hash(key, slow));
                    record.expires = lives.map(|secs| clock.now() + Duration::from_secs(secs));
                    if store.insert(record.clone()).is_ok() {
                        model.insert(IDS[id], record);
                    }
                }
                Step::Remove { id } => {
                    let removed = store.remove(&IDS[id].parse().unwrap());
                    prop_assert_eq!(removed, model.remove(IDS[id]).is_some());
                }
                Step::Revoke { id } => {
                    let change = KeyChange::Revoke { at: clock.now() };
                    let changed = runtime.block_on(store.change(IDS[id].parse().unwrap(), change));
                    if let Ok(record) = changed {
                        model.insert(IDS[id], record);
                    }
                }
                Step::Rotate { id, key, grace } => {
                    let grace = Duration::from_secs(grace);
                    let change = KeyChange::Rotate { hash: hash(key, false), grace, at: clock.now() };
                    let changed = runtime.block_on(store.change(IDS[id].parse().unwrap(), change));
                    if let Ok(record) = changed {
                        model.insert(IDS[id], record);
                    }
                }
                Step::Wait { seconds } => clock.advance(Duration::from_secs(seconds)),
                Step::Present { key } => {
                    let owners = owners(&model, KEYS[key], clock.now());
                    let request = Request::builder().header(AUTHORIZATION, format!("Bearer {}", KEYS[key]));
                    let mut head = Head::new(request.body(()).unwrap().into_parts().0);
                    let result = match guard.check(&head) {
                        Check::Pass(pass) => Ok(pass),
                        Check::Refuse(refusal) => Err(refusal),
                        Check::Answer(answer) => panic!("{answer:?}"),
                        Check::Wait(wait) => runtime.block_on(wait),
                    };
                    match result {
                        Ok(pass) => {
                            guard.admit(pass, &mut head);
                            let principal = head.context().principal().unwrap();
                            let owner = (principal.id().to_owned(), true);
                            prop_assert!(owners.contains(&owner), "{owners:?}");
                        }
                        // If two records share a secret, an invalid one may decide.
                        Err(_) => prop_assert!(!matches!(&*owners, [(_, true)]), "{owners:?}"),
                    }
                }
            }
        }
    }
}
