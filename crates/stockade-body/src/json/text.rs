//! Strings.

use std::borrow::Cow;

use super::fault::{Fault, FaultKind};

/// A string between its quotes: judged, but as it was written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'a> {
    /// UTF-8.
    raw: &'a [u8],
    ascii: bool,
    /// By how many bytes the escapes are longer than one byte a character.
    surplus: usize,
}

impl<'a> Text<'a> {
    /// A text that did not come in JSON and has no escapes; `None` unless it is UTF-8.
    pub(crate) fn plain(raw: &'a [u8]) -> Option<Self> {
        simdutf8::basic::from_utf8(raw).ok()?;
        Some(Self {
            raw,
            ascii: false,
            surplus: 0,
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
        (begun - self.surplus) as u64
    }

    /// What it says, in UTF-8; borrowed where nothing is escaped.
    pub(crate) fn unescaped(&self) -> Cow<'a, [u8]> {
        if self.surplus == 0 {
            return Cow::Borrowed(self.raw);
        }
        let mut out = Vec::with_capacity(self.raw.len());
        let mut rest = self.raw;
        while let Some(at) = memchr::memchr(b'\\', rest) {
            out.extend_from_slice(&rest[..at]);
            let (escape, end) = read_escape(rest, at).expect("judged when it was scanned");
            out.extend_from_slice(escape.encode_utf8(&mut [0; 4]).as_bytes());
            rest = &rest[end..];
        }
        out.extend_from_slice(rest);
        Cow::Owned(out)
    }
}

/// Reads the string whose opening quote is before `start`; returns it, and where what
/// follows its closing quote begins.
///
/// Each pass over a long string is one of vector code, and the two of them (three, where it
/// is not ASCII) take less time than one that decides byte by byte.
pub(super) fn scan(bytes: &[u8], start: usize) -> Result<(Text<'_>, usize), Fault> {
    let mut at = start;
    let mut ascii = true;
    let mut surplus = 0;
    loop {
        let plain = skip_plain(&bytes[at..]).map_err(|offset| {
            let wanted = match bytes.get(at + offset) {
                Some(_) => "no control character in a string",
                None => "the end of a string",
            };
            FaultKind::Syntax(wanted).at(at + offset)
        })?;
        at += plain.length;
        ascii &= plain.ascii;
        if bytes[at] == b'"' {
            break;
        }
        // An escape is ASCII as it is written.
        let (_, end) = read_escape(bytes, at)?;
        surplus += end - at - 1;
        at = end;
    }
    let raw = &bytes[start..at];
    if !ascii && simdutf8::basic::from_utf8(raw).is_err() {
        return Err(FaultKind::Syntax("UTF-8 in a string").at(start));
    }
    let text = Text {
        raw,
        ascii,
        surplus,
    };
    Ok((text, at + 1))
}

/// Bytes that stand for themselves.
struct Plain {
    length: usize,
    ascii: bool,
}

/// What there is before the first quote or backslash; where a control character or the end
/// of all comes first, its offset is the error.
fn skip_plain(rest: &[u8]) -> Result<Plain, usize> {
    // Names are short, and so is what is between the escapes of a hostile text.
    const SHORT: usize = 16;
    let mut ascii = true;
    for (length, byte) in rest.iter().take(SHORT).enumerate() {
        match byte {
            b'"' | b'\\' => return Ok(Plain { length, ascii }),
            0..0x20 => return Err(length),
            _ => ascii &= byte.is_ascii(),
        }
    }
    let end = memchr::memchr2(b'"', b'\\', rest);
    let length = end.unwrap_or(rest.len());
    // The compiler makes vector code of what does not stop in between.
    let bounds = |(least, most): (u8, u8), byte: &u8| (least.min(*byte), most.max(*byte));
    let (least, most) = rest[..length].iter().fold((u8::MAX, 0), bounds);
    if least < 0x20 {
        let control = rest.iter().position(|byte| *byte < 0x20);
        return Err(control.expect("the least of them"));
    }
    end.ok_or(length)?;
    Ok(Plain {
        length,
        ascii: most.is_ascii(),
    })
}

/// Reads the escape whose backslash is at `at`; returns its character, and where it ends.
///
/// Half of a surrogate pair is no character: readers turn it into different things, or
/// refuse it.
fn read_escape(bytes: &[u8], at: usize) -> Result<(char, usize), Fault> {
    let simple = |character| Ok((character, at + 2));
    let wrong = || FaultKind::Syntax("a valid escape").at(at);
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
