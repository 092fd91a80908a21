//! What stands in a file of revoked tokens. Pure: text and time in, tokens out.

use std::{collections::HashMap, time::Duration};

use stockade_core::clock::Timestamp;

/// Tokens that are not over, bounded so that the memory is.
pub(super) const MAX_TOKENS: usize = 100_000;
const MAX_ID_LENGTH: usize = 256;
/// Longer than any leeway, and than clocks are apart.
const GRACE: Duration = Duration::from_secs(24 * 60 * 60);
/// The last second that a [`Timestamp`] can tell.
const LAST_SECOND: u64 = u64::MAX / 1_000_000_000;

/// Until when each token is revoked.
pub(super) type Revoked = HashMap<Box<str>, Timestamp>;

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) revoked: Revoked,
    /// Lines that are over.
    pub(super) over: usize,
    /// The file without those.
    pub(super) kept: Vec<u8>,
    pub(super) fault: Option<Fault>,
}

/// What cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The first line that is wrong.
    pub(super) line: usize,
    pub(super) problem: &'static str,
    /// How many lines are.
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
                "there are over 100,000 tokens that are not over; give them a time, or change \
                 the key that they are signed with",
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

/// The token of a line; `None` for a line that is empty or a comment.
fn entry(line: &[u8]) -> Result<Option<(&str, Timestamp)>, &'static str> {
    let line = str::from_utf8(line).map_err(|_| "it is not UTF-8")?;
    let mut words = line
        .split_ascii_whitespace()
        .take_while(|word| !word.starts_with('#'));
    let Some(id) = words.next() else {
        return Ok(None);
    };
    if !is_id(id) {
        return Err("the id has over 256 bytes, or control characters");
    }
    let until = match words.next() {
        None => until(None),
        Some(exp) => match exp.parse() {
            Ok(secs) if secs <= LAST_SECOND && exp.bytes().all(|byte| byte.is_ascii_digit()) => {
                Timestamp::from_secs(secs)
            }
            _ => return Err("what follows the id is no time; write the token's `exp` in seconds"),
        },
    };
    match words.next() {
        None => Ok(Some((id, until))),
        Some(_) => Err("something follows the time; begin a comment with `#`"),
    }
}

/// For good is longer than any time.
pub(super) fn until(until: Option<Timestamp>) -> Timestamp {
    // So that a day can be added.
    until.unwrap_or(Timestamp::from_secs(LAST_SECOND - 100_000))
}

/// Whether an id can stand in a line.
pub(super) fn is_id(id: &str) -> bool {
    let plain = |character: char| !character.is_whitespace() && !character.is_control();
    (1..=MAX_ID_LENGTH).contains(&id.len()) && !id.starts_with('#') && id.chars().all(plain)
}

/// The line of a token.
pub(super) fn line(id: &str, until: Option<Timestamp>) -> String {
    match until {
        // Rounded up: a token is good in the last second, too.
        Some(until) => format!("{id} {}\n", until.as_nanos().div_ceil(1_000_000_000)),
        None => format!("{id}\n"),
    }
}
