//! Stored hashes of keys.

use std::{error::Error, fmt, str::FromStr};

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};

use crate::{KeyDigest, known};

/// The maximum cost of verifying a stored hash, so that the contents of a store cannot make
/// requests take minutes or gigabytes: bcrypt cost 14 (one second), argon2id with 256 MiB,
/// 10 passes and 16 lanes.
const BCRYPT_COSTS: std::ops::RangeInclusive<u32> = 4..=14;
const ARGON2_MEMORY_KIB: u32 = 256 * 1024;
const ARGON2_PASSES: u32 = 10;
const ARGON2_LANES: u32 = 16;

/// bcrypt ignores further bytes, so a longer key would match with any suffix.
const BCRYPT_MAX_KEY: usize = 72;

/// The stored hash of a key.
///
/// | text | algorithm |
/// |---|---|
/// | 64 hex digits, alone or after `sha256:` or `$sha256$` | SHA-256, for keys of 128 random bits or more |
/// | `hmac-sha256:` and 64 hex digits | HMAC-SHA-256 with a [`Pepper`](crate::Pepper) |
/// | `$2a$`, `$2b$`, `$2y$` … | bcrypt, cost 4 to 14; keys of at most 72 bytes |
/// | `$argon2id$v=19$…` | argon2id, at most 256 MiB, 10 passes, 16 lanes |
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct KeyHash(Kind);

#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Fast(KeyDigest),
    Peppered(KeyDigest),
    Slow(SlowHash),
}

impl KeyHash {
    /// Wraps a digest that a [`Pepper`](crate::Pepper) computed.
    pub fn peppered(digest: KeyDigest) -> Self {
        Self(Kind::Peppered(digest))
    }

    /// The minimum length in bytes of a key to hash.
    pub const MIN_KEY_LENGTH: usize = 16;

    /// Hashes a key of another issuer with SHA-256. The key needs 128 random bits or more.
    ///
    /// # Errors
    /// Returns an error when the key is shorter than [`MIN_KEY_LENGTH`](Self::MIN_KEY_LENGTH).
    pub fn sha256(key: &[u8]) -> Result<Self, KeyHashError> {
        check_length(key)?;
        Ok(KeyDigest::of(key).into())
    }

    /// Hashes a key of another issuer with argon2id and its default parameters.
    ///
    /// Blocks for tens of milliseconds; do not call it on an async thread.
    ///
    /// # Errors
    /// Returns an error when the key is shorter than [`MIN_KEY_LENGTH`](Self::MIN_KEY_LENGTH),
    /// or the operating system provides no randomness.
    pub fn argon2id(key: &[u8]) -> Result<Self, KeyHashError> {
        check_length(key)?;
        let hash = Argon2::default()
            .hash_password(key)
            .map_err(|_| KeyHashError("the operating system provides no randomness"))?;
        hash.to_string().parse()
    }

    /// Returns whether a key matches; `None` for hashes that need a pepper.
    ///
    /// Intended for tools: slow hashes block for up to a second.
    pub fn verify(&self, key: &[u8]) -> Option<bool> {
        match &self.0 {
            Kind::Fast(digest) => Some(*digest == KeyDigest::of(key)),
            Kind::Peppered(_) => None,
            Kind::Slow(slow) => Some(slow.verify(key)),
        }
    }

    /// Returns whether this is the SHA-256 hash of a well-known secret, such as an empty string
    /// or `changeme`. Stores reject such hashes, because the key can be guessed.
    ///
    /// Salted and peppered hashes are not checked.
    pub fn is_of_known_secret(&self) -> bool {
        match &self.0 {
            Kind::Fast(digest) => known::is_known(digest),
            Kind::Peppered(_) | Kind::Slow(_) => false,
        }
    }

    /// Returns the algorithm: `sha256`, `hmac-sha256`, `bcrypt` or `argon2id`.
    pub fn algorithm(&self) -> &'static str {
        match self.0 {
            Kind::Fast(_) => "sha256",
            Kind::Peppered(_) => "hmac-sha256",
            Kind::Slow(SlowHash::Bcrypt(_)) => "bcrypt",
            Kind::Slow(SlowHash::Argon2(_)) => "argon2id",
        }
    }

    pub(crate) fn into_kind(self) -> Kind {
        self.0
    }
}

fn check_length(key: &[u8]) -> Result<(), KeyHashError> {
    match key.len() < KeyHash::MIN_KEY_LENGTH {
        true => Err(KeyHashError(
            "the key is shorter than 16 bytes and can be guessed; generate one with \
             `stockade keys new`",
        )),
        false => Ok(()),
    }
}

impl From<KeyDigest> for KeyHash {
    fn from(digest: KeyDigest) -> Self {
        Self(Kind::Fast(digest))
    }
}

impl FromStr for KeyHash {
    type Err = KeyHashError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        for (prefix, kind) in [
            ("sha256:", Kind::Fast as fn(KeyDigest) -> Kind),
            ("$sha256$", Kind::Fast),
            ("hmac-sha256:", Kind::Peppered),
        ] {
            if let Some(hex) = text.strip_prefix(prefix) {
                let bytes =
                    parse_hex(hex).ok_or(KeyHashError("a SHA-256 hash has 64 hex digits"))?;
                return Ok(Self(kind(KeyDigest::from_bytes(bytes))));
            }
        }
        // Other tools store SHA-256 hashes without a prefix.
        if let Some(bytes) = parse_hex(text) {
            return Ok(Self(Kind::Fast(KeyDigest::from_bytes(bytes))));
        }
        let slow = if text.starts_with("$2") {
            SlowHash::bcrypt(text)?
        } else if text.starts_with("$argon2") {
            SlowHash::argon2(text)?
        } else {
            return Err(KeyHashError(
                "unknown hash format; use `sha256:` and 64 hex digits, bcrypt \
                 (`$2b$…`) or argon2id (`$argon2id$…`)",
            ));
        };
        Ok(Self(Kind::Slow(slow)))
    }
}

fn parse_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

impl fmt::Display for KeyHash {
    /// Writes the stored form. Do not log it: weak keys can be guessed from their hashes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Fast(digest) => digest.fmt(f),
            Kind::Peppered(digest) => write!(f, "hmac-{digest}"),
            Kind::Slow(SlowHash::Bcrypt(hash) | SlowHash::Argon2(hash)) => f.write_str(hash),
        }
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyHash({})", self.algorithm())
    }
}

/// A password hash, validated when parsed; verification takes milliseconds and megabytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum SlowHash {
    Bcrypt(Box<str>),
    Argon2(Box<str>),
}

impl SlowHash {
    fn bcrypt(text: &str) -> Result<Self, KeyHashError> {
        if text.starts_with("$2x$") {
            return Err(KeyHashError(
                "`$2x$` hashes come from a faulty bcrypt implementation; issue a new key",
            ));
        }
        let parts: bcrypt::HashParts = text.parse().map_err(|_| {
            KeyHashError("the bcrypt hash is malformed or truncated; it has 60 characters")
        })?;
        if !BCRYPT_COSTS.contains(&parts.get_cost()) {
            return Err(KeyHashError("the bcrypt cost is not between 4 and 14"));
        }
        Ok(Self::Bcrypt(text.into()))
    }

    fn argon2(text: &str) -> Result<Self, KeyHashError> {
        const MALFORMED: KeyHashError =
            KeyHashError("the argon2id hash is malformed or truncated; use a PHC string");
        let hash = PasswordHash::new(text).map_err(|_| MALFORMED)?;
        if hash.algorithm.as_str() != "argon2id" {
            return Err(KeyHashError("unsupported argon2 variant; use argon2id"));
        }
        if hash.hash.is_none() || hash.salt.is_none() {
            return Err(MALFORMED);
        }
        let params = argon2::Params::try_from(&hash).map_err(|_| MALFORMED)?;
        if params.m_cost() > ARGON2_MEMORY_KIB
            || params.t_cost() > ARGON2_PASSES
            || params.p_cost() > ARGON2_LANES
        {
            return Err(KeyHashError(
                "the argon2id hash exceeds 256 MiB, 10 passes or 16 lanes",
            ));
        }
        Ok(Self::Argon2(text.into()))
    }

    /// Returns whether a key matches. Blocks for up to a second; never call it on an async thread.
    pub(crate) fn verify(&self, key: &[u8]) -> bool {
        // The hash was validated when it was parsed, so an error means that the key does not
        // match.
        match self {
            Self::Bcrypt(hash) => {
                key.len() <= BCRYPT_MAX_KEY && bcrypt::verify(key, hash).unwrap_or(false)
            }
            Self::Argon2(hash) => Argon2::default().verify_password(key, &**hash).is_ok(),
        }
    }
}

/// The error of parsing a [`KeyHash`]. Does not show the input, which may be a plain key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyHashError(&'static str);

impl fmt::Display for KeyHashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for KeyHashError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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

    // FH15
    #[test]
    fn parses_sha256_without_prefix() {
        let digest = KeyDigest::of(b"abc");
        let bare = digest.to_string().replace("sha256:", "");
        for text in [bare.clone(), bare.to_uppercase(), format!("$sha256${bare}")] {
            assert_eq!(text.parse::<KeyHash>().unwrap(), digest.into(), "{text}");
        }
        assert!(bare[1..].parse::<KeyHash>().is_err());
    }

    // A04, A06
    #[test]
    fn rejects_expensive_and_malformed_hashes() {
        let argon2 = |params: &str| {
            format!(
                "$argon2id$v=19${params}$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
            )
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
            ("sha256:abcd", "64 hex"),
            ("hunter2", "unknown hash format"),
            ("", "unknown hash format"),
        ] {
            let error = text.parse::<KeyHash>().unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    // FP04
    #[test]
    fn rejects_short_keys() {
        for key in ["", "changeme", "fifteen-bytes-x"] {
            for made in [
                KeyHash::sha256(key.as_bytes()),
                KeyHash::argon2id(key.as_bytes()),
            ] {
                let error = made.unwrap_err().to_string();
                assert!(error.contains("16 bytes"), "{error}");
            }
        }
        let key = b"4QmVZkP2sT8cN5xW";
        for made in [KeyHash::sha256(key), KeyHash::argon2id(key)] {
            assert_eq!(made.unwrap().verify(key), Some(true));
        }
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
        fn parsing_never_panics(text: String) {
            let _ = text.parse::<KeyHash>();
        }

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
}
