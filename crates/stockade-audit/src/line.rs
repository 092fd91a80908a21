//! One record on its way to the log: an object of JSON on one line.

use std::{
    cell::Cell,
    fmt::{self, Display, Write},
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use stockade_core::{ClientIp, Timestamp};

use crate::{
    escape::push_escaped,
    redact::{is_plain, redact},
    timestamp::push_rfc3339,
};

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

    // Inlined, so that a name of known length is written in place.
    #[inline(always)]
    fn raw(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    /// A text of our own, which is known to be visible ASCII without quotes.
    #[inline(always)]
    pub(crate) fn word(&mut self, field: &'static str, text: &str) {
        self.raw(field);
        self.0.push(b'"');
        self.raw(text);
        self.0.push(b'"');
    }

    /// A value that shows itself as visible ASCII without quotes.
    #[inline(always)]
    pub(crate) fn shown(&mut self, field: &'static str, value: impl Display) {
        self.raw(field);
        self.0.push(b'"');
        // Writing to a vector does not fail.
        let _ = write!(Text(&mut self.0), "{value}");
        self.0.push(b'"');
    }

    /// A text that somebody else chose, of at most so many bytes.
    #[inline(always)]
    pub(crate) fn text(&mut self, field: &'static str, text: &str, limit: usize) {
        self.raw(field);
        self.quoted(text, limit);
    }

    /// A text that two fields have.
    #[inline(always)]
    pub(crate) fn texts(&mut self, fields: [&'static str; 2], text: &str, limit: usize) {
        let [first, second] = fields;
        self.raw(first);
        let start = self.0.len();
        self.quoted(text, limit);
        let end = self.0.len();
        self.raw(second);
        self.0.extend_from_within(start..end);
    }

    fn quoted(&mut self, text: &str, limit: usize) {
        self.0.push(b'"');
        if text.len() <= limit && is_plain(text) {
            self.raw(text);
        } else {
            push_escaped(&mut self.0, &redact(text, limit));
        }
        self.0.push(b'"');
    }

    #[inline(always)]
    pub(crate) fn number(&mut self, field: &'static str, number: u64) {
        self.raw(field);
        self.digits(number);
    }

    fn digits(&mut self, number: u64) {
        match u8::try_from(number) {
            // Most numbers are none.
            Ok(digit @ 0..=9) => self.0.push(b'0' + digit),
            _ => self.raw(itoa::Buffer::new().format(number)),
        }
    }

    /// Milliseconds, to three digits after the point.
    #[inline(always)]
    pub(crate) fn millis(&mut self, field: &'static str, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.number(field, micros / 1_000);
        let part = micros % 1_000;
        let [a, b, c] = [part / 100, part / 10 % 10, part % 10].map(|digit| b'0' + digit as u8);
        self.0.extend_from_slice(&[b'.', a, b, c]);
    }

    #[inline(always)]
    pub(crate) fn null(&mut self, field: &'static str) {
        self.raw(field);
        self.raw("null");
    }

    /// A client's address, or nobody's.
    #[inline(always)]
    pub(crate) fn client(&mut self, field: &'static str, client: Option<ClientIp>) {
        match client {
            Some(ClientIp::Ip(IpAddr::V4(address))) => {
                self.raw(field);
                self.address(address);
            }
            Some(client) => self.shown(field, client),
            None => self.null(field),
        }
    }

    /// What `Display` writes, for a tenth of what that costs.
    fn address(&mut self, address: Ipv4Addr) {
        let (mut text, mut length) = ([b'"'; 17], 0);
        for octet in address.octets() {
            for (digit, least) in [(octet / 100, 100), (octet / 10 % 10, 10), (octet % 10, 0)] {
                if octet >= least {
                    length += 1;
                    text[length] = b'0' + digit;
                }
            }
            length += 1;
            text[length] = b'.';
        }
        self.0.extend_from_slice(&text[..length]);
        self.0.push(b'"');
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Writes text straight into the buffer.
struct Text<'a>(&'a mut Vec<u8>);

impl fmt::Write for Text<'_> {
    #[inline]
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let mut buffer = std::mem::take(&mut self.0);
        buffer.clear();
        let _ = SCRATCH.try_with(|scratch| scratch.set(buffer));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(write: impl FnOnce(&mut Line)) -> serde_json::Value {
        let mut line = Line::new(Timestamp::from_secs(1), Level::Info, "test");
        write(&mut line);
        let text = format!("{}}}", std::str::from_utf8(line.as_bytes()).unwrap());
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_line_that_is_dropped_leaves_nothing_in_the_next_one() {
        drop(line(|line| line.word(field!("first"), "1")));
        assert!(line(|_| {}).get("first").is_none());
    }

    proptest! {
        #[test]
        fn an_address_is_written_as_it_is_shown(bits in any::<u32>()) {
            let address = Ipv4Addr::from_bits(bits);
            let client = Some(ClientIp::Ip(address.into()));
            let line = line(|line| line.client(field!("ip"), client));
            prop_assert_eq!(&line["ip"], &address.to_string());
        }

        #[test]
        fn numbers_are_read_back(number in any::<u64>(), micros in 0_u64..1 << 50) {
            let line = line(|line| {
                line.number(field!("number"), number);
                line.millis(field!("millis"), Duration::from_micros(micros));
            });
            prop_assert_eq!(&line["number"], number);
            let millis = line["millis"].as_f64().unwrap();
            prop_assert!((millis * 1_000.0 - micros as f64).abs() < 0.5);
        }

        // L01
        #[test]
        fn any_texts_make_one_object(first in any::<String>(), second in any::<String>()) {
            let line = line(|line| {
                line.text(field!("a"), &first, 100);
                line.texts([field!("b"), field!("c")], &second, 100);
            });
            prop_assert_eq!(&line["b"], &line["c"]);
            prop_assert_eq!(line.as_object().unwrap().len(), 6);
        }
    }
}
