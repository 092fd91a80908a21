//! A small table of names that a person wrote, found by few instructions.

/// NameTable that a person wrote, each with its number.
///
/// Who looks for a name chooses it, but not the names that are here: no search grows.
#[derive(Clone, Debug, Default)]
pub(crate) struct NameTable {
    names: Vec<Box<str>>,
    /// A power of two of them, of which half at least are free. A name is in the first that
    /// was free from its own on; those of names that differ in the case of ASCII letters
    /// only are the same.
    slots: Vec<Slot>,
}

/// Where a name may be.
#[derive(Clone, Copy, Debug)]
struct Slot {
    word: u64,
    /// Nobody's where no name is.
    length: u32,
    number: u32,
}

impl Slot {
    const FREE: Self = Self {
        word: 0,
        length: u32::MAX,
        number: 0,
    };

    fn is_free(self) -> bool {
        self.length == Self::FREE.length
    }
}

impl NameTable {
    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The names in the order of their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    /// Adds a name that is not among them. Its number is how many there were.
    pub(crate) fn add(&mut self, name: &str) {
        self.names.push(name.into());
        self.slots = vec![Slot::FREE; (2 * self.names.len()).next_power_of_two()];
        for (number, name) in (0..).zip(&self.names) {
            let word = word(name.as_bytes());
            let at = self.first(word, name.len());
            let (before, from) = self.slots.split_at_mut(at);
            let mut run = from.iter_mut().chain(before);
            let free = run.find(|slot| slot.is_free());
            *free.expect("half of them are free") = Slot {
                word,
                length: u32::try_from(name.len()).expect("as long as a person writes"),
                number,
            };
        }
    }

    /// The number of this name.
    #[inline(always)]
    pub(crate) fn find(&self, name: &[u8]) -> Option<u32> {
        let word = word(name);
        let at = self.first(word, name.len());
        let slot = self.slots.get(at)?;
        // Up to eight bytes the word says it all.
        if slot.word == word
            && slot.length as usize == name.len()
            && (name.len() <= 8 || self.name(slot) == name)
        {
            return Some(slot.number);
        }
        self.search(word, name, at)
    }

    /// Searches from this slot on.
    fn search(&self, word: u64, name: &[u8], at: usize) -> Option<u32> {
        self.run(at)
            .find(|slot| slot.word == word && self.name(slot) == name)
            .map(|slot| slot.number)
    }

    fn name(&self, slot: &Slot) -> &[u8] {
        self.names[slot.number as usize].as_bytes()
    }

    /// Whether a name differs from one of these in the case of ASCII letters at most.
    pub(crate) fn has_ignoring_case(&self, name: &[u8]) -> bool {
        let at = self.first(word(name), name.len());
        let mut names = self.run(at).map(|slot| self.name(slot));
        names.any(|known| known.eq_ignore_ascii_case(name))
    }

    /// The slots from this one on, at the end from the beginning, up to one that is free.
    fn run(&self, mut at: usize) -> impl Iterator<Item = &Slot> {
        std::iter::from_fn(move || {
            let slot = self.slots.get(at).filter(|slot| !slot.is_free())?;
            at = (at + 1) & self.slots.len().wrapping_sub(1);
            Some(slot)
        })
    }

    /// Where the search for a name begins.
    #[inline(always)]
    fn first(&self, word: u64, length: usize) -> usize {
        // Makes one of `A` and `a`.
        const FOLD: u64 = u64::from_le_bytes([0x20; 8]);
        // Any odd number whose bits are well mixed: 2^64 by the golden ratio.
        const MIX: u64 = 0x9E37_79B9_7F4A_7C15;
        let mixed = ((word | FOLD) ^ length as u64).wrapping_mul(MIX);
        (mixed >> 32) as usize & self.slots.len().wrapping_sub(1)
    }
}

/// The last eight bytes of a name; all of it, together with its length, where it has no
/// more. Paths differ at their ends.
#[inline(always)]
fn word(name: &[u8]) -> u64 {
    if let Some(last) = name.last_chunk() {
        return u64::from_le_bytes(*last);
    }
    if let (Some(first), Some(last)) = (name.first_chunk(), name.last_chunk()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        return u64::from(first) | u64::from(last) << 32;
    }
    name.iter()
        .fold(0, |word, byte| word << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        // However names meet in the table, the answer is that of comparing them one by one.
        #[test]
        fn finds_what_a_search_finds(
            known in prop::collection::btree_set("[aAbk_]{0,4}|[a-c]{7,11}|/v1/[ab]{1,2}/chat", 0..40),
            other in "[aAbk_]{0,4}|[a-cA-C]{7,11}|/v1/[ab]{1,2}/chat",
        ) {
            let known: Vec<String> = known.into_iter().collect();
            let mut names = NameTable::default();
            for name in &known {
                names.add(name);
            }
            for name in known.iter().chain([&other]) {
                let number = known.iter().position(|known| known == name);
                prop_assert_eq!(names.find(name.as_bytes()).map(|number| number as usize), number);
                let upper = name.to_uppercase();
                let is_known = known.iter().any(|known| known.to_uppercase() == upper);
                prop_assert_eq!(names.has_ignoring_case(upper.as_bytes()), is_known);
            }
        }
    }
}
