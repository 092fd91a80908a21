//! The digest under which a token is known.

use std::fmt;

use sha2::{Digest as _, Sha256};
use stockade_core::constant_time_eq;

/// The SHA-256 digest of a token's whole text.
///
/// A fast hash is right here: what it is of has 256 random bits or a signature.
#[derive(Clone, Copy)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// The digest of a token.
    pub fn of(text: impl AsRef<[u8]>) -> Self {
        Self(Sha256::digest(text).into())
    }

    /// A digest that was stored.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The digest, to be stored.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A place in a table: the digest is as good as random already.
    pub(crate) fn index(&self) -> usize {
        let first = self.0.first_chunk().expect("a digest has eight bytes");
        u64::from_le_bytes(*first) as usize
    }
}

impl PartialEq for TokenDigest {
    /// In constant time.
    fn eq(&self, other: &Self) -> bool {
        constant_time_eq(&self.0, &other.0)
    }
}

impl Eq for TokenDigest {}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differs_in_any_byte() {
        let digest = TokenDigest::of("abc");
        assert_eq!(digest, TokenDigest::of("abc"));
        for at in 0..32 {
            let mut other = digest;
            other.0[at] ^= 1;
            assert_ne!(digest, other, "byte {at}");
        }
    }
}
