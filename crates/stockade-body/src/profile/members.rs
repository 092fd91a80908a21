//! The members of an object that have rules.

use super::tree::NodeId;
use crate::{
    json::{Key, KnownMember},
    name_table::NameTable,
};

/// The members of an object that have rules.
#[derive(Clone, Debug, Default)]
pub(super) struct Members {
    names: NameTable,
    /// The nodes of the members, by the index of their names.
    node_ids: Vec<NodeId>,
    /// Whether some name is not ASCII; look-ups that ignore case are then linear.
    has_wide_names: bool,
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
        self.names.is_empty()
    }

    pub(super) fn node_ids(&self) -> impl Iterator<Item = NodeId> {
        self.node_ids.iter().copied()
    }

    /// Adds a new member.
    pub(super) fn add(&mut self, name: &str, id: NodeId) {
        self.names.add(name);
        self.node_ids.push(id);
        self.has_wide_names |= !name.is_ascii();
    }

    /// Looks up a name.
    #[inline(always)]
    pub(super) fn find(&self, key: Key<'_>) -> MemberMatch {
        match self.names.find(key.name) {
            Some(number) => {
                MemberMatch::Known(self.node_ids[number as usize], KnownMember::Index(number))
            }
            None if self.is_confusable(key) => MemberMatch::Confusable,
            None => MemberMatch::Unknown,
        }
    }

    /// Whether an unknown name differs from a known one only in letter case.
    #[inline(never)]
    fn is_confusable(&self, key: Key<'_>) -> bool {
        if self.has_wide_names || !key.is_ascii {
            let mut names = self.names.iter();
            names.any(|name| fold(name.as_bytes()).eq(fold(key.name)))
        } else {
            self.names.has_ignoring_case(key.name)
        }
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
