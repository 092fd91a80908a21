//! JSON strings.

use std::borrow::Cow;

use super::{
    error::JsonErrorKind,
    escape::{read_escape, unescape},
    plain::{skip_plain, skip_words},
};
use crate::{scan_error::ScanError, work_budget::WorkBudget};

/// A valid string without its quotes, as written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'a> {
    /// UTF-8.
    raw: &'a [u8],
    ascii: bool,
    /// Bytes of escapes beyond one byte per character.
    escape_excess: usize,
}

impl<'a> Text<'a> {
    /// Wraps text from outside JSON, without escapes; `None` unless it is UTF-8.
    #[cfg(feature = "multipart")]
    pub(crate) fn plain(raw: &'a [u8]) -> Option<Self> {
        simdutf8::basic::from_utf8(raw).ok()?;
        Some(Self {
            raw,
            ascii: false,
            escape_excess: 0,
        })
    }

    /// Returns the text as a member's name unless it has escapes.
    #[inline]
    pub(crate) fn as_name(&self) -> Option<&'a [u8]> {
        (self.escape_excess == 0).then_some(self.raw)
    }

    /// Returns the text as written.
    pub(crate) fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Returns the number of characters (Unicode scalar values).
    pub(crate) fn chars(&self) -> u64 {
        let begun = if self.ascii {
            self.raw.len()
        } else {
            let begins = |byte: &&u8| !matches!(byte, 0x80..0xC0);
            self.raw.iter().filter(begins).count()
        };
        (begun - self.escape_excess) as u64
    }

    /// Estimates the tokens in thirds, given the number of characters: an ASCII character is a
    /// third of a token, one outside the basic multilingual plane four tokens, any other one
    /// token.
    ///
    /// The thirds are never fewer than the bytes of the unescaped text, so a tokenizer that
    /// falls back to bytes yields at most three times the estimate. Escapes count as written,
    /// which is more.
    pub(crate) fn token_thirds(&self, chars: u64) -> u64 {
        let length = self.raw.len() as u64;
        if chars == length {
            // ASCII without escapes, the common case.
            return length;
        }
        let thirds = |byte: &u8| match byte {
            0x00..0x80 => 1,
            0x80..0xC0 => 0,
            0xC0..0xF0 => 3,
            0xF0.. => 12,
        };
        self.raw.iter().map(thirds).sum()
    }

    /// Returns the unescaped text in UTF-8; borrowed if nothing is escaped.
    pub(crate) fn unescaped(&self) -> Cow<'a, [u8]> {
        match self.escape_excess {
            0 => Cow::Borrowed(self.raw),
            _ => Cow::Owned(unescape(self.raw)),
        }
    }
}

/// Reads the string whose opening quote is before `start`.
#[inline(always)]
pub(super) fn scan<'a>(
    bytes: &'a [u8],
    start: usize,
    budget: &WorkBudget,
) -> Result<Text<'a>, ScanError> {
    let rest = &bytes[start..];
    let (length, end) = skip_words(rest);
    if end == b'"' {
        return Ok(Text {
            raw: &rest[..length],
            ascii: true,
            escape_excess: 0,
        });
    }
    // Rebuilding the value lets the compiler keep it in registers.
    let Text {
        raw,
        ascii,
        escape_excess,
    } = scan_on(bytes, start, start + length, budget)?;
    Ok(Text {
        raw,
        ascii,
        escape_excess,
    })
}

/// Continues at `at`; the bytes before are plain ASCII.
///
/// Long strings take two vectorised passes (three if not ASCII), which are faster together
/// than one pass that decides byte by byte.
fn scan_on<'a>(
    bytes: &'a [u8],
    start: usize,
    mut at: usize,
    budget: &WorkBudget,
) -> Result<Text<'a>, ScanError> {
    let mut ascii = true;
    let mut escape_excess = 0;
    loop {
        let plain = skip_plain(&bytes[at..], budget)?;
        at += plain.length;
        ascii &= plain.ascii;
        match bytes.get(at) {
            Some(b'"') => break,
            Some(b'\\') => {}
            Some(_) => return Err(JsonErrorKind::Syntax(CONTROL).at(at).into()),
            None => return Err(JsonErrorKind::Syntax("the end of a string").at(at).into()),
        }
        // Escapes are written in ASCII.
        budget.spend(1)?;
        let (_, end) = read_escape(bytes, at)?;
        escape_excess += end - at - 1;
        at = end;
    }
    let raw = &bytes[start..at];
    if !ascii {
        budget.spend_bytes(raw.len())?;
        if simdutf8::basic::from_utf8(raw).is_err() {
            return Err(JsonErrorKind::Syntax("UTF-8 in a string").at(start).into());
        }
    }
    Ok(Text {
        raw,
        ascii,
        escape_excess,
    })
}

const CONTROL: &str = "no control character in a string";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Bytes, some of them near the ends of a plain run.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![
            8 => b'a'..=b'z',
            1 => any::<u8>(),
            1 => prop::sample::select(b"\0\x01\x1f !\"#[\\]^\x7f\x80\xa1\xff".as_slice()),
        ];
        prop::collection::vec(byte, 0..48)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        // Words and single bytes give the same result.
        #[test]
        fn words_agree_with_single_bytes(bytes in bytes()) {
            let is_end = |byte: &u8| !matches!(byte, b' '..=b'~' | 0x7F) || b"\"\\".contains(byte);
            let end = bytes.iter().position(is_end);
            match skip_words(&bytes) {
                (length, 0) if bytes.get(length) != Some(&0) => {
                    prop_assert!(end.is_none_or(|end| end >= length));
                    prop_assert!(length == 32 || bytes.len() - length < 8);
                }
                (length, byte) => prop_assert_eq!((Some(length), byte), (end, bytes[length])),
            }
        }

        #[test]
        fn plain_runs_agree_with_single_bytes(
            mut bytes in prop::collection::vec(b'#'..=b'[', 0..400),
            others in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        ) {
            for (at, other) in others {
                if !bytes.is_empty() {
                    let at = at.index(bytes.len());
                    bytes[at] = other;
                }
            }
            let is_end = |byte: &u8| *byte < b' ' || b"\"\\".contains(byte);
            let end = bytes.iter().position(is_end).unwrap_or(bytes.len());
            let plain = skip_plain(&bytes, &WorkBudget::unlimited()).unwrap();
            prop_assert_eq!(plain.length, end);
            // The flag has no meaning for refused text.
            if bytes.get(end).is_none_or(|byte| *byte >= b' ') {
                prop_assert_eq!(plain.ascii, bytes[..end].is_ascii());
            }
        }

        // Both paths read the same string.
        #[test]
        fn short_and_long_paths_agree(bytes in bytes()) {
            let text = [b"\"", bytes.as_slice(), b"\""].concat();
            let budget = WorkBudget::unlimited();
            let short = scan(&text, 1, &budget);
            let long = scan_on(&text, 1, 1, &budget);
            match (short, long) {
                (Ok(short), Ok(long)) => {
                    prop_assert_eq!(short.raw(), long.raw());
                    prop_assert_eq!(short.chars(), long.chars());
                    prop_assert_eq!(short.unescaped(), long.unescaped());
                    prop_assert_eq!(short.as_name(), long.as_name());
                    prop_assert_eq!(short.ascii, long.ascii);
                }
                (Err(ScanError::Refused(short)), Err(ScanError::Refused(long))) => {
                    prop_assert_eq!(short, long);
                }
                (short, long) => prop_assert!(false, "{short:?} and {long:?}"),
            }
        }
    }
}
