//! Arbitrary bytes as a key: only the known key passes.

#![no_main]

use std::sync::LazyLock;

use http::Request;
use libfuzzer_sys::fuzz_target;
use stockade_core::guard::{Check, Guard, Head};
use stockade_key_auth::{KeyAuth, KeyDigest, KeyRecord, MemoryKeyStore};

const KNOWN: &str = "sk_a_0123456789ABCDEFGHIJKLMNOPQRST";

static GUARD: LazyLock<KeyAuth> = LazyLock::new(|| {
    let store = MemoryKeyStore::new();
    let digest = KeyDigest::of(KNOWN.as_bytes());
    let record = KeyRecord::new("a".parse().expect("an id"), digest);
    store.insert(record).expect("the only key");
    KeyAuth::new(&store)
});

fuzz_target!(|key: &[u8]| {
    let value = [b"Bearer ", key].concat();
    let Ok(request) = Request::builder().header("authorization", value).body(()) else {
        return;
    };
    let head = Head::new(request.into_parts().0);
    match GUARD.check(&head) {
        Check::Pass(_) => assert_eq!(key, KNOWN.as_bytes()),
        Check::Refuse(_) => assert_ne!(key, KNOWN.as_bytes()),
        Check::Answer(_) | Check::Wait(_) => panic!("no response and no slow hash expected"),
    }
});
