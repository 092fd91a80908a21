//! The pepper: a server-side secret that is not in the store.

use std::{
    error::Error,
    fmt,
    fs::File,
    io::{self, Read},
    path::Path,
};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::KeyDigest;

/// The maximum size of a pepper file.
const MAX_FILE_SIZE: usize = 64 << 10;

/// A server-side secret that keys the digests of API keys (HMAC-SHA-256).
///
/// Without it, a stolen store cannot be tested against guessed or leaked keys. Keep it
/// separate from the store, and back it up: keys whose hashes start with `hmac-sha256:`
/// cannot be verified without it.
///
/// ```
/// use stockade_key_auth::{GeneratedKey, Pepper};
///
/// # let secret = [7; 32];
/// let pepper = Pepper::new(secret)?; // 32 random bytes
/// let key = GeneratedKey::new("sk", "team-core".parse()?)?;
/// let hash = pepper.digest(key.expose().as_bytes());
/// assert_ne!(hash, key.digest());
/// assert!(Pepper::new("too short").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Pepper(Zeroizing<Vec<u8>>);

impl Pepper {
    /// The minimum length in bytes.
    pub const MIN_LENGTH: usize = 16;

    /// Creates a pepper from random bytes.
    ///
    /// # Errors
    /// Returns an error for fewer than 16 bytes.
    pub fn new(secret: impl Into<Vec<u8>>) -> Result<Self, PepperError> {
        let secret = Zeroizing::new(secret.into());
        if secret.len() < Self::MIN_LENGTH {
            return Err(PepperError);
        }
        Ok(Self(secret))
    }

    /// Reads the pepper from a file, without one trailing line ending. Blocks.
    ///
    /// The server and the command line both use this function, so that they agree on the
    /// bytes.
    ///
    /// # Errors
    /// Returns an error when the file cannot be read, is larger than 64 KiB, or holds fewer
    /// than 16 bytes ([`InvalidData`](io::ErrorKind::InvalidData)).
    pub fn read(path: &Path) -> io::Result<Self> {
        // Allocated at full size: reallocation would leave copies in memory.
        let mut secret = Zeroizing::new(Vec::with_capacity(MAX_FILE_SIZE + 1));
        File::open(path)?
            .take(MAX_FILE_SIZE as u64 + 1)
            .read_to_end(&mut secret)?;
        if secret.len() > MAX_FILE_SIZE {
            let message = "the file is larger than 64 KiB";
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
        for end in *b"\n\r" {
            if secret.last() == Some(&end) {
                secret.pop();
            }
        }
        Self::new(&**secret).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// Computes the digest of a key with this pepper.
    pub fn digest(&self, key: &[u8]) -> KeyDigest {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC accepts keys of any length");
        mac.update(key);
        KeyDigest::from_bytes(mac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper(…)")
    }
}

/// The error of a [`Pepper`] that is too short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PepperError;

impl fmt::Display for PepperError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a pepper needs at least 16 bytes; use 32 random bytes")
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

    #[test]
    fn strips_one_trailing_line_ending() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let read = |text: &[u8]| {
            std::fs::write(file.path(), text).unwrap();
            Pepper::read(file.path())
        };
        let expected = Pepper::new([b'p'; 16]).unwrap().digest(b"key");
        for text in [
            "pppppppppppppppp",
            "pppppppppppppppp\n",
            "pppppppppppppppp\r\n",
        ] {
            assert_eq!(read(text.as_bytes()).unwrap().digest(b"key"), expected);
        }
        let other = read(b"pppppppppppppppp\n\n").unwrap();
        assert_ne!(other.digest(b"key"), expected);
        let short = read(b"ppppppppppppppp\n").unwrap_err();
        assert_eq!(short.kind(), io::ErrorKind::InvalidData);
        let long = read(&vec![b'p'; MAX_FILE_SIZE + 1]).unwrap_err();
        assert_eq!(long.kind(), io::ErrorKind::FileTooLarge);
    }
}
