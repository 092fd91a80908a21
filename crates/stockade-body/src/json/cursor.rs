//! What a JSON text is made of, between its objects and arrays.

use super::{Scalar, Text, error::JsonErrorKind, number, text};
use crate::{
    scan_error::ScanError,
    work_budget::{BudgetExhausted, WorkBudget},
};

/// How many bytes that are looked at one by one are a step.
const NARROW: usize = 16;

/// A JSON text with a place in it.
///
/// It is in the innermost loop. What is called now and then is therefore a function of its
/// parts: as long as nobody has its address, the compiler keeps them in registers.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    pub(super) at: usize,
    budget: &'a WorkBudget,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8], budget: &'a WorkBudget) -> Self {
        Self {
            bytes,
            at: 0,
            budget,
        }
    }

    /// The next byte that is no white space.
    #[inline(always)]
    pub(super) fn peek(&mut self) -> Result<Option<u8>, BudgetExhausted> {
        match self.bytes.get(self.at) {
            Some(0..=b' ') => {
                self.at = skip_space(self.bytes, self.at, self.budget)?;
                Ok(self.bytes.get(self.at).copied())
            }
            byte => Ok(byte.copied()),
        }
    }

    /// Whether this byte, which is no white space, is next, but for white space.
    #[inline(always)]
    pub(super) fn is_next(&mut self, byte: u8) -> Result<bool, BudgetExhausted> {
        // Most texts have no white space.
        Ok(self.bytes.get(self.at) == Some(&byte) || self.peek()? == Some(byte))
    }

    /// Reads the string whose quote is next.
    #[inline(always)]
    pub(super) fn string(&mut self) -> Result<Text<'a>, ScanError> {
        let text = text::scan(self.bytes, self.at + 1, self.budget)?;
        self.at += text.raw().len() + 2;
        Ok(text)
    }

    /// Reads a scalar that is all of the text, but for white space before it.
    pub(super) fn scalar(&mut self) -> Result<Scalar<'a>, ScanError> {
        match self.peek()? {
            Some(b'"') => Ok(Scalar::String(self.string()?)),
            _ => self.other_scalar(),
        }
    }

    /// Makes sure that no more follows.
    #[inline(always)]
    pub(super) fn end(mut self) -> Result<(), ScanError> {
        match self.peek()? {
            None => Ok(()),
            Some(_) => Err(self.syntax("the end")),
        }
    }

    /// Reads a scalar that is no string.
    #[inline(always)]
    pub(super) fn other_scalar(&mut self) -> Result<Scalar<'a>, ScanError> {
        let (scalar, end) = other_scalar(self.bytes, self.at, self.budget)?;
        self.at = end;
        Ok(scalar)
    }

    #[inline(always)]
    pub(super) fn syntax(&self, wanted: &'static str) -> ScanError {
        syntax(self.at, wanted)
    }
}

/// Where the white space ends that begins here.
#[inline(never)]
fn skip_space(bytes: &[u8], mut at: usize, budget: &WorkBudget) -> Result<usize, BudgetExhausted> {
    // Most writers put one behind a comma or a colon, if any.
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

/// Reads a scalar that is no string; returns it and where it ends.
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
