//! A request with arbitrary headers passes only with the known key and no other one, and the
//! key is removed from its headers.

#![no_main]

use std::sync::LazyLock;

use http::{HeaderMap, HeaderName, HeaderValue, Request};
use libfuzzer_sys::fuzz_target;
use stockade_core::{guard::{Guard, Check, Head}, identity::Principal};
use stockade_key_auth::{KeyAuth, KeyDigest, KeyRecord, MemoryKeyStore};

const KNOWN: &str = "known";

static GUARD: LazyLock<KeyAuth> = LazyLock::new(|| {
    let store = MemoryKeyStore::new();
    let digest = KeyDigest::of(KNOWN.as_bytes());
    let record = KeyRecord::new("a".parse().expect("an id"), digest);
    store.insert(record).expect("the only key");
    KeyAuth::new(&store)
});

/// Parses lines of a byte for the name and a value.
fn headers(data: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n').take(64) {
        let Some((which, value)) = line.split_first() else {
            continue;
        };
        let name = HeaderName::from_static(match which % 3 {
            0 => "authorization",
            1 => "x-api-key",
            _ => "cookie",
        });
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(name, value);
        }
    }
    headers
}

fuzz_target!(|data: &[u8]| {
    let mut head = Head::new(Request::new(()).into_parts().0);
    head.headers = headers(data);
    if let Check::Pass(pass) = GUARD.check(&head) {
        let keys: Vec<&[u8]> = head
            .headers
            .get_all("x-api-key")
            .iter()
            .map(|v| v.as_bytes())
            .collect();
        assert!(
            keys.iter().all(|key| *key == KNOWN.as_bytes()),
            "passed with two different keys"
        );
        GUARD.admit(pass, &mut head);
        assert!(!head.headers.contains_key("authorization"));
        assert!(!head.headers.contains_key("x-api-key"));
        assert_eq!(head.context().principal().map(Principal::id), Some("a"));
    }
});
