//! Password hashes, whose verification takes milliseconds and megabytes.

#[cfg(feature = "argon2")]
mod argon2;
#[cfg(feature = "bcrypt")]
mod bcrypt;

use super::KeyHashError;

#[cfg(feature = "argon2")]
pub(super) use argon2::hash as argon2id;

/// A password hash, validated when parsed.
#[derive(Clone)]
pub(crate) struct SlowHash {
    text: Box<str>,
    algorithm: &'static Algorithm,
}

/// A family of password hashes.
struct Algorithm {
    name: &'static str,
    /// Validates the format and the cost of a hash.
    validate: fn(&str) -> Result<(), KeyHashError>,
    /// Returns whether a key matches a valid hash.
    verify: fn(key: &[u8], hash: &str) -> bool,
}

impl SlowHash {
    /// Parses a password hash; `None` if the text has another format.
    pub(super) fn parse(text: &str) -> Option<Result<Self, KeyHashError>> {
        let algorithm = algorithm(text)?;
        Some(algorithm.and_then(|algorithm| {
            (algorithm.validate)(text)?;
            Ok(Self {
                text: text.into(),
                algorithm,
            })
        }))
    }

    pub(super) fn algorithm(&self) -> &'static str {
        self.algorithm.name
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns whether a key matches. Blocks for up to a second; never call it on an async thread.
    pub(crate) fn verify(&self, key: &[u8]) -> bool {
        (self.algorithm.verify)(key, &self.text)
    }
}

/// Returns the algorithm of a hash, or an error if this program was built without it.
fn algorithm(hash: &str) -> Option<Result<&'static Algorithm, KeyHashError>> {
    if hash.starts_with("$2") {
        #[cfg(feature = "bcrypt")]
        return Some(Ok(&bcrypt::ALGORITHM));
        #[cfg(not(feature = "bcrypt"))]
        return Some(Err(KeyHashError(
            "this program was built without the feature `bcrypt` of stockade-key-auth",
        )));
    }
    if hash.starts_with("$argon2") {
        #[cfg(feature = "argon2")]
        return Some(Ok(&argon2::ALGORITHM));
        #[cfg(not(feature = "argon2"))]
        return Some(Err(KeyHashError(
            "this program was built without the feature `argon2` of stockade-key-auth",
        )));
    }
    None
}

// The text determines the algorithm.
impl PartialEq for SlowHash {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for SlowHash {}

impl std::hash::Hash for SlowHash {
    fn hash<H>(&self, state: &mut H)
    where
        H: std::hash::Hasher,
    {
        self.text.hash(state);
    }
}

#[cfg(test)]
#[cfg(all(feature = "argon2", feature = "bcrypt"))]
mod tests;
