//! JSON numbers.

use super::error::{JsonError, JsonErrorKind};

/// Maximum length of a number in bytes; serialisers write about twenty digits.
const LONGEST: usize = 1_024;

/// A number as written, between -1e308 and 1e308.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number<'a>(&'a str);

impl<'a> Number<'a> {
    /// Parses a complete number.
    #[cfg(feature = "multipart")]
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (number, end) = scan(bytes, 0).ok()?;
        (end == bytes.len()).then_some(number)
    }

    /// Returns an integer written without fraction and exponent, if an `i64` holds it.
    pub(crate) fn as_integer(self) -> Option<i64> {
        self.0.parse().ok()
    }

    pub(crate) fn as_f64(self) -> f64 {
        self.0.parse().expect("every JSON number parses as f64")
    }
}

/// Reads the number that starts here; returns it and its end.
pub(super) fn scan(bytes: &[u8], start: usize) -> Result<(Number<'_>, usize), JsonError> {
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let digits = |mut at: usize| {
        if !digit(at) {
            return Err(JsonErrorKind::Syntax("a digit").at(at));
        }
        while digit(at) {
            at += 1;
            if at - start > LONGEST {
                return Err(JsonErrorKind::Number.at(start));
            }
        }
        Ok(at)
    };
    let is = |at: usize, any: &[u8]| bytes.get(at).is_some_and(|byte| any.contains(byte));

    let whole = start + usize::from(is(start, b"-"));
    let point = if is(whole, b"0") {
        whole + 1
    } else {
        digits(whole)?
    };
    let mantissa = if is(point, b".") {
        digits(point + 1)?
    } else {
        point
    };
    let end = if is(mantissa, b"eE") {
        digits(mantissa + 1 + usize::from(is(mantissa + 1, b"+-")))?
    } else {
        mantissa
    };
    if magnitude(
        &bytes[whole..point],
        &bytes[point..mantissa],
        &bytes[mantissa..end],
    ) >= 308
    {
        return Err(JsonErrorKind::Number.at(start));
    }
    let text = str::from_utf8(&bytes[start..end]).expect("a number is ASCII");
    Ok((Number(text), end))
}

/// The decimal exponent of the first non-zero digit; `i64::MIN` for zero.
///
/// Some readers turn numbers beyond `f64` into infinity and others fail, depending on
/// rounding; hence a round limit. It needs no arithmetic on long numbers.
fn magnitude(whole: &[u8], fraction: &[u8], exponent: &[u8]) -> i64 {
    let first = if whole != b"0" {
        whole.len() as i64 - 1
    } else {
        // The point counts as the first zero.
        match fraction.iter().position(|byte| matches!(byte, b'1'..=b'9')) {
            Some(zeros) => -(zeros as i64),
            None => return i64::MIN,
        }
    };
    let (negative, digits) = match exponent {
        [_, b'-', digits @ ..] => (true, digits),
        [_, b'+', digits @ ..] | [_, digits @ ..] => (false, digits),
        [] => (false, exponent),
    };
    let power = digits.iter().fold(0_i64, |power, digit| {
        let digit = i64::from(digit - b'0');
        power.saturating_mul(10).saturating_add(digit)
    });
    first.saturating_add(if negative { -power } else { power })
}
