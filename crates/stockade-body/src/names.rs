//! A small table of names that a person wrote, found by few instructions.

/// Names that a person wrote, each with its number. Names that differ in the case of ASCII
/// letters only are in one chain.
///
/// Who looks for a name chooses it, but not the names that are here: no chain grows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    entries: Vec<Entry>,
    /// The last entry of each hash; twice as many as entries at least.
    slots: Vec<u32>,
}

#[derive(Clone, Debug)]
struct Entry {
    name: Box<str>,
    word: u64,
    /// The next entry of the same hash.
    next: u32,
}

/// No entry.
const NONE: u32 = u32::MAX;

impl Names {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The names in the order of their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| &*entry.name)
    }

    /// Adds a name that is not among them. Its number is how many there were.
    pub(crate) fn add(&mut self, name: &str) {
        self.entries.push(Entry {
            name: name.into(),
            word: word(name.as_bytes()),
            next: NONE,
        });
        self.slots = vec![NONE; (2 * self.entries.len()).next_power_of_two()];
        for index in 0..self.entries.len() {
            let entry = &self.entries[index];
            let slot = self.slot(entry.word, entry.name.len());
            self.entries[index].next = self.slots[slot];
            self.slots[slot] = u32::try_from(index).expect("as many as a person writes");
        }
    }

    /// The number of this name.
    #[inline(always)]
    pub(crate) fn find(&self, name: &[u8]) -> Option<u32> {
        let word = word(name);
        let is_it = |entry: &Entry| {
            // Up to eight bytes the word says it all.
            entry.word == word
                && entry.name.len() == name.len()
                && (name.len() <= 8 || entry.name.as_bytes() == name)
        };
        let mut chain = self.chain(word, name.len());
        chain
            .find(|(_, entry)| is_it(entry))
            .map(|(number, _)| number)
    }

    /// Whether a name differs from one of these in the case of ASCII letters at most.
    pub(crate) fn has_ignoring_case(&self, name: &[u8]) -> bool {
        let mut chain = self.chain(word(name), name.len());
        chain.any(|(_, entry)| entry.name.as_bytes().eq_ignore_ascii_case(name))
    }

    #[inline(always)]
    fn chain(&self, word: u64, length: usize) -> impl Iterator<Item = (u32, &Entry)> {
        let first = self.slots.get(self.slot(word, length));
        let mut next = first.copied().unwrap_or(NONE);
        std::iter::from_fn(move || {
            let number = next;
            let entry = self.entries.get(number as usize)?;
            next = entry.next;
            Some((number, entry))
        })
    }

    #[inline(always)]
    fn slot(&self, word: u64, length: usize) -> usize {
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
            let mut names = Names::default();
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
