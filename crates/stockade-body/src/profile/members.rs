//! The members that a place has rules for.

use super::tree::NodeId;
use crate::{
    json::{Key, KnownMember},
    name_table::NameTable,
};

/// The members that a place has rules for.
#[derive(Clone, Debug, Default)]
pub(super) struct Members {
    names: NameTable,
    /// Where they are, in the order of their names.
    node_ids: Vec<NodeId>,
    /// Whether a name is not ASCII: then all are compared one by one.
    has_wide_names: bool,
}

/// What a name is among the members of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MemberMatch {
    Known(NodeId, KnownMember),
    Unknown,
    /// It differs from a known name in the case of letters.
    Confusable,
}

impl Members {
    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    pub(super) fn node_ids(&self) -> impl Iterator<Item = NodeId> {
        self.node_ids.iter().copied()
    }

    /// Adds a member whose name is not among them.
    pub(super) fn add(&mut self, name: &str, id: NodeId) {
        self.names.add(name);
        self.node_ids.push(id);
        self.has_wide_names |= !name.is_ascii();
    }

    /// What this name is among them.
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

    /// Whether a name that is none of them differs from one in the case of letters.
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

/// The name as a reader sees it that matches names in any case, as Go's `encoding/json`
/// does: `ſ` is an s to it, and the Kelvin sign a k.
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
