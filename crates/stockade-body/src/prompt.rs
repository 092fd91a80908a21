//! Digests of prompts, for logs that must not hold them.

use std::{error::Error, fmt, sync::Arc};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use stockade_core::llm::PromptDigest;
use zeroize::Zeroizing;

/// The secret under which prompts are digested (HMAC-SHA-256), wiped from memory on drop.
///
/// Under another one, the same prompt has another digest, so who changes it makes old
/// records incomparable with new ones.
#[derive(Clone)]
pub struct PromptKey(Arc<Zeroizing<Vec<u8>>>);

impl PromptKey {
    /// The fewest bytes of a secret; let them be random.
    pub const MIN_LENGTH: usize = 32;

    /// The key with this secret.
    ///
    /// # Errors
    /// When the secret is shorter than 32 bytes.
    pub fn new(secret: impl Into<Vec<u8>>) -> Result<Self, PromptKeyError> {
        let secret = Zeroizing::new(secret.into());
        match secret.len() < Self::MIN_LENGTH {
            true => Err(PromptKeyError(())),
            false => Ok(Self(Arc::new(secret))),
        }
    }

    pub(crate) fn begin(&self) -> PromptHasher {
        let mac = Hmac::new_from_slice(&self.0).expect("HMAC takes any key");
        PromptHasher(Box::new(mac))
    }
}

impl fmt::Debug for PromptKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PromptKey(…)")
    }
}

/// The secret of a [`PromptKey`] is too short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PromptKeyError(());

impl fmt::Display for PromptKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the secret of a prompt key has at least 32 bytes; take random ones")
    }
}

impl Error for PromptKeyError {}

/// A prompt that is read, one text after the other.
#[derive(Debug)]
pub(crate) struct PromptHasher(Box<Hmac<Sha256>>);

impl PromptHasher {
    /// Adds a text. Its length comes first, so that no two lists of texts are as one.
    pub(crate) fn text(&mut self, text: &[u8]) {
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
        let mut hasher = key.begin();
        for text in texts {
            hasher.text(text.as_bytes());
        }
        hasher.finish().to_string()
    }

    #[test]
    fn tells_lists_of_texts_and_keys_apart() {
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
    fn a_short_secret_is_none() {
        let error = PromptKey::new([0; 31]).unwrap_err();
        assert!(error.to_string().contains("32 bytes"));
    }
}
