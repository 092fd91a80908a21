//! Escape sequences.

use super::error::{JsonError, JsonErrorKind};

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

/// Reads the escape whose backslash is at `at`; returns its character and its end.
///
/// Unpaired surrogates are refused: readers replace them in different ways.
pub(super) fn read_escape(bytes: &[u8], at: usize) -> Result<(char, usize), JsonError> {
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
