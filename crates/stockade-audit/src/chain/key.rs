//! The secret shared by the writer of a log and its auditor.

use std::{error::Error, fmt};

use hmac::{Hmac, KeyInit, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::Mac;

/// A named secret that seals a log (HMAC-SHA-256).
///
/// The key allows forging the log, so store it away from the log. The records contain its
/// id; the secret is erased from memory on drop.
///
/// ```
/// use stockade_audit::ChainKey;
///
/// # let secret = [7; 32];
/// let key = ChainKey::new("2026-01", secret)?; // 32 random bytes
/// assert_eq!(key.id(), "2026-01");
/// assert!(ChainKey::new("2026-01", "too short").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ChainKey {
    id: Box<str>,
    secret: Zeroizing<Vec<u8>>,
}

impl ChainKey {
    /// The minimum length of a secret, in bytes. Use random bytes.
    pub const MIN_LENGTH: usize = 32;

    /// Creates a key. The id consists of 1 to 64 letters, digits, `.`, `_` and `-`.
    ///
    /// # Errors
    /// Fails if the id is malformed or the secret is shorter than 32 bytes.
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

    /// Returns the id that the records contain.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Computes the digest of a text, separated from other uses of the key by `purpose`.
    pub(super) fn sign(&self, purpose: &[u8], text: &[u8]) -> Mac {
        self.mac(purpose, text).finalize().into_bytes().into()
    }

    /// Compares the digest in constant time.
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

/// The error of [`ChainKey::new`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainKeyError(ChainKeyErrorKind);

impl ChainKeyError {
    /// Returns the kind of the error.
    pub fn kind(&self) -> ChainKeyErrorKind {
        self.0
    }
}

/// The kinds of a [`ChainKeyError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChainKeyErrorKind {
    /// The id is malformed.
    Id,
    /// The secret is too short.
    ShortSecret,
}

impl fmt::Display for ChainKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            ChainKeyErrorKind::Id => {
                "the id of a chain key consists of 1 to 64 letters, digits, `.`, `_` and `-`"
            }
            ChainKeyErrorKind::ShortSecret => {
                "the secret of a chain key has at least 32 random bytes"
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
    fn rejects_invalid_ids_and_short_secrets() {
        let kind = |id: &str, length: usize| ChainKey::new(id, vec![0; length]).unwrap_err().kind();
        for id in ["", "a b", "a\"", &"x".repeat(65)] {
            assert_eq!(kind(id, 32), ChainKeyErrorKind::Id, "{id:?}");
        }
        assert_eq!(kind("a", 31), ChainKeyErrorKind::ShortSecret);
    }

    #[test]
    fn debug_omits_the_secret() {
        let key = ChainKey::new("k1", *b"correct horse battery staple 32b").unwrap();
        assert_eq!(format!("{key:?}"), "ChainKey(k1, …)");
    }
}
