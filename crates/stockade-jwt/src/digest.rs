//! Digests of tokens.

use std::fmt;

use ctutils::CtEq as _;
use sha2::{Digest as _, Sha256};

/// The SHA-256 digest of a whole token.
///
/// A fast hash is sufficient: tokens have 256 random bits or a signature.
#[derive(Clone, Copy)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// Computes the digest of a token.
    pub fn of(text: impl AsRef<[u8]>) -> Self {
        Self(Sha256::digest(text).into())
    }

    /// Restores a stored digest.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes to store.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns a table index; digests are uniformly distributed.
    pub(crate) fn index(&self) -> usize {
        let first = self
            .0
            .first_chunk()
            .expect("a digest has more than eight bytes");
        u64::from_le_bytes(*first) as usize
    }
}

impl PartialEq for TokenDigest {
    /// Compares in constant time.
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
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
    fn compares_every_byte() {
        let digest = TokenDigest::of("abc");
        assert_eq!(digest, TokenDigest::of("abc"));
        for at in 0..32 {
            let mut other = digest;
            other.0[at] ^= 1;
            assert_ne!(digest, other, "byte {at}");
        }
    }
}
