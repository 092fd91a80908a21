//! Field paths in refusals.

use std::fmt::Write;

use crate::profile::Node;

/// One step of a path.
#[derive(Clone, Copy, Debug)]
pub(super) enum Segment<'a> {
    /// No member or element has begun.
    None,
    Member(&'a Node),
    /// A member without a rule. Its name is content and is not disclosed.
    Unknown,
    Element(u32),
}

/// Formats `messages[0].content[1].image_url.url`, up to the first unknown member.
pub(super) fn display<'a>(segments: impl Iterator<Item = Segment<'a>>) -> String {
    // Longer than most paths.
    let mut path = String::with_capacity(64);
    for segment in segments {
        match segment {
            Segment::None | Segment::Unknown => break,
            Segment::Member(node) => {
                let dot = if path.is_empty() { "" } else { "." };
                path.extend([dot, node.name()]);
            }
            Segment::Element(index) => {
                write!(path, "[{index}]").expect("writing to a string cannot fail");
            }
        }
    }
    path
}
