//! Who is shown a JSON text while it is read.

use stockade_core::refusal::Refusal;

use super::{Key, KnownMember, Number, Text};
use crate::scan_error::ScanError;

/// Judges a JSON text while it is read, and may stop the reading at any step.
///
/// What it is shown is valid so far; that the whole text is valid is known when
/// [`scan`](super::scan) returns.
pub(crate) trait Visitor {
    /// What it keeps of an object or an array that is open.
    type Frame: Copy;

    /// What is around the whole text.
    fn document(&self) -> Self::Frame;

    /// An object or an array begins, at this byte.
    fn begin(&mut self, container: Container, at: usize) -> Result<Self::Frame, ScanError>;

    /// A member begins. Says which of the names that it knows there this is.
    fn member(&mut self, frame: &mut Self::Frame, key: Key<'_>) -> Result<KnownMember, ScanError>;

    /// The element of this number begins.
    fn element(&mut self, frame: &mut Self::Frame, index: u32) -> Result<(), ScanError>;

    /// A value that is neither object nor array.
    fn scalar(&mut self, frame: &mut Self::Frame, scalar: Scalar<'_>) -> Result<(), ScanError>;

    /// An object or an array has ended, before this byte.
    fn end(&mut self, frame: &Self::Frame, at: usize) -> Result<(), ScanError>;

    /// Says where the refusal is about: in what is open, outermost first.
    fn locate(&self, refusal: Refusal, open: impl Iterator<Item = Self::Frame>) -> Refusal;
}

/// An object or an array, as the byte that it ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Container {
    Object = b'}',
    Array = b']',
}

impl Container {
    /// The byte that it ends with.
    #[inline(always)]
    pub(super) fn end(self) -> u8 {
        self as u8
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Scalar<'a> {
    Null,
    Boolean,
    Number(Number<'a>),
    String(Text<'a>),
}
