//! Digests of keys.

use std::{
    fmt,
    hash::{BuildHasherDefault, Hash, Hasher},
};

use ctutils::CtEq as _;
use sha2::{Digest as _, Sha256};

/// The SHA-256 digest of a whole key.
///
/// A fast hash is sufficient for secrets of 128 random bits or more, which cannot be guessed.
/// Digests are compared in constant time, also during look-ups.
///
/// ```
/// use stockade_key_auth::{GeneratedKey, KeyDigest};
///
/// let key = GeneratedKey::new("sk", "team-core".parse()?)?;
/// assert_eq!(KeyDigest::of(key.expose().as_bytes()), key.digest());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy)]
pub struct KeyDigest([u8; 32]);

impl KeyDigest {
    /// Computes the digest of a key.
    pub fn of(key: &[u8]) -> Self {
        Self(Sha256::digest(key).into())
    }

    /// Restores a stored digest.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes to store.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for KeyDigest {
    /// Compares in constant time.
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for KeyDigest {}

impl Hash for KeyDigest {
    fn hash<H>(&self, state: &mut H)
    where
        H: Hasher,
    {
        state.write(&self.0);
    }
}

/// Hashes a digest to its first bytes. They are uniformly distributed, and clients cannot
/// insert colliding digests, since the map holds the keys of the store only.
pub(crate) type ByDigest = BuildHasherDefault<DigestHasher>;

#[derive(Default)]
pub(crate) struct DigestHasher(u64);

impl Hasher for DigestHasher {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*first);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl fmt::Display for KeyDigest {
    /// Writes `sha256:` and 64 hex digits, as in key files.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", hex::encode(self.0))
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyDigest(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A02
    #[test]
    fn compares_every_byte() {
        let digest = KeyDigest::of(b"abc");
        assert_eq!(digest, KeyDigest::of(b"abc"));
        for at in 0..32 {
            let mut other = digest;
            other.0[at] ^= 1;
            assert_ne!(digest, other, "byte {at}");
        }
    }

    #[test]
    fn is_sha256() {
        // FIPS 180-4, the one-block example.
        assert_eq!(
            KeyDigest::of(b"abc").to_string(),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
