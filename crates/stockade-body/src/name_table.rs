//! A small hash table of configured names, keyed by length and last bytes.

/// Configured names, each with an index.
///
/// Clients choose the name that is looked up but not the names in the table, so collisions
/// cannot be forced.
#[derive(Clone, Debug, Default)]
pub(crate) struct NameTable {
    names: Vec<Box<str>>,
    /// Open addressing: the length is a power of two and at most half of the slots are used.
    /// Names that differ only in ASCII case share a hash.
    slots: Vec<Slot>,
}

/// A slot of the table.
#[derive(Clone, Copy, Debug)]
struct Slot {
    word: u64,
    /// `u32::MAX` in a free slot.
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

    /// Iterates over the names in the order of their indices.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    /// Adds a new name. Its index is the previous length.
    pub(crate) fn add(&mut self, name: &str) {
        self.names.push(name.into());
        self.slots = vec![Slot::FREE; (2 * self.names.len()).next_power_of_two()];
        for (number, name) in (0..).zip(&self.names) {
            let word = word(name.as_bytes());
            let at = self.first(word, name.len());
            let (before, from) = self.slots.split_at_mut(at);
            let mut run = from.iter_mut().chain(before);
            let free = run.find(|slot| slot.is_free());
            *free.expect("half of the slots are free") = Slot {
                word,
                length: u32::try_from(name.len()).expect("configured names are short"),
                number,
            };
        }
    }

    /// Returns the index of this name.
    #[inline(always)]
    pub(crate) fn find(&self, name: &[u8]) -> Option<u32> {
        let word = word(name);
        let at = self.first(word, name.len());
        let slot = self.slots.get(at)?;
        // The word holds all of a name of up to eight bytes.
        if slot.word == word
            && slot.length as usize == name.len()
            && (name.len() <= 8 || self.name(slot) == name)
        {
            return Some(slot.number);
        }
        self.search(word, name, at)
    }

    /// Probes from this slot on.
    fn search(&self, word: u64, name: &[u8], at: usize) -> Option<u32> {
        self.run(at)
            .find(|slot| slot.word == word && self.name(slot) == name)
            .map(|slot| slot.number)
    }

    fn name(&self, slot: &Slot) -> &[u8] {
        self.names[slot.number as usize].as_bytes()
    }

    /// Whether a name equals one of these, ignoring ASCII case.
    pub(crate) fn has_ignoring_case(&self, name: &[u8]) -> bool {
        let at = self.first(word(name), name.len());
        let mut names = self.run(at).map(|slot| self.name(slot));
        names.any(|known| known.eq_ignore_ascii_case(name))
    }

    /// The used slots from this one on, wrapping around, up to a free one.
    fn run(&self, mut at: usize) -> impl Iterator<Item = &Slot> {
        std::iter::from_fn(move || {
            let slot = self.slots.get(at).filter(|slot| !slot.is_free())?;
            at = (at + 1) & self.slots.len().wrapping_sub(1);
            Some(slot)
        })
    }

    /// The first slot to probe.
    #[inline(always)]
    fn first(&self, word: u64, length: usize) -> usize {
        // Folds ASCII case.
        const FOLD: u64 = u64::from_le_bytes([0x20; 8]);
        // 2^64 divided by the golden ratio: an odd number with well-mixed bits.
        const MIX: u64 = 0x9E37_79B9_7F4A_7C15;
        let mixed = ((word | FOLD) ^ length as u64).wrapping_mul(MIX);
        (mixed >> 32) as usize & self.slots.len().wrapping_sub(1)
    }
}

/// The last eight bytes of a name, or all of a shorter one. Paths differ at their ends.
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
        // The table agrees with a linear search, whatever collides.
        #[test]
        fn agrees_with_a_linear_search(
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
