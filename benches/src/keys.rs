//! Keys, two of which are known in plain text.

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
    /// A number of keys, at least two, with SHA-256 hashes and an expiry.
    pub fn new(count: usize) -> Self {
        let expires = SystemClock::new().now() + Duration::from_secs(86_400);
        let scopes: ScopeSet = "chat:write models:read".parse().expect("valid scopes");
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
        let set = KeySet::new(records).expect("all keys differ");
        Self {
            live: LiveKeys::new(set),
            known,
            file,
        }
    }

    /// A guard that accepts them.
    pub fn guard(&self) -> KeyAuth {
        KeyAuth::with_keys(self.live.clone())
    }

    /// The key that all requests carry.
    pub fn known(&self) -> &str {
        self.known[0].expose()
    }

    /// The second client's key.
    pub fn second(&self) -> &str {
        self.known[1].expose()
    }

    /// A key file with both.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }
}

/// A well-formed key.
pub(crate) fn generated(id: &str) -> GeneratedKey {
    let id: KeyId = id.parse().expect("a valid id");
    GeneratedKey::new("sk", id).expect("a key can be generated")
}
