//! Detects duplicate member names.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;

/// Which of the visitor's known names a member has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KnownMember {
    /// The known name with this index; equal names have equal indices.
    Index(u32),
    /// No known name.
    None,
}

/// The member names seen in one object.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MemberNames {
    /// One bit for each known name seen.
    known: u64,
    /// The index of its first other name in [`DuplicateCheck`].
    others: u32,
    twice: bool,
}

/// The names without a bit of all open objects, innermost last.
///
/// Names are kept as hashes with a seed for each document. Equal names always collide;
/// different names do so with a probability of 2^-64, which refuses a valid request and
/// nothing worse.
#[derive(Debug, Default)]
pub(super) struct DuplicateCheck {
    hasher: Option<RandomState>,
    hashes: Vec<u64>,
}

impl DuplicateCheck {
    /// Opens an object.
    pub(super) fn open(&self) -> MemberNames {
        MemberNames {
            others: self.count(),
            ..MemberNames::default()
        }
    }

    #[inline(always)]
    pub(super) fn push(&mut self, names: &mut MemberNames, name: &[u8], known: KnownMember) {
        match known {
            KnownMember::Index(number @ 0..u64::BITS) => {
                let bit = 1 << number;
                names.twice |= names.known & bit != 0;
                names.known |= bit;
            }
            KnownMember::Index(_) | KnownMember::None => self.push_other(name),
        }
    }

    #[inline(never)]
    fn push_other(&mut self, name: &[u8]) {
        let hasher = self.hasher.get_or_insert_with(RandomState::default);
        self.hashes.push(hasher.hash_one(name));
    }

    /// Closes an object and returns whether its names are distinct.
    #[inline]
    pub(super) fn close(&mut self, names: MemberNames) -> bool {
        !names.twice && (self.count() == names.others || self.are_distinct(names.others))
    }

    /// At most one name per value, and values are counted in 32 bits.
    fn count(&self) -> u32 {
        self.hashes.len() as u32
    }

    fn are_distinct(&mut self, mark: u32) -> bool {
        let mark = mark as usize;
        let names = &mut self.hashes[mark..];
        names.sort_unstable();
        let distinct = names.windows(2).all(|pair| pair[0] != pair[1]);
        self.hashes.truncate(mark);
        distinct
    }
}
