//! A secret that a stolen store lacks.

use std::{error::Error, fmt};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::KeyDigest;

/// A server's secret that goes into the digest of every key (HMAC-SHA-256).
///
/// Without it a stolen store cannot even be tested against keys that were guessed or
/// found elsewhere. Keep it away from the store, and keep it: without it the keys whose
/// hashes begin with `hmac-sha256:` are lost.
#[derive(Clone)]
pub struct Pepper(Zeroizing<Vec<u8>>);

impl Pepper {
    /// The fewest bytes that a pepper has.
    pub const MIN_LENGTH: usize = 16;

    /// The pepper of these bytes; let them come from a random generator.
    ///
    /// # Errors
    /// When there are fewer than 16 of them.
    pub fn new(secret: impl Into<Vec<u8>>) -> Result<Self, PepperError> {
        let secret = Zeroizing::new(secret.into());
        if secret.len() < Self::MIN_LENGTH {
            return Err(PepperError);
        }
        Ok(Self(secret))
    }

    /// The digest of a key with this pepper.
    pub fn digest(&self, key: &[u8]) -> KeyDigest {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes any key");
        mac.update(key);
        KeyDigest::from_bytes(mac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper(…)")
    }
}

/// A secret that is too short for a [`Pepper`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PepperError;

impl fmt::Display for PepperError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a pepper has at least 16 bytes; take 32 random ones")
    }
}

impl Error for PepperError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_hmac_sha256() {
        // RFC 4231, test case 1.
        let pepper = Pepper::new([0x0b; 20]).unwrap();
        assert_eq!(
            pepper.digest(b"Hi There").to_string(),
            "sha256:b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
        assert!(Pepper::new([0; 15]).is_err());
    }
}
