//! One record on its way to the log: an object of JSON on one line.

use std::{cell::Cell, fmt::Display, io::Write, time::Duration};

use stockade_core::Timestamp;

use crate::{escape::push_escaped, redact::redact, timestamp::push_rfc3339};

/// A field's name as it stands in a line: `,"name":`.
macro_rules! field {
    ($name:literal) => {
        concat!(",\"", $name, "\":")
    };
}
pub(crate) use field;

/// How much a record matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Info,
    Warn,
    Error,
}

impl Level {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

thread_local! {
    /// A buffer that each line of this thread is written in.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A record, without the number and the brace that end it.
#[derive(Debug)]
pub(crate) struct Line(Vec<u8>);

impl Line {
    pub(crate) fn new(at: Timestamp, level: Level, message: &'static str) -> Self {
        let mut line = Self(SCRATCH.try_with(Cell::take).unwrap_or_default());
        line.raw("{\"timestamp\":\"");
        push_rfc3339(&mut line.0, at);
        line.raw("\"");
        line.word(field!("level"), level.as_str());
        line.word(field!("message"), message);
        line
    }

    fn raw(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    /// A text of our own, which is known to be visible ASCII without quotes.
    pub(crate) fn word(&mut self, field: &'static str, text: &str) {
        self.raw(field);
        self.raw("\"");
        self.raw(text);
        self.raw("\"");
    }

    /// A value that shows itself as visible ASCII without quotes.
    pub(crate) fn shown(&mut self, field: &'static str, value: impl Display) {
        self.raw(field);
        // Writing to a vector does not fail.
        let _ = write!(self.0, "\"{value}\"");
    }

    /// A text that somebody else chose, of at most so many bytes.
    pub(crate) fn text(&mut self, field: &'static str, text: &str, limit: usize) {
        self.raw(field);
        self.raw("\"");
        push_escaped(&mut self.0, &redact(text, limit));
        self.raw("\"");
    }

    pub(crate) fn number(&mut self, field: &'static str, number: u64) {
        self.raw(field);
        self.raw(itoa::Buffer::new().format(number));
    }

    /// Milliseconds, to three digits after the point.
    pub(crate) fn millis(&mut self, field: &'static str, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.number(field, micros / 1_000);
        let part = micros % 1_000;
        let digits = [part / 100, part / 10 % 10, part % 10].map(|digit| b'0' + digit as u8);
        self.0.push(b'.');
        self.0.extend_from_slice(&digits);
    }

    pub(crate) fn null(&mut self, field: &'static str) {
        self.raw(field);
        self.raw("null");
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let mut buffer = std::mem::take(&mut self.0);
        buffer.clear();
        let _ = SCRATCH.try_with(|scratch| scratch.set(buffer));
    }
}
