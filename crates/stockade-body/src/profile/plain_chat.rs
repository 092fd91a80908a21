//! The shape of a plain chat in a profile's rules.

use super::{
    members::MemberMatch,
    rule::ValueKinds,
    tree::{Node, NodeId, RuleTree},
};
use crate::json::KnownMember;

/// Where a profile's rules are for a chat of a model and messages, each of which has a role
/// and a text as content.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlainChat {
    pub(crate) model: Member,
    pub(crate) messages: Member,
    /// The maximum number of messages.
    pub(crate) max_messages: u32,
    pub(crate) role: Member,
    pub(crate) content: Member,
    /// The bits of the members that the body must have.
    pub(crate) required: u64,
    /// The bits of the members that a message must have.
    pub(crate) required_in_message: u64,
}

/// A member with rules.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    pub(crate) id: NodeId,
    /// Its bit in the set of the object's known members.
    pub(crate) bit: u64,
}

impl PlainChat {
    /// Returns the shape, if a plain chat needs no rules other than those for the kind, the
    /// presence and the number of values, and for common strings.
    pub(super) fn of(tree: &RuleTree) -> Option<Self> {
        let root = tree.root();
        let messages = Member::of(root, "messages")?;
        let array = tree.node(messages.id);
        let message = tree.elements(array)?;
        let (model, role, content) = (
            Member::of(root, "model")?,
            Member::of(message, "role")?,
            Member::of(message, "content")?,
        );
        let accepts = |node: &Node, kind| node.kinds().has(kind) && node.size().is_none();
        let are_plain = accepts(root, ValueKinds::OBJECT)
            && accepts(array, ValueKinds::ARRAY)
            && accepts(message, ValueKinds::OBJECT)
            && [model, role, content]
                .iter()
                .all(|member| !tree.node(member.id).strings().have_other_rules);
        are_plain.then_some(Self {
            model,
            messages,
            max_messages: array.length().unwrap_or(u32::MAX),
            role,
            content,
            required: tree.required_bits(root)?,
            required_in_message: tree.required_bits(message)?,
        })
    }
}

impl Member {
    /// Returns a member of this node that has one of the first 64 indices.
    fn of(node: &Node, name: &str) -> Option<Self> {
        Self::known(node.named(name.as_bytes()))
    }

    /// Returns the member of a look-up, if it has one of the first 64 indices.
    #[inline]
    pub(crate) fn known(found: MemberMatch) -> Option<Self> {
        match found {
            MemberMatch::Known(id, KnownMember::Index(index @ 0..u64::BITS)) => Some(Self {
                id,
                bit: 1 << index,
            }),
            _ => None,
        }
    }
}
