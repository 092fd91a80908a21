//! The members of an object that have rules.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;
use smallvec::SmallVec;

use super::tree::NodeId;
use crate::json::KnownMember;

/// The members of an object that have rules.
///
/// Clients choose the name that is looked up but not the names in the tables, so they cannot
/// force collisions.
#[derive(Clone, Debug, Default)]
pub(super) struct Members {
    indices: HashMap<Box<[u8]>, u32, RandomState>,
    /// The names with their case folded.
    folded: HashSet<Box<[u8]>, RandomState>,
    /// The length of the longest name.
    longest: usize,
    /// The nodes of the members, by index.
    node_ids: Vec<NodeId>,
}

/// The result of looking up a member's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MemberMatch {
    Known(NodeId, KnownMember),
    Unknown,
    /// Differs from a known name only in letter case.
    Confusable,
}

impl Members {
    pub(super) fn is_empty(&self) -> bool {
        self.node_ids.is_empty()
    }

    pub(super) fn node_ids(&self) -> impl Iterator<Item = NodeId> {
        self.node_ids.iter().copied()
    }

    /// Adds a new member.
    pub(super) fn add(&mut self, name: &str, id: NodeId) {
        let index = u32::try_from(self.node_ids.len()).expect("configured rules are few");
        self.indices.insert(name.as_bytes().into(), index);
        self.folded.insert(fold(name.as_bytes()).collect());
        self.longest = self.longest.max(name.len());
        self.node_ids.push(id);
    }

    /// Looks up a name.
    #[inline]
    pub(super) fn find(&self, name: &[u8]) -> MemberMatch {
        match self.indices.get(name) {
            Some(index) => {
                MemberMatch::Known(self.node_ids[*index as usize], KnownMember::Index(*index))
            }
            None if self.is_confusable(name) => MemberMatch::Confusable,
            None => MemberMatch::Unknown,
        }
    }

    /// Whether an unknown name differs from a known one only in letter case.
    fn is_confusable(&self, name: &[u8]) -> bool {
        // A folded byte stands for at most three.
        if name.len() > 3 * self.longest {
            return false;
        }
        let folded: SmallVec<[u8; 64]> = fold(name).collect();
        self.folded.contains(&*folded)
    }
}

/// Folds case as readers do that match names case-insensitively, such as Go's `encoding/json`:
/// `ſ` equals s, and the Kelvin sign equals k.
fn fold(mut name: &[u8]) -> impl Iterator<Item = u8> {
    std::iter::from_fn(move || {
        let (byte, rest) = match name {
            [0xC5, 0xBF, rest @ ..] => (b's', rest),
            [0xE2, 0x84, 0xAA, rest @ ..] => (b'k', rest),
            [byte, rest @ ..] => (byte.to_ascii_lowercase(), rest),
            [] => return None,
        };
        name = rest;
        Some(byte)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        // The tables agree with a linear search.
        #[test]
        fn agrees_with_a_linear_search(
            known in prop::collection::btree_set("[aAbk_]{0,4}|[a-c]{7,11}|é[ab]", 0..40),
            other in "[aAbk_]{0,4}|[a-cA-C]{7,11}|[ſ\u{212A}a]{1,3}|é[aB]",
        ) {
            let known: Vec<String> = known.into_iter().collect();
            let mut members = Members::default();
            for name in &known {
                members.add(name, NodeId::ROOT);
            }
            let folded = |name: &str| fold(name.as_bytes()).collect::<Vec<u8>>();
            for name in known.iter().chain([&other]) {
                let expected = match known.iter().position(|known| known == name) {
                    Some(index) => {
                        let index = KnownMember::Index(u32::try_from(index).unwrap());
                        MemberMatch::Known(NodeId::ROOT, index)
                    }
                    None if known.iter().any(|known| folded(known) == folded(name)) => {
                        MemberMatch::Confusable
                    }
                    None => MemberMatch::Unknown,
                };
                prop_assert_eq!(members.find(name.as_bytes()), expected);
            }
        }
    }
}
