//! Reads the tokens of a JSON document.

use super::{Scalar, Text, error::JsonErrorKind, number, text};
use crate::{
    scan_error::ScanError,
    work_budget::{BudgetExhausted, WorkBudget},
};

/// Bytes examined one by one in one step.
const NARROW: usize = 16;

/// A position in a JSON document.
///
/// The cursor is used in the innermost loop. Rare operations are therefore free functions of
/// its fields: as long as nothing takes its address, the compiler keeps it in registers.
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    pub(super) at: usize,
    budget: &'a WorkBudget,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8], budget: &'a WorkBudget) -> Self {
        Self {
            bytes,
            at: 0,
            budget,
        }
    }

    /// Skips white space and returns the next byte.
    #[inline(always)]
    pub(crate) fn peek(&mut self) -> Result<Option<u8>, BudgetExhausted> {
        match self.bytes.get(self.at) {
            Some(0..=b' ') => {
                self.at = skip_space(self.bytes, self.at, self.budget)?;
                Ok(self.bytes.get(self.at).copied())
            }
            byte => Ok(byte.copied()),
        }
    }

    /// Whether this byte comes next, after white space.
    #[inline(always)]
    pub(crate) fn is_next(&mut self, byte: u8) -> Result<bool, BudgetExhausted> {
        // Most documents have no white space.
        Ok(self.bytes.get(self.at) == Some(&byte) || self.peek()? == Some(byte))
    }

    /// Skips this byte if it comes next, after white space.
    #[inline(always)]
    pub(crate) fn accept(&mut self, byte: u8) -> Option<()> {
        let is_next = self.is_next(byte).ok()?;
        self.at += usize::from(is_next);
        is_next.then_some(())
    }

    /// Skips these bytes, which must not begin with white space, if they come next after white
    /// space.
    #[inline(always)]
    pub(crate) fn accept_all(&mut self, bytes: &[u8]) -> bool {
        if self.peek().is_err() {
            return false;
        }
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let is_next = rest.starts_with(bytes);
        self.at += if is_next { bytes.len() } else { 0 };
        is_next
    }

    /// Reads the string that starts here.
    #[inline(always)]
    pub(crate) fn string(&mut self) -> Result<Text<'a>, ScanError> {
        let text = text::scan(self.bytes, self.at + 1, self.budget)?;
        self.at += text.raw().len() + 2;
        Ok(text)
    }

    /// Reads a document that is a scalar.
    pub(super) fn scalar(&mut self) -> Result<Scalar<'a>, ScanError> {
        match self.peek()? {
            Some(b'"') => Ok(Scalar::String(self.string()?)),
            _ => self.other_scalar(),
        }
    }

    /// Checks that nothing follows.
    #[inline(always)]
    pub(crate) fn end(mut self) -> Result<(), ScanError> {
        match self.peek()? {
            None => Ok(()),
            Some(_) => Err(self.syntax("the end")),
        }
    }

    /// Reads a scalar other than a string.
    #[inline(always)]
    pub(crate) fn other_scalar(&mut self) -> Result<Scalar<'a>, ScanError> {
        let (scalar, end) = other_scalar(self.bytes, self.at, self.budget)?;
        self.at = end;
        Ok(scalar)
    }

    #[inline(always)]
    pub(super) fn syntax(&self, wanted: &'static str) -> ScanError {
        syntax(self.at, wanted)
    }
}

/// Returns the end of the white space that starts here.
#[inline(never)]
fn skip_space(bytes: &[u8], mut at: usize, budget: &WorkBudget) -> Result<usize, BudgetExhausted> {
    // Most serialisers put at most one space after a comma or a colon.
    if bytes[at] == b' ' && bytes.get(at + 1).is_some_and(|next| *next > b' ') {
        return Ok(at + 1);
    }
    for block in bytes[at..].chunks(NARROW) {
        let is_space = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
        let length = block.iter().take_while(|byte| is_space(byte)).count();
        at += length;
        if length < block.len() {
            break;
        }
        budget.spend(1)?;
    }
    Ok(at)
}

/// Reads a scalar other than a string; returns it and its end.
fn other_scalar<'a>(
    bytes: &'a [u8],
    at: usize,
    budget: &WorkBudget,
) -> Result<(Scalar<'a>, usize), ScanError> {
    let word = |word: &[u8], scalar| {
        if bytes[at..].starts_with(word) {
            Ok((scalar, at + word.len()))
        } else {
            Err(syntax(at, "a value"))
        }
    };
    match bytes.get(at) {
        Some(b'-' | b'0'..=b'9') => {
            let (number, end) = number::scan(bytes, at)?;
            budget.spend((end - at) / NARROW)?;
            Ok((Scalar::Number(number), end))
        }
        Some(b't') => word(b"true", Scalar::Boolean),
        Some(b'f') => word(b"false", Scalar::Boolean),
        Some(b'n') => word(b"null", Scalar::Null),
        _ => Err(syntax(at, "a value")),
    }
}

#[cold]
fn syntax(at: usize, wanted: &'static str) -> ScanError {
    JsonErrorKind::Syntax(wanted).at(at).into()
}
