//! The keyed chain that makes a log tamper-evident.

mod head;
mod key;
mod seal;

pub(crate) use head::Head;
pub use key::{ChainKey, ChainKeyError, ChainKeyErrorKind};
pub(crate) use seal::{Seal, Sealed};

use stockade_core::clock::Timestamp;

/// A digest under a key: HMAC-SHA-256.
pub(crate) type Mac = [u8; 32];

/// The writing end of a chain.
pub(crate) struct Chain {
    key: ChainKey,
    tip: Mac,
}

impl Chain {
    /// A chain that goes on after this digest.
    pub(crate) fn new(key: ChainKey, tip: Mac) -> Self {
        Self { key, tip }
    }

    /// Seals a batch of whole lines, at the end of its last one.
    pub(crate) fn seal(&mut self, batch: &mut Vec<u8>) {
        self.tip = seal::seal(batch, &self.key, &self.tip);
    }

    pub(crate) fn use_key(&mut self, key: ChainKey) {
        self.key = key;
    }

    /// The signed word that the log reaches to here.
    pub(crate) fn head(&self, seq: u64, now: Timestamp) -> String {
        Head { seq, tip: self.tip }.sign(&self.key, now)
    }
}
