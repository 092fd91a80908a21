//! Whether the members of an object have different names.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;

/// A member's name, escapes undone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) is_ascii: bool,
}

impl<'a> Key<'a> {
    pub(crate) fn new(name: &'a [u8]) -> Self {
        let is_ascii = name.is_ascii();
        Self { name, is_ascii }
    }
}

/// Which of the names that are known where a member is it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KnownMember {
    /// The one of this number; equal names have equal numbers.
    Index(u32),
    /// None of them.
    None,
}

/// The names of the members of one object.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MemberNames {
    /// A bit for each known name that was there.
    known: u64,
    /// Where its other names begin in [`DuplicateCheck`].
    others: u32,
    twice: bool,
}

/// The names that no bit is for, of all objects that are open, innermost last.
///
/// Kept are hashes, seeded anew for each text: the same names always meet, and two that
/// differ do so once in 2^64 pairs, which costs a client a refusal and nothing else.
#[derive(Debug, Default)]
pub(super) struct DuplicateCheck {
    hasher: Option<RandomState>,
    hashes: Vec<u64>,
}

impl DuplicateCheck {
    /// The names of an object that is opened now.
    pub(super) fn open(&self) -> MemberNames {
        MemberNames {
            others: self.count(),
            ..MemberNames::default()
        }
    }

    #[inline(always)]
    pub(super) fn push(&mut self, names: &mut MemberNames, key: Key<'_>, known: KnownMember) {
        match known {
            KnownMember::Index(number @ 0..u64::BITS) => {
                let bit = 1 << number;
                names.twice |= names.known & bit != 0;
                names.known |= bit;
            }
            KnownMember::Index(_) | KnownMember::None => self.push_other(key),
        }
    }

    #[inline(never)]
    fn push_other(&mut self, key: Key<'_>) {
        let hasher = self.hasher.get_or_insert_with(RandomState::default);
        self.hashes.push(hasher.hash_one(key.name));
    }

    /// Forgets the names of the object that is closed; whether each was there once.
    #[inline]
    pub(super) fn close(&mut self, names: MemberNames) -> bool {
        !names.twice && (self.count() == names.others || self.are_distinct(names.others))
    }

    /// No more than values are open, and those are counted in as many bits.
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
