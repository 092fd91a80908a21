//! Numbers.

use super::fault::{Fault, FaultKind};

/// A number as it was written, within ±1e308.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number<'a>(&'a str);

impl<'a> Number<'a> {
    /// Reads the number that is all of these bytes.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (number, end) = scan(bytes, 0).ok()?;
        (end == bytes.len()).then_some(number)
    }

    /// A whole number, written without fraction and exponent, where an `i64` holds it.
    pub(crate) fn as_integer(self) -> Option<i64> {
        self.0.parse().ok()
    }

    pub(crate) fn as_f64(self) -> f64 {
        self.0.parse().expect("JSON's numbers are Rust's as well")
    }
}

/// Reads the number that begins here; returns it and where it ends.
pub(super) fn scan(bytes: &[u8], start: usize) -> Result<(Number<'_>, usize), Fault> {
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let digits = |mut at: usize| {
        if !digit(at) {
            return Err(FaultKind::Syntax("a digit").at(at));
        }
        while digit(at) {
            at += 1;
        }
        Ok(at)
    };
    let is = |at: usize, any: &[u8]| bytes.get(at).is_some_and(|byte| any.contains(byte));

    let mut at = start + usize::from(is(start, b"-"));
    at = if is(at, b"0") { at + 1 } else { digits(at)? };
    if is(at, b".") {
        at = digits(at + 1)?;
    }
    let exponent = is(at, b"eE");
    if exponent {
        at = digits(at + 1 + usize::from(is(at + 1, b"+-")))?;
    }

    let text = str::from_utf8(&bytes[start..at]).expect("a number is ASCII");
    let number = Number(text);
    // Most are too short to be out of range. What is infinite to one reader is an error to
    // the next, and where that begins is a matter of rounding: hence a round limit.
    let is_far = exponent || text.len() > 300;
    if is_far && number.as_f64().abs() > 1e308 {
        return Err(FaultKind::Number.at(start));
    }
    Ok((number, at))
}
