//! Open objects and arrays, and the rules that apply in them.

use super::path::Segment;
use crate::{ImageFormat, json::KnownMember, profile::Node};

/// The rules that apply at a position of the body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position<'a> {
    /// `None` where no rule applies.
    pub(super) node: Option<&'a Node>,
    /// Whether strings without a rule count as prompt.
    pub(super) texts: bool,
}

/// An open object or array.
#[derive(Clone, Copy)]
pub(crate) struct Frame<'a> {
    /// The rules of its [`Position`].
    pub(super) node: Option<&'a Node>,
    pub(super) texts: bool,
    /// Its first byte in the body.
    pub(super) begin: usize,
    /// The member or element that began last.
    pub(super) last: Segment<'a>,
    /// The number of required members not seen yet.
    pub(super) missing: u32,
    pub(super) members: MemberBits,
    pub(super) image: ImageTypes,
}

/// The declared and the detected type of an object's image; the members come in either order.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ImageTypes {
    pub(super) declared: Option<ImageFormat>,
    pub(super) found: Option<ImageFormat>,
}

/// Bit sets over the first 64 known members of an object.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MemberBits {
    /// The member that began last.
    last: u64,
    /// Members present with a value other than `null`.
    present: u64,
    /// Members required by the value of another member.
    needed: u64,
}

impl MemberBits {
    #[inline(always)]
    pub(super) fn begin(&mut self, known: KnownMember) {
        self.last = Self::bit(known);
        self.present |= self.last;
    }

    /// Removes the member that began last, because it is `null`.
    pub(super) fn is_null(&mut self) {
        self.present &= !self.last;
    }

    pub(super) fn need(&mut self, known: KnownMember) {
        self.needed |= Self::bit(known);
    }

    /// The index of the first member that is required and absent.
    pub(super) fn missing(self) -> Option<usize> {
        let missing = self.needed & !self.present;
        (missing != 0).then(|| missing.trailing_zeros() as usize)
    }

    /// Zero for members after the first 64.
    #[inline(always)]
    fn bit(known: KnownMember) -> u64 {
        match known {
            KnownMember::Index(number) => 1_u64.checked_shl(number).unwrap_or(0),
            KnownMember::None => 0,
        }
    }
}

impl Position<'_> {
    /// The position outside the document.
    pub(super) const ANYWHERE: Self = Self {
        node: None,
        texts: false,
    };
}

impl<'a> Frame<'a> {
    pub(super) fn new(Position { node, texts }: Position<'a>, begin: usize) -> Self {
        Self {
            node,
            texts,
            begin,
            last: Segment::None,
            missing: 0,
            members: MemberBits::default(),
            image: ImageTypes::default(),
        }
    }

    pub(super) fn position(&self) -> Position<'a> {
        Position {
            node: self.node,
            texts: self.texts,
        }
    }

    /// Whether the image is of another type than declared.
    pub(super) fn is_mismatched(&self) -> bool {
        let ImageTypes { declared, found } = self.image;
        declared.is_some() && found.is_some() && declared != found
    }
}
