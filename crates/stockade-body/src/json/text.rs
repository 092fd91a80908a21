//! StringConstraints.

use std::borrow::Cow;

use super::{
    duplicates::Key,
    error::{JsonError, JsonErrorKind},
};
use crate::{
    scan_error::ScanError,
    work_budget::{BudgetExhausted, WorkBudget},
};

/// A string between its quotes: judged, but as it was written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'a> {
    /// UTF-8.
    raw: &'a [u8],
    ascii: bool,
    /// By how many bytes the escapes are longer than one byte a character.
    escape_excess: usize,
}

impl<'a> Text<'a> {
    /// A text that did not come in JSON and has no escapes; `None` unless it is UTF-8.
    pub(crate) fn plain(raw: &'a [u8]) -> Option<Self> {
        simdutf8::basic::from_utf8(raw).ok()?;
        Some(Self {
            raw,
            ascii: false,
            escape_excess: 0,
        })
    }

    /// The text as a member's name, where nothing is escaped.
    #[inline]
    pub(super) fn as_key(&self) -> Option<Key<'a>> {
        (self.escape_excess == 0).then_some(Key {
            name: self.raw,
            is_ascii: self.ascii,
        })
    }

    /// The text as it was written.
    pub(crate) fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// How many characters (Unicode scalar values) it has.
    pub(crate) fn chars(&self) -> u64 {
        let begun = if self.ascii {
            self.raw.len()
        } else {
            let begins = |byte: &&u8| !matches!(byte, 0x80..0xC0);
            self.raw.iter().filter(begins).count()
        };
        (begun - self.escape_excess) as u64
    }

    /// Thirds of the tokens that it is estimated at, given its number of characters: an
    /// ASCII character is a third of a token, one outside of the basic multilingual plane
    /// four tokens, any other character one.
    ///
    /// So the thirds are never fewer than the bytes of what it says, and a tokenizer that
    /// falls back to bytes makes at most three times the tokens of the estimate. Escapes
    /// count as they are written, which is more.
    pub(crate) fn token_thirds(&self, chars: u64) -> u64 {
        let length = self.raw.len() as u64;
        if chars == length {
            // ASCII without escapes: the usual case needs no second look.
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

    /// What it says, in UTF-8; borrowed where nothing is escaped.
    pub(crate) fn unescaped(&self) -> Cow<'a, [u8]> {
        match self.escape_excess {
            0 => Cow::Borrowed(self.raw),
            _ => Cow::Owned(unescape(self.raw)),
        }
    }
}

/// What a text says that was judged.
pub(super) fn unescape(mut raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    while let Some(at) = memchr::memchr(b'\\', raw) {
        out.extend_from_slice(&raw[..at]);
        let (escape, end) = read_escape(raw, at).expect("judged when it was scanned");
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
    // Put together anew, it need not be where the other one is.
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

/// Reads on at `at` what is plain ASCII up to there.
///
/// Each pass over a long string is one of vector code, and the two of them (three, where it
/// is not ASCII) take less time than one that decides byte by byte.
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
        // An escape is ASCII as it is written.
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

/// Bytes that stand for themselves.
struct Plain {
    length: usize,
    ascii: bool,
}

/// What there is before the first quote, backslash or control character, or the end.
fn skip_plain(rest: &[u8], budget: &WorkBudget) -> Result<Plain, BudgetExhausted> {
    // Small enough for both passes to find it in the processor's nearest cache.
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
        // A text that is not ASCII once need not be asked again.
        if !(ascii && is_printable(plain)) {
            ascii = ascii && plain.is_ascii();
            let least = plain.iter().fold(u8::MAX, |least, byte| least.min(*byte));
            if least < b' ' {
                let control = plain.iter().position(|byte| *byte < b' ');
                length += control.expect("the least of them");
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

/// Whether all of these bytes are ASCII and none is a control character to JSON, which the
/// last one of ASCII is not.
///
/// The compiler makes vector code of what does not stop in between, and has little to do a
/// byte: to turn over the bit that is set in what is not ASCII puts all of that, and control
/// characters, below the space.
fn is_printable(bytes: &[u8]) -> bool {
    const BIT: u8 = 0x80;
    let lower = |lowest: u8, byte: &u8| lowest.min(byte ^ BIT);
    // As many at a time as are in four vectors.
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

/// How many plain ASCII characters there are, eight at a time, and the byte that follows;
/// 0 where that is not known. Names are short, and so is what is between the escapes of a
/// hostile text, so it does not look far.
#[inline(always)]
fn skip_words(rest: &[u8]) -> (usize, u8) {
    const FAR: usize = 4 * WORD;
    const WORD: usize = size_of::<u64>();
    let mut length = 0;
    while length < FAR
        && let Some(word) = rest.get(length..length + WORD)
    {
        let word = u64::from_le_bytes(word.try_into().expect("so many bytes"));
        let ends = ends(word);
        if ends != 0 {
            let bits = ends.trailing_zeros() / 8 * 8;
            return (length + bits as usize / 8, (word >> bits) as u8);
        }
        length += WORD;
    }
    (length, 0)
}

/// The high bit of each of eight bytes that is a quote, a backslash, a control character or
/// not ASCII; right up to the first of them, and perhaps wrong behind it.
#[inline(always)]
fn ends(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xFF;
    const HIGH: u64 = ONES << 7;
    // Sets the high bit of a byte below the limit; one above borrows, so what is above it
    // may be wrong.
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit);
    // To turn over this bit makes 0x20 of the quote, which no character but the quote and
    // those below it become: what is at most that then are quotes and control characters.
    const QUOTE: u64 = ONES * (0x20 ^ b'"' as u64);
    const BACKSLASH: u64 = ONES * b'\\' as u64;
    (below(word ^ QUOTE, 0x21) | below(word ^ BACKSLASH, 1) | word) & HIGH
}

/// Reads the escape whose backslash is at `at`; returns its character, and where it ends.
///
/// Half of a surrogate pair is no character: readers turn it into different things, or
/// refuse it.
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

    /// Bytes of which some are near those that end plain ASCII.
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

        // Eight at a time, the answer is that of looking at them one by one.
        #[test]
        fn words_end_where_bytes_do(bytes in bytes()) {
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
        fn plain_text_ends_where_bytes_say(
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
            // What is refused may be called either.
            if bytes.get(end).is_none_or(|byte| *byte >= b' ') {
                prop_assert_eq!(plain.ascii, bytes[..end].is_ascii());
            }
        }

        // Whichever way a string is read, it is the same one.
        #[test]
        fn short_strings_are_read_as_long_ones(bytes in bytes()) {
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
