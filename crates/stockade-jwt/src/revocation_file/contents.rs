//! Parsing of revocation files, as pure functions of text and time.

use std::{collections::HashMap, time::Duration};

use stockade_core::clock::Timestamp;

/// The maximum number of unexpired tokens.
pub(super) const MAX_TOKENS: usize = 100_000;
const MAX_ID_LENGTH: usize = 256;
/// Exceeds any leeway and clock skew.
const GRACE: Duration = Duration::from_secs(24 * 60 * 60);
/// The last whole second that a [`Timestamp`] can represent.
const LAST_SECOND: u64 = u64::MAX / 1_000_000_000;

/// Revoked tokens, with the end of their revocation.
pub(super) type Revoked = HashMap<Box<str>, Timestamp>;

/// The parsed contents of a file.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) revoked: Revoked,
    /// The number of expired lines.
    pub(super) over: usize,
    /// The text without expired lines.
    pub(super) kept: Vec<u8>,
    pub(super) fault: Option<Fault>,
}

/// Invalid lines.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The first invalid line.
    pub(super) line: usize,
    pub(super) problem: &'static str,
    /// The number of invalid lines.
    pub(super) count: usize,
}

impl Contents {
    pub(super) fn parse(text: &[u8], now: Timestamp) -> Self {
        let mut contents = Self::default();
        for (at, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
            match entry(line) {
                Ok(Some((_, until))) if until + GRACE <= now => {
                    contents.over += 1;
                    continue;
                }
                Ok(Some((id, until))) => contents.insert(id, until, at + 1),
                Ok(None) => {}
                Err(problem) => contents.note(at + 1, problem),
            }
            contents.kept.extend_from_slice(line);
        }
        if contents.kept.last().is_some_and(|byte| *byte != b'\n') {
            contents.kept.push(b'\n');
        }
        contents
    }

    pub(super) fn is_full(&self) -> bool {
        self.revoked.len() >= MAX_TOKENS
    }

    fn insert(&mut self, id: &str, until: Timestamp, line: usize) {
        let is_full = self.is_full();
        match self.revoked.get_mut(id) {
            Some(known) => *known = until.max(*known),
            None if is_full => self.note(
                line,
                "more than 100,000 unexpired tokens; add expiry times, or rotate the signing key",
            ),
            None => {
                self.revoked.insert(id.into(), until);
            }
        }
    }

    fn note(&mut self, line: usize, problem: &'static str) {
        let first = Fault {
            line,
            problem,
            count: 0,
        };
        self.fault.get_or_insert(first).count += 1;
    }
}

/// Parses a line; `None` for empty lines and comments.
fn entry(line: &[u8]) -> Result<Option<(&str, Timestamp)>, &'static str> {
    let line = str::from_utf8(line).map_err(|_| "invalid UTF-8")?;
    let mut words = line
        .split_ascii_whitespace()
        .take_while(|word| !word.starts_with('#'));
    let Some(id) = words.next() else {
        return Ok(None);
    };
    if !is_id(id) {
        return Err("the id is longer than 256 bytes or has control characters");
    }
    let until = match words.next() {
        None => until(None),
        Some(exp) => match exp.parse() {
            Ok(secs) if secs <= LAST_SECOND && exp.bytes().all(|byte| byte.is_ascii_digit()) => {
                Timestamp::from_secs(secs)
            }
            _ => return Err("invalid time after the id; use the `exp` of the token in seconds"),
        },
    };
    match words.next() {
        None => Ok(Some((id, until))),
        Some(_) => Err("unexpected text after the time; start comments with `#`"),
    }
}

/// Returns the end of a revocation; permanent ones end after all others.
pub(super) fn until(until: Option<Timestamp>) -> Timestamp {
    // Leaves room to add the grace period.
    until.unwrap_or(Timestamp::from_secs(LAST_SECOND - 100_000))
}

/// Returns whether an id can be written to a line.
pub(super) fn is_id(id: &str) -> bool {
    let plain = |character: char| !character.is_whitespace() && !character.is_control();
    (1..=MAX_ID_LENGTH).contains(&id.len()) && !id.starts_with('#') && id.chars().all(plain)
}

/// Formats the line of a token.
pub(super) fn line(id: &str, until: Option<Timestamp>) -> String {
    match until {
        // Rounded up, because the token is valid during the last second.
        Some(until) => format!("{id} {}\n", until.as_nanos().div_ceil(1_000_000_000)),
        None => format!("{id}\n"),
    }
}
