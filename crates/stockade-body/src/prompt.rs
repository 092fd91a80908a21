//! Keyed digests of prompts, for logs without prompt text.

use std::{error::Error, fmt, sync::Arc};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use stockade_core::llm::PromptDigest;
use zeroize::Zeroizing;

/// The HMAC-SHA-256 key for prompt digests, wiped from memory on drop.
///
/// The same prompt has another digest under another key, so records before and after a key
/// change cannot be compared.
///
/// ```
/// use stockade_body::{BodyRules, PromptKey};
///
/// # let secret = [7; 32];
/// let key = PromptKey::new(secret)?; // 32 random bytes
/// let rules = BodyRules::new().digest_prompts(key);
/// assert!(PromptKey::new("too short").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct PromptKey(Arc<Zeroizing<Vec<u8>>>);

impl PromptKey {
    /// The minimum length of a secret in bytes. Use random bytes.
    pub const MIN_LENGTH: usize = 32;

    /// Creates a key from a secret.
    ///
    /// # Errors
    /// Fails if the secret is shorter than 32 bytes.
    pub fn new(secret: impl Into<Vec<u8>>) -> Result<Self, PromptKeyError> {
        let secret = Zeroizing::new(secret.into());
        match secret.len() < Self::MIN_LENGTH {
            true => Err(PromptKeyError(())),
            false => Ok(Self(Arc::new(secret))),
        }
    }

    pub(crate) fn hasher(&self) -> PromptHasher {
        let mac = Hmac::new_from_slice(&self.0).expect("HMAC takes any key");
        PromptHasher(Box::new(mac))
    }
}

impl fmt::Debug for PromptKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PromptKey(…)")
    }
}

/// The error of a [`PromptKey`] whose secret is too short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PromptKeyError(());

impl fmt::Display for PromptKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the secret of a prompt key is shorter than 32 bytes")
    }
}

impl Error for PromptKeyError {}

/// Digests a prompt text by text.
#[derive(Debug)]
pub(crate) struct PromptHasher(Box<Hmac<Sha256>>);

impl PromptHasher {
    /// Adds a text, prefixed with its length, so that no two lists of texts collide.
    pub(crate) fn update(&mut self, text: &[u8]) {
        self.0.update(&(text.len() as u64).to_le_bytes());
        self.0.update(text);
    }

    pub(crate) fn finish(self) -> PromptDigest {
        let [first, _second] = *self.0.finalize().into_bytes().as_chunks::<16>().0 else {
            unreachable!("SHA-256 has 32 bytes")
        };
        PromptDigest::new(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(key: &PromptKey, texts: &[&str]) -> String {
        let mut hasher = key.hasher();
        for text in texts {
            hasher.update(text.as_bytes());
        }
        hasher.finish().to_string()
    }

    #[test]
    fn digests_depend_on_the_split_and_the_key() {
        let key = PromptKey::new([7; 32]).unwrap();
        let other = PromptKey::new([8; 32]).unwrap();
        assert_eq!(digest(&key, &["a", "b"]), digest(&key, &["a", "b"]));
        assert_ne!(digest(&key, &["a", "b"]), digest(&key, &["ab"]));
        assert_ne!(digest(&key, &["a", "b"]), digest(&other, &["a", "b"]));
        // HMAC-SHA-256 of the length of "Hi" and "Hi" itself under 32 sevens, cut in half;
        // by `printf '\2\0\0\0\0\0\0\0Hi' | openssl dgst -sha256 -mac HMAC -macopt hexkey:07…`.
        assert_eq!(digest(&key, &["Hi"]), "a66bdccd4708415847177bda39d3a764");
        assert_eq!(format!("{key:?}"), "PromptKey(…)");
    }

    #[test]
    fn refuses_a_short_secret() {
        let error = PromptKey::new([0; 31]).unwrap_err();
        assert!(error.to_string().contains("32 bytes"));
    }
}
