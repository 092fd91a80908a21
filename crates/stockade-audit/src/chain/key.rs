//! The secret that only the log's writer and its auditor know.

use std::{error::Error, fmt};

use hmac::{Hmac, KeyInit, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::Mac;

/// A named secret that seals a log (HMAC-SHA-256).
///
/// Whoever has it can forge the log, so keep it away from where the log goes to. Its id
/// stands in the records; the secret is wiped from memory on drop.
#[derive(Clone)]
pub struct ChainKey {
    id: Box<str>,
    secret: Zeroizing<Vec<u8>>,
}

impl ChainKey {
    /// The fewest bytes of a secret; let them be random.
    pub const MIN_LENGTH: usize = 32;

    /// The key of this id: 1 to 64 letters, digits, `.`, `_` and `-`.
    ///
    /// # Errors
    /// When the id is not such a text, or the secret is shorter than 32 bytes.
    pub fn new(id: &str, secret: impl Into<Vec<u8>>) -> Result<Self, ChainKeyError> {
        let secret = Zeroizing::new(secret.into());
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if !(1..=64).contains(&id.len()) || !id.bytes().all(letter) {
            return Err(ChainKeyError(ChainKeyErrorKind::Id));
        }
        if secret.len() < Self::MIN_LENGTH {
            return Err(ChainKeyError(ChainKeyErrorKind::ShortSecret));
        }
        Ok(Self {
            id: id.into(),
            secret,
        })
    }

    /// Its name in the records.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The digest of a text that is used for one purpose only.
    pub(super) fn sign(&self, purpose: &[u8], text: &[u8]) -> Mac {
        self.mac(purpose, text).finalize().into_bytes().into()
    }

    /// Whether this is the digest, found out in constant time.
    pub(super) fn verify(&self, purpose: &[u8], text: &[u8], mac: &Mac) -> bool {
        self.mac(purpose, text).verify_slice(mac).is_ok()
    }

    fn mac(&self, purpose: &[u8], text: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret).expect("HMAC takes any key");
        mac.update(purpose);
        mac.update(text);
        mac
    }
}

impl fmt::Debug for ChainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChainKey({}, …)", self.id)
    }
}

/// Why there is no [`ChainKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainKeyError(ChainKeyErrorKind);

impl ChainKeyError {
    /// What is wrong.
    pub fn kind(&self) -> ChainKeyErrorKind {
        self.0
    }
}

/// The kinds of a [`ChainKeyError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChainKeyErrorKind {
    /// The text is no id.
    Id,
    /// The secret is too short.
    ShortSecret,
}

impl fmt::Display for ChainKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            ChainKeyErrorKind::Id => {
                "the id of a chain key has 1 to 64 letters, digits, `.`, `_` and `-`"
            }
            ChainKeyErrorKind::ShortSecret => {
                "the secret of a chain key has at least 32 bytes; take random ones"
            }
        })
    }
}

impl Error for ChainKeyError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_hmac_sha256() {
        // RFC 4231, test case 6: a key of 131 bytes.
        let key = ChainKey::new("a", [0xaa; 131]).unwrap();
        let text = b"Test Using Larger Than Block-Size Key - Hash Key First";
        let mac = key.sign(b"", text);
        assert_eq!(
            hex::encode(mac),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
        assert!(key.verify(b"", text, &mac));
        assert!(!key.verify(b"x", text, &mac));
    }

    #[test]
    fn refuses_ids_and_secrets_that_are_none() {
        let kind = |id: &str, length: usize| ChainKey::new(id, vec![0; length]).unwrap_err().kind();
        for id in ["", "a b", "a\"", &"x".repeat(65)] {
            assert_eq!(kind(id, 32), ChainKeyErrorKind::Id, "{id:?}");
        }
        assert_eq!(kind("a", 31), ChainKeyErrorKind::ShortSecret);
    }

    #[test]
    fn never_shows_its_secret() {
        let key = ChainKey::new("k1", *b"correct horse battery staple 32b").unwrap();
        assert_eq!(format!("{key:?}"), "ChainKey(k1, …)");
    }
}
