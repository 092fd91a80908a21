//! JSON strings.

use std::borrow::Cow;

use super::{
    duplicates::Key,
    error::{JsonError, JsonErrorKind},
};
use crate::{
    scan_error::ScanError,
    work_budget::{BudgetExhausted, WorkBudget},
};

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
    pub(super) fn as_key(&self) -> Option<Key<'a>> {
        (self.escape_excess == 0).then_some(Key {
            name: self.raw,
            is_ascii: self.ascii,
        })
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

/// Unescapes a valid text.
pub(super) fn unescape(mut raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    while let Some(at) = memchr::memchr(b'\\', raw) {
        out.extend_from_slice(&raw[..at]);
        let (escape, end) = read_escape(raw, at).expect("validated by the scan");
        out.extend_from_slice(escape.encode_utf8(&mut [0; 4]).as_bytes());
        raw = &raw[end..];
    }
    out.extend_from_slice(raw);
    out
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

/// A run without quotes, backslashes and control characters.
struct Plain {
    length: usize,
    ascii: bool,
}

/// Returns the run before the first quote, backslash, control character or the end.
fn skip_plain(rest: &[u8], budget: &WorkBudget) -> Result<Plain, BudgetExhausted> {
    // Fits the L1 cache for both passes.
    const BLOCK: usize = 8 << 10;
    let (mut length, byte) = skip_words(rest);
    if matches!(byte, b'"' | b'\\') {
        let ascii = true;
        return Ok(Plain { length, ascii });
    }
    let mut ascii = true;
    for block in rest[length..].chunks(BLOCK) {
        budget.spend_bytes(block.len())?;
        let end = memchr::memchr2(b'"', b'\\', block);
        let plain = &block[..end.unwrap_or(block.len())];
        // Once not ASCII, the check for ASCII is skipped.
        if !(ascii && is_printable(plain)) {
            ascii = ascii && plain.is_ascii();
            let least = plain.iter().fold(u8::MAX, |least, byte| least.min(*byte));
            if least < b' ' {
                let control = plain.iter().position(|byte| *byte < b' ');
                length += control.expect("the minimum is a control character");
                break;
            }
        }
        length += plain.len();
        if end.is_some() {
            break;
        }
    }
    Ok(Plain { length, ascii })
}

/// Whether all bytes are ASCII and none is a control character of JSON (DEL is not).
///
/// Without an early exit the compiler vectorises the loop. Flipping the high bit maps
/// non-ASCII bytes and control characters below the space.
fn is_printable(bytes: &[u8]) -> bool {
    const BIT: u8 = 0x80;
    let lower = |lowest: u8, byte: &u8| lowest.min(byte ^ BIT);
    // Four vectors at a time.
    let (blocks, rest) = bytes.as_chunks::<64>();
    let mut lanes = [u8::MAX; 64];
    for block in blocks {
        for (lane, byte) in lanes.iter_mut().zip(block) {
            *lane = lower(*lane, byte);
        }
    }
    let lowest = lanes.into_iter().fold(u8::MAX, u8::min);
    rest.iter().fold(lowest, lower) >= b' ' ^ BIT
}

/// Returns the number of leading plain ASCII characters and the byte after them, or 0 if
/// unknown. It reads eight bytes at a time and at most four words: names are short, and so are
/// runs between the escapes of a hostile text.
#[inline(always)]
fn skip_words(rest: &[u8]) -> (usize, u8) {
    const FAR: usize = 4 * WORD;
    const WORD: usize = size_of::<u64>();
    let mut length = 0;
    while length < FAR
        && let Some(word) = rest.get(length..length + WORD)
    {
        let word = u64::from_le_bytes(word.try_into().expect("the slice has eight bytes"));
        let ends = ends(word);
        if ends != 0 {
            let bits = ends.trailing_zeros() / 8 * 8;
            return (length + bits as usize / 8, (word >> bits) as u8);
        }
        length += WORD;
    }
    (length, 0)
}

/// Sets the high bit of each byte that is a quote, a backslash, a control character or not
/// ASCII; exact up to the first of them.
#[inline(always)]
fn ends(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xFF;
    const HIGH: u64 = ONES << 7;
    // Sets the high bit of bytes below the limit. A borrow may falsify the bytes above.
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit);
    // Flipping this bit maps the quote to 0x20 and keeps smaller bytes below 0x21, so one
    // comparison finds quotes and control characters.
    const QUOTE: u64 = ONES * (0x20 ^ b'"' as u64);
    const BACKSLASH: u64 = ONES * b'\\' as u64;
    (below(word ^ QUOTE, 0x21) | below(word ^ BACKSLASH, 1) | word) & HIGH
}

/// Reads the escape whose backslash is at `at`; returns its character and its end.
///
/// Unpaired surrogates are refused: readers replace them in different ways.
fn read_escape(bytes: &[u8], at: usize) -> Result<(char, usize), JsonError> {
    let simple = |character| Ok((character, at + 2));
    let wrong = || JsonErrorKind::Syntax("a valid escape").at(at);
    match bytes.get(at + 1).ok_or_else(wrong)? {
        b'"' => simple('"'),
        b'\\' => simple('\\'),
        b'/' => simple('/'),
        b'b' => simple('\u{8}'),
        b'f' => simple('\u{c}'),
        b'n' => simple('\n'),
        b'r' => simple('\r'),
        b't' => simple('\t'),
        b'u' => {
            let first = read_hex(bytes, at + 2).ok_or_else(wrong)?;
            if let Some(character) = char::from_u32(first.into()) {
                return Ok((character, at + 6));
            }
            let second = match bytes.get(at + 6..at + 8) {
                Some(b"\\u") => read_hex(bytes, at + 8),
                _ => None,
            };
            let pair = [first, second.ok_or_else(wrong)?];
            match char::decode_utf16(pair).next() {
                Some(Ok(character)) => Ok((character, at + 12)),
                _ => Err(wrong()),
            }
        }
        _ => Err(wrong()),
    }
}

/// Reads four hexadecimal digits.
fn read_hex(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 4)?.iter().try_fold(0, |value, byte| {
        let digit = char::from(*byte).to_digit(16)?;
        Some(value << 4 | digit as u16)
    })
}

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
                    let is_ascii = short.as_key().map(|key| key.is_ascii);
                    prop_assert_eq!(is_ascii, long.as_key().map(|key| key.is_ascii));
                }
                (Err(ScanError::Refused(short)), Err(ScanError::Refused(long))) => {
                    prop_assert_eq!(short, long);
                }
                (short, long) => prop_assert!(false, "{short:?} and {long:?}"),
            }
        }
    }
}
