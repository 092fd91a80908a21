//! Who comes most often, in bounded memory.

use std::collections::HashMap;

use serde::Serialize;

/// So many names are counted at least.
const KEPT: usize = 50_000;

/// Counts names that others choose. With more than a hundred thousand of them, those that
/// came least often are forgotten, and the counts may be too low.
#[derive(Debug, Default)]
pub(super) struct Top {
    counts: HashMap<String, u64>,
    is_approximate: bool,
}

/// The names that came most often.
#[derive(Debug, Serialize)]
pub(super) struct Most {
    pub(super) names: Vec<Counted>,
    /// There were too many names to count all of them.
    pub(super) is_approximate: bool,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Counted {
    pub(super) name: String,
    pub(super) count: u64,
}

impl Top {
    pub(super) fn add(&mut self, name: &str, count: u64) {
        if let Some(counted) = self.counts.get_mut(name) {
            *counted += count;
            return;
        }
        if self.counts.len() >= 2 * KEPT {
            self.forget();
        }
        self.counts.insert(name.to_owned(), count);
    }

    fn forget(&mut self) {
        let mut counts: Vec<_> = self.counts.values().copied().collect();
        let (_, least, _) = counts.select_nth_unstable_by(KEPT, |a, b| b.cmp(a));
        let least = *least;
        self.counts.retain(|_, count| *count > least);
        self.is_approximate = true;
    }

    /// The first so many.
    pub(super) fn most(self, names: usize) -> Most {
        let counts = self.counts.into_iter();
        let mut all: Vec<_> = counts
            .map(|(name, count)| Counted { name, count })
            .collect();
        all.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
        all.truncate(names);
        Most {
            names: all,
            is_approximate: self.is_approximate,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_by_count_and_then_by_name() {
        let mut top = Top::default();
        for (name, count) in [("b", 1), ("c", 5), ("a", 1), ("b", 0), ("d", 1)] {
            top.add(name, count);
        }
        let most = top.most(3);
        let names: Vec<_> = most
            .names
            .iter()
            .map(|one| (&*one.name, one.count))
            .collect();
        assert_eq!(names, [("c", 5), ("a", 1), ("b", 1)]);
        assert!(!most.is_approximate);
    }

    // R06
    #[test]
    fn a_flood_of_names_is_bounded_and_hides_nobody_who_comes_often() {
        let mut top = Top::default();
        for number in 0..300_000 {
            top.add(&number.to_string(), 1);
            if number % 10 == 0 {
                top.add("often", 1);
            }
            assert!(top.counts.len() <= 2 * KEPT);
        }
        let most = top.most(1);
        assert_eq!(most.names[0].name, "often");
        assert_eq!(most.names[0].count, 30_000);
        assert!(most.is_approximate);
    }
}
