use proptest::prelude::*;

use super::SlowHash;
use crate::{KeyHash, hash::Kind};

fn slow(text: &str) -> SlowHash {
    match text.parse::<KeyHash>().unwrap().into_kind() {
        Kind::Slow(slow) => slow,
        _ => panic!("{text} is not a slow hash"),
    }
}

// A06: crypt_blowfish's own vectors (its wrapper's test table), cost 5.
#[test]
fn verifies_bcrypt_vectors() {
    for (hash, key) in [
        (
            "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
            "U*U",
        ),
        (
            "$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK",
            "U*U*",
        ),
        (
            "$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a",
            "U*U*U",
        ),
        (
            "$2a$05$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy",
            "",
        ),
    ] {
        assert!(slow(hash).verify(key.as_bytes()), "{hash}");
        assert!(!slow(hash).verify(b"U*V"), "{hash}");
    }
}

// A06: argon2id with the parameters and texts of the reference code's test.c.
#[test]
fn verifies_argon2id_vectors() {
    let hash = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$\
                CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    assert!(slow(hash).verify(b"password"));
    assert!(!slow(hash).verify(b"passwore"));
}

// A04, A06
#[test]
fn rejects_expensive_and_malformed_hashes() {
    let argon2 = |params: &str| {
        format!("$argon2id$v=19${params}$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
    };
    for (text, why) in [
        (
            "$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
            "cost",
        ),
        (
            "$2b$15$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
            "cost",
        ),
        (
            "$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
            "2x",
        ),
        ("$2b$05$CCCC", "60 characters"),
        (&argon2("m=4194304,t=1000,p=1"), "exceeds"),
        (&argon2("m=65536,t=11,p=1"), "exceeds"),
        (&argon2("m=65536,t=2,p=16777215"), ""),
        ("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ", "malformed"),
        (
            "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "argon2id",
        ),
    ] {
        let error = text.parse::<KeyHash>().unwrap_err().to_string();
        assert!(error.contains(why), "{text}: {error}");
    }
}

// FP04
#[test]
fn argon2id_rejects_short_keys() {
    let error = KeyHash::argon2id(b"fifteen-bytes-x").unwrap_err();
    assert!(error.to_string().contains("16 bytes"), "{error}");
    let key = b"4QmVZkP2sT8cN5xW";
    assert_eq!(KeyHash::argon2id(key).unwrap().verify(key), Some(true));
}

// A05
#[test]
fn bcrypt_rejects_keys_that_it_would_truncate() {
    let hash = bcrypt::hash([b'a'; 72], 4).unwrap();
    assert!(slow(&hash).verify(&[b'a'; 72]));
    assert!(!slow(&hash).verify(&[b'a'; 73]));
}

proptest! {
    // A07
    #[test]
    fn rejects_multibyte_characters_anywhere(at in 0usize..59) {
        let hash = "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
        let mut text = hash.to_owned();
        text.replace_range(at..at + 2, "é");
        prop_assert!(text.parse::<KeyHash>().is_err());
    }

    // A07
    #[test]
    fn truncated_phc_string_never_matches(at in 0usize..80) {
        let hash = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        if hash[..at].parse::<KeyHash>().is_ok() {
            prop_assert!(!slow(&hash[..at]).verify(b"password"));
        }
    }
}
