//! Well-known secrets: common passwords and placeholders of examples.

use std::{collections::HashSet, sync::LazyLock};

use crate::{KeyDigest, digest::ByDigest};

/// Sorted. Each is also rejected with a trailing line feed, as `echo secret | sha256sum` hashes
/// it.
const SECRETS: &[&str] = &[
    "",
    "0",
    "00000000",
    "1",
    "111111",
    "123",
    "1234",
    "12345",
    "123456",
    "12345678",
    "123456789",
    "1234567890",
    "Password",
    "Password1",
    "admin",
    "admin123",
    "api-key",
    "api_key",
    "apikey",
    "bar",
    "change-me",
    "change_me",
    "changeit",
    "changeme",
    "default",
    "demo",
    "dev",
    "dummy",
    "example",
    "foo",
    "foobar",
    "guest",
    "hello",
    "hunter2",
    "key",
    "letmein",
    "mykey",
    "mysecret",
    "null",
    "opensesame",
    "pass",
    "passw0rd",
    "password",
    "password1",
    "password123",
    "placeholder",
    "qwerty",
    "root",
    "s3cr3t",
    "sample",
    "secret",
    "secret-key",
    "secret123",
    "secret_key",
    "sk-test",
    "stockade",
    "supersecret",
    "test",
    "test-key",
    "test123",
    "testing",
    "testkey",
    "token",
    "undefined",
    "xxx",
    "your-api-key",
    "your-key-here",
    "your-secret-key",
    "your_api_key",
];

static DIGESTS: LazyLock<HashSet<KeyDigest, ByDigest>> = LazyLock::new(|| {
    let with_line_feed = SECRETS.iter().map(|secret| format!("{secret}\n"));
    let digests = SECRETS
        .iter()
        .map(|secret| KeyDigest::of(secret.as_bytes()));
    digests
        .chain(with_line_feed.map(|secret| KeyDigest::of(secret.as_bytes())))
        .collect()
});

/// Returns whether this is the digest of a well-known secret.
pub(crate) fn is_known(digest: &KeyDigest) -> bool {
    DIGESTS.contains(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    // FP04
    #[test]
    fn knows_the_digests_of_well_known_secrets() {
        assert!(SECRETS.is_sorted());
        for secret in [
            "", "password", "secret", "changeme", "test", "admin", "\n", "admin\n",
        ] {
            assert!(is_known(&KeyDigest::of(secret.as_bytes())), "{secret:?}");
        }
        let random = KeyDigest::of(b"4QmVZkP2sT8cN5xW1bR7yL3dF9hJ0g");
        assert!(!is_known(&random));
    }
}
