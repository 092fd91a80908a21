//! The fields of a line that the verifier needs.

use memchr::memmem::{find, rfind};

/// The fields of a line written by the journal. A quote within a string is escaped, so text
/// is never mistaken for a field.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct LineFields<'a> {
    pub(super) seq: Option<u64>,
    /// The finding of a journal that started.
    pub(super) opened: Option<&'a str>,
    pub(super) next_key: Option<&'a str>,
    pub(super) lost: u64,
}

impl<'a> LineFields<'a> {
    /// Parses a line up to its seal or its end.
    pub(super) fn read(line: &'a [u8]) -> Self {
        // The number is the last field, after all texts.
        let seq = rfind(line, b",\"seq\":").and_then(|at| number(&line[at + 7..]));
        let event = text(line, b",\"event\":\"");
        let is = |name| event == Some(name);
        Self {
            seq,
            opened: is("log_opened")
                .then(|| text(line, b",\"past\":\""))
                .flatten(),
            next_key: is("chain_key_rotated")
                .then(|| text(line, b",\"next_key\":\""))
                .flatten(),
            lost: match find(line, b",\"lost\":") {
                Some(at) if is("records_lost") => number(&line[at + 8..]).unwrap_or_default(),
                _ => 0,
            },
        }
    }
}

fn text<'a>(line: &'a [u8], field: &[u8]) -> Option<&'a str> {
    let rest = &line[find(line, field)? + field.len()..];
    let end = memchr::memchr(b'"', rest)?;
    std::str::from_utf8(&rest[..end]).ok()
}

fn number(text: &[u8]) -> Option<u64> {
    let end = text
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    std::str::from_utf8(&text[..end]).ok()?.parse().ok()
}
