//! Whether the members of an object have different names.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;

/// The names of the members of all objects that are open, innermost last.
///
/// Kept are hashes, seeded anew for each text: the same names always meet, and two that
/// differ do so once in 2^64 pairs, which costs a client a refusal and nothing else.
#[derive(Debug, Default)]
pub(super) struct Keys {
    hasher: RandomState,
    hashes: Vec<u64>,
}

impl Keys {
    /// Where the names of an object that is opened now will begin.
    pub(super) fn mark(&self) -> usize {
        self.hashes.len()
    }

    pub(super) fn push(&mut self, key: &[u8]) {
        self.hashes.push(self.hasher.hash_one(key));
    }

    /// Forgets the names of the object that began here; whether each was there once.
    pub(super) fn close(&mut self, mark: usize) -> bool {
        let names = &mut self.hashes[mark..];
        names.sort_unstable();
        let distinct = names.windows(2).all(|pair| pair[0] != pair[1]);
        self.hashes.truncate(mark);
        distinct
    }
}
