//! Keys, two of which are known.

use std::time::Duration;

use stockade_core::{
    clock::{Clock, SystemClock},
    identity::ScopeSet,
};
use stockade_key_auth::{GeneratedKey, KeyAuth, KeyId, KeyRecord, KeySet, LiveKeys, to_yaml};

/// A set of keys; those of the first two clients are known.
#[derive(Debug)]
pub struct Keys {
    live: LiveKeys,
    known: Vec<GeneratedKey>,
    file: String,
}

impl Keys {
    /// So many keys with SHA-256 hashes, which expire one day; at least two.
    pub fn new(count: usize) -> Self {
        let expires = SystemClock::new().now() + Duration::from_secs(86_400);
        let scopes: ScopeSet = "chat:write models:read".parse().expect("these are scopes");
        let mut known = Vec::new();
        let mut file = String::from("keys:\n");
        let records = (0..count.max(2)).map(|number| {
            let key = generated(&format!("team-{number}"));
            let record = KeyRecord::new(key.id().clone(), key.digest())
                .scopes(scopes.clone())
                .expires(expires);
            if number < 2 {
                file += &to_yaml(&record);
                known.push(key);
            }
            record
        });
        let set = KeySet::new(records).expect("no two keys are the same");
        Self {
            live: LiveKeys::new(set),
            known,
            file,
        }
    }

    /// A guard that takes them.
    pub fn guard(&self) -> KeyAuth {
        KeyAuth::with_keys(self.live.clone())
    }

    /// The one that all requests carry.
    pub fn known(&self) -> &str {
        self.known[0].expose()
    }

    /// The one of a second client.
    pub fn second(&self) -> &str {
        self.known[1].expose()
    }

    /// A file with both.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }
}

/// A well-formed key.
pub(crate) fn generated(id: &str) -> GeneratedKey {
    let id: KeyId = id.parse().expect("this is an id");
    GeneratedKey::new("sk", id).expect("a key can be made")
}
