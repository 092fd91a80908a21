//! The keyed chain that makes a log tamper-evident.

mod forgotten;
mod head;
mod key;
mod seal;

pub(crate) use forgotten::Forgotten;
pub(crate) use head::Head;
pub use key::{ChainKey, ChainKeyError, ChainKeyErrorKind};
pub(crate) use seal::{Seal, Sealed, line_digest};

use stockade_core::clock::Timestamp;

/// A digest under a key: HMAC-SHA-256.
pub(crate) type Mac = [u8; 32];

/// Seals batches and keeps the digest of the last one.
pub(crate) struct Chain {
    key: ChainKey,
    tip: Mac,
}

impl Chain {
    /// Continues a chain after this digest.
    pub(crate) fn new(key: ChainKey, tip: Mac) -> Self {
        Self { key, tip }
    }

    /// Seals a batch of whole lines at the end of its last line.
    pub(crate) fn seal(&mut self, batch: &mut Vec<u8>) {
        self.tip = seal::seal(batch, &self.key, &self.tip);
    }

    pub(crate) fn use_key(&mut self, key: ChainKey) {
        self.key = key;
    }

    /// Signs the current end of the log.
    pub(crate) fn head(&self, seq: u64, now: Timestamp) -> String {
        Head { seq, tip: self.tip }.sign(&self.key, now)
    }
}
