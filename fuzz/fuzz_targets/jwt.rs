//! Arbitrary bytes as a token: no panic, and no token passes without a signature.

#![no_main]

use std::sync::LazyLock;

use http::Request;
use libfuzzer_sys::fuzz_target;
use stockade_core::guard::{Check, Guard, Head};
use stockade_jwt::{Algorithm, JwtAuth, KeySet, LiveKeys, Secret, TokenRules, VerifyingKey};

static GUARD: LazyLock<JwtAuth> = LazyLock::new(|| {
    let secret = Secret::new(b"a secret that the fuzzer does not know").expect("long enough");
    let key = VerifyingKey::hmac(Algorithm::Hs256, &secret).expect("a key");
    let rules = TokenRules::new("https://login.example.com", "https://api.example.com");
    JwtAuth::new(LiveKeys::new(KeySet::new([key])), rules)
});

fuzz_target!(|token: &[u8]| {
    let value = [b"Bearer ", token].concat();
    let Ok(request) = Request::builder().header("authorization", value).body(()) else {
        return;
    };
    let head = Head::new(request.into_parts().0);
    assert!(
        matches!(GUARD.check(&head), Check::Refuse(_)),
        "passed without a signature"
    );
});
