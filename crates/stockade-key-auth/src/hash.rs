//! Stored hashes of keys, and certificates in their place.

mod slow;

use std::{error::Error, fmt, str::FromStr};

use crate::{KeyDigest, SpiffeId, known};

pub(crate) use slow::SlowHash;

/// The stored hash of a key, or the client certificate in its place.
///
/// | text | algorithm |
/// |---|---|
/// | 64 hex digits, alone or after `sha256:` or `$sha256$` | SHA-256, for keys of 128 random bits or more |
/// | `hmac-sha256:` and 64 hex digits | HMAC-SHA-256 with a [`Pepper`](crate::Pepper) |
/// | `$2a$`, `$2b$`, `$2y$` … | bcrypt, cost 4 to 14; keys of at most 72 bytes; feature `bcrypt` |
/// | `$argon2id$v=19$…` | argon2id, at most 256 MiB, 10 passes, 16 lanes; feature `argon2` |
/// | `certificate:` and a [`SpiffeId`] | none: the certificate authenticates, and no secret matches |
///
/// The maxima limit the cost of verifying a stored hash, so that the contents of a store cannot
/// make requests take minutes or gigabytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct KeyHash(Kind);

#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Fast(KeyDigest),
    Peppered(KeyDigest),
    Slow(SlowHash),
    Certificate(SpiffeId),
}

/// The start of a certificate in a store.
const CERTIFICATE: &str = "certificate:";

impl KeyHash {
    /// Wraps a digest that a [`Pepper`](crate::Pepper) computed.
    pub fn peppered(digest: KeyDigest) -> Self {
        Self(Kind::Peppered(digest))
    }

    /// Returns the value of a record whose clients present a certificate with this id instead of
    /// a key; see [`ClientCertificate`](crate::ClientCertificate).
    pub fn certificate(id: SpiffeId) -> Self {
        Self(Kind::Certificate(id))
    }

    /// Returns the id of the certificate; `None` for a hash.
    pub fn as_certificate(&self) -> Option<&SpiffeId> {
        match &self.0 {
            Kind::Certificate(id) => Some(id),
            Kind::Fast(_) | Kind::Peppered(_) | Kind::Slow(_) => None,
        }
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
    #[cfg(feature = "argon2")]
    pub fn argon2id(key: &[u8]) -> Result<Self, KeyHashError> {
        check_length(key)?;
        slow::argon2id(key)?.parse()
    }

    /// Returns whether a key matches; `None` for hashes that need a pepper. No key matches a
    /// certificate.
    ///
    /// Intended for tools: slow hashes block for up to a second.
    pub fn verify(&self, key: &[u8]) -> Option<bool> {
        match &self.0 {
            Kind::Fast(digest) => Some(*digest == KeyDigest::of(key)),
            Kind::Peppered(_) => None,
            Kind::Slow(slow) => Some(slow.verify(key)),
            Kind::Certificate(_) => Some(false),
        }
    }

    /// Returns whether this is the SHA-256 hash of a well-known secret, such as an empty string
    /// or `changeme`. Stores reject such hashes, because the key can be guessed.
    ///
    /// Salted and peppered hashes are not checked.
    pub fn is_of_known_secret(&self) -> bool {
        match &self.0 {
            Kind::Fast(digest) => known::is_known(digest),
            Kind::Peppered(_) | Kind::Slow(_) | Kind::Certificate(_) => false,
        }
    }

    /// Returns the algorithm: `sha256`, `hmac-sha256`, `bcrypt` or `argon2id`; `certificate` for a
    /// certificate.
    pub fn algorithm(&self) -> &'static str {
        match &self.0 {
            Kind::Fast(_) => "sha256",
            Kind::Peppered(_) => "hmac-sha256",
            Kind::Slow(slow) => slow.algorithm(),
            Kind::Certificate(_) => "certificate",
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
        if let Some(id) = text.strip_prefix(CERTIFICATE) {
            let id = id.parse::<SpiffeId>();
            return id
                .map(Self::certificate)
                .map_err(|error| KeyHashError(error.message()));
        }
        // Other tools store SHA-256 hashes without a prefix.
        if let Some(bytes) = parse_hex(text) {
            return Ok(Self(Kind::Fast(KeyDigest::from_bytes(bytes))));
        }
        match SlowHash::parse(text) {
            Some(slow) => Ok(Self(Kind::Slow(slow?))),
            None => Err(KeyHashError(
                "unknown hash format; use `sha256:` and 64 hex digits, bcrypt \
                 (`$2b$…`) or argon2id (`$argon2id$…`)",
            )),
        }
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
            Kind::Slow(slow) => f.write_str(slow.as_str()),
            Kind::Certificate(id) => write!(f, "{CERTIFICATE}{id}"),
        }
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyHash({})", self.algorithm())
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

    // A04
    #[test]
    fn rejects_malformed_hashes() {
        for (text, why) in [
            ("sha256:abcd", "64 hex"),
            ("hunter2", "unknown hash format"),
            ("", "unknown hash format"),
        ] {
            let error = text.parse::<KeyHash>().unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn certificate_has_a_text_and_no_secret() {
        let text = "certificate:spiffe://example.org/agent";
        let hash: KeyHash = text.parse().unwrap();
        assert_eq!(hash.to_string(), text);
        let id = hash.as_certificate().unwrap();
        assert_eq!(id.as_str(), "spiffe://example.org/agent");
        for key in [text, id.as_str(), ""] {
            assert_eq!(hash.verify(key.as_bytes()), Some(false), "{key}");
        }
        let hash_of_id = KeyHash::from(KeyDigest::of(id.as_str().as_bytes()));
        assert_ne!(hash, hash_of_id);
        assert_eq!(hash_of_id.as_certificate(), None);

        let error = "certificate:example.org".parse::<KeyHash>().unwrap_err();
        assert!(error.to_string().contains("spiffe://"), "{error}");
    }

    #[cfg(not(feature = "bcrypt"))]
    #[test]
    fn names_the_feature_that_a_hash_needs() {
        let hash = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
        let error = hash.parse::<KeyHash>().unwrap_err().to_string();
        assert!(error.contains("feature `bcrypt`"), "{error}");
    }

    // FP04
    #[test]
    fn rejects_short_keys() {
        for key in ["", "changeme", "fifteen-bytes-x"] {
            let error = KeyHash::sha256(key.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("16 bytes"), "{error}");
        }
        let key = b"4QmVZkP2sT8cN5xW";
        assert_eq!(KeyHash::sha256(key).unwrap().verify(key), Some(true));
    }

    proptest! {
        // A07
        #[test]
        fn parsing_never_panics(text: String) {
            let _ = text.parse::<KeyHash>();
        }

    }
}
