//! Where in a body something is, as it is written in refusals.

use std::fmt::Write;

use crate::profile::Node;

/// A step from an object or an array to what is in it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Segment<'a> {
    /// Nothing in it has begun.
    None,
    Member(&'a Node),
    /// A member that no rule is for. Its name is content, so it is not told.
    Unknown,
    Element(u32),
}

/// `messages[0].content[1].image_url.url`, up to the first unknown member.
pub(super) fn display<'a>(segments: impl Iterator<Item = Segment<'a>>) -> String {
    // As long as most, or longer.
    let mut path = String::with_capacity(64);
    for segment in segments {
        match segment {
            Segment::None | Segment::Unknown => break,
            Segment::Member(node) => {
                let dot = if path.is_empty() { "" } else { "." };
                path.extend([dot, node.name()]);
            }
            Segment::Element(index) => {
                write!(path, "[{index}]").expect("a string takes all");
            }
        }
    }
    path
}
