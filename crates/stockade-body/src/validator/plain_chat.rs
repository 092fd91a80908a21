//! A short path for the most common bodies.

use super::{ValidationOutput, Validator};
use crate::{
    json::{Cursor, Text},
    profile::{Member, Node, PlainChat},
};

/// Longer bodies take the general path: a failed attempt here costs little.
const MAX_BYTES: usize = 4 << 10;

/// The maximum number of members of the body.
const MEMBERS: u32 = 16;

/// The maximum number of messages.
const MESSAGES: u32 = 15;

/// As many values as fit into the bounds above, or more.
const VALUES: u32 = 64;

impl Validator<'_> {
    /// Whether the body is a plain chat that satisfies all rules: an object of scalars and of
    /// `messages`, each of which has a role and a text as content.
    ///
    /// Never refuses: everything else is left to [`scan`](crate::json::scan), with this
    /// validator as good as new. Tokens are read by the scanner's own [`Cursor`] and values are
    /// checked by the validator's own rules; what is different is that the two levels of
    /// nesting are code and not a stack of frames.
    #[inline]
    pub(crate) fn accepts_plain_chat(&mut self) -> bool {
        let Some(chat) = &self.profile.plain_chat else {
            return false;
        };
        let limits = &self.profile.json_limits;
        if self.body.len() > MAX_BYTES || !limits.cover(3, MEMBERS, MESSAGES, VALUES) {
            return false;
        }
        let is_accepted = self.plain_chat(chat).is_some();
        if !is_accepted {
            self.output = ValidationOutput::default();
        }
        is_accepted
    }

    fn plain_chat(&mut self, chat: &PlainChat) -> Option<()> {
        let tree = &self.profile.tree;
        let root = tree.root();
        let mut cursor = Cursor::new(self.body, self.budget);
        let mut seen = Seen(0);
        cursor.accept(b'{')?;
        for _ in 0..MEMBERS {
            if cursor.accept_all(br#""messages":"#) {
                seen.insert(chat.messages)?;
                self.messages(chat, &mut cursor)?;
            } else if cursor.accept_all(br#""model":"#) {
                seen.insert(chat.model)?;
                let model = string(&mut cursor)?;
                self.common_string(tree.node(chat.model.id), model).ok()?;
            } else {
                let member = Member::known(root.named(name(&mut cursor)?))?;
                seen.insert(member)?;
                self.scalar_member(tree.node(member.id), &mut cursor)?;
            }
            if cursor.accept(b',').is_none() {
                cursor.accept(b'}')?;
                cursor.end().ok()?;
                return seen.has_all(chat.required);
            }
        }
        None
    }

    /// Reads the value of `messages`.
    #[inline(always)]
    fn messages(&mut self, chat: &PlainChat, cursor: &mut Cursor<'_>) -> Option<()> {
        let tree = &self.profile.tree;
        let (role, content) = (tree.node(chat.role.id), tree.node(chat.content.id));
        cursor.accept(b'[')?;
        for _ in 0..MESSAGES.min(chat.max_messages) {
            let mut seen = Seen(0);
            cursor.accept(b'{')?;
            loop {
                let (member, node) = if cursor.accept_all(br#""role":"#) {
                    (chat.role, role)
                } else if cursor.accept_all(br#""content":"#) {
                    (chat.content, content)
                } else {
                    return None;
                };
                seen.insert(member)?;
                let text = string(cursor)?;
                self.common_string(node, text).ok()?;
                if cursor.accept(b',').is_none() {
                    break;
                }
            }
            cursor.accept(b'}')?;
            seen.has_all(chat.required_in_message)?;
            if cursor.accept(b',').is_none() {
                return cursor.accept(b']');
            }
        }
        None
    }

    /// Reads the value of another member, unless it is `null`, an object or an array.
    fn scalar_member(&mut self, node: &Node, cursor: &mut Cursor<'_>) -> Option<()> {
        match cursor.peek().ok()?? {
            b'"' => {
                let text = cursor.string().ok()?;
                let is_common = !node.strings().have_other_rules;
                is_common.then(|| self.common_string(node, text).ok())?
            }
            b't' | b'f' | b'-' | b'0'..=b'9' => {
                let scalar = cursor.other_scalar().ok()?;
                self.other_scalar(node, scalar).ok()
            }
            _ => None,
        }
    }
}

/// The known members of an object that were read.
#[derive(Clone, Copy)]
struct Seen(u64);

impl Seen {
    /// Adds a member; `None` if it is a duplicate.
    #[inline]
    fn insert(&mut self, member: Member) -> Option<()> {
        let is_new = self.0 & member.bit == 0;
        self.0 |= member.bit;
        is_new.then_some(())
    }

    #[inline]
    fn has_all(self, bits: u64) -> Option<()> {
        (self.0 & bits == bits).then_some(())
    }
}

/// Reads a member's name without escapes, and the colon.
#[inline(always)]
fn name<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    let name = string(cursor)?;
    cursor.accept(b':')?;
    name.as_name()
}

#[inline(always)]
fn string<'a>(cursor: &mut Cursor<'a>) -> Option<Text<'a>> {
    cursor.is_next(b'"').ok()?.then(|| cursor.string().ok())?
}

#[cfg(test)]
mod tests;
