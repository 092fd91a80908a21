//! Digests of what is read.

use std::io::{self, Read};

use sha2::{Digest as _, Sha256};

/// A reader that digests what it returns.
pub(crate) struct Digesting<R> {
    inner: R,
    sha256: Sha256,
    length: u64,
}

impl<R> Digesting<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self {
            inner,
            sha256: Sha256::new(),
            length: 0,
        }
    }

    /// The number of bytes, and their digest in hexadecimal digits.
    pub(crate) fn finish(self) -> (u64, String) {
        (self.length, hex::encode(self.sha256.finalize()))
    }
}

impl<R> Read for Digesting<R>
where
    R: Read,
{
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.sha256.update(&buffer[..read]);
        self.length += read as u64;
        Ok(read)
    }
}
