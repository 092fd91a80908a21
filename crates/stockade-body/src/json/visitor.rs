//! The interface between the scanner and the validator.

use stockade_core::refusal::Refusal;

use super::{KnownMember, Number, Text};
use crate::scan_error::ScanError;

/// Receives the events of a scan and may stop it at any of them.
///
/// Everything reported is valid so far; the whole document is valid once [`scan`](super::scan)
/// returns.
pub(crate) trait Visitor {
    /// The visitor's state of an open object or array.
    type Frame: Copy;

    /// The state around the document.
    fn document(&self) -> Self::Frame;

    /// An object or array begins at this byte.
    fn begin(&mut self, container: Container, at: usize) -> Result<Self::Frame, ScanError>;

    /// A member begins. Returns which known name it has.
    fn member(&mut self, frame: &mut Self::Frame, name: &[u8]) -> Result<KnownMember, ScanError>;

    /// The element with this index begins.
    fn element(&mut self, frame: &mut Self::Frame, index: u32) -> Result<(), ScanError>;

    /// A value other than an object or array.
    fn scalar(&mut self, frame: &mut Self::Frame, scalar: Scalar<'_>) -> Result<(), ScanError>;

    /// An object or array ended before this byte.
    fn end(&mut self, frame: &Self::Frame, at: usize) -> Result<(), ScanError>;

    /// Adds the path to a refusal, given the open objects and arrays, outermost first.
    fn locate(&self, refusal: Refusal, open: impl Iterator<Item = Self::Frame>) -> Refusal;
}

/// An object or array, as its closing byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Container {
    Object = b'}',
    Array = b']',
}

impl Container {
    /// The closing byte.
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
