//! Writes one record as a JSON object on one line.

use std::{
    cell::Cell,
    fmt::{self, Display, Write},
    net::{IpAddr, Ipv4Addr},
};

use sha2::{Digest, Sha256};
use stockade_core::{client::ClientIp, clock::Timestamp, context::RequestId};

use crate::{
    escape::push_escaped,
    recent,
    redact::{is_plain, needs_no_escape, prefix, redact},
    timestamp::push_rfc3339,
};

/// The text of a field name in a line: `,"name":`.
macro_rules! field {
    ($name:literal) => {
        concat!(",\"", $name, "\":")
    };
}

/// The text of the name and the opening quote of a text field in a line: `,"name":"`.
macro_rules! text_field {
    ($name:literal) => {
        concat!(",\"", $name, "\":\"")
    };
}
pub(crate) use {field, text_field};

/// The severity of a record.
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
    /// The buffer that this thread reuses for each line.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The initial capacity of the buffer; most lines are shorter.
const LINE_CAPACITY: usize = 1_024;

/// A record without its number and closing brace.
#[derive(Debug)]
pub(crate) struct Line(Vec<u8>);

impl Line {
    pub(crate) fn new(at: Timestamp, level: Level, message: &'static str) -> Self {
        let mut line = Self::begin(at, "\"");
        line.literal(text_field!("level"), level.as_str());
        line.literal(text_field!("message"), message);
        line
    }

    /// Starts a line whose level and message are one constant text.
    #[inline]
    pub(crate) fn begin(at: Timestamp, level_and_message: &'static str) -> Self {
        let mut line = Self(SCRATCH.try_with(Cell::take).unwrap_or_default());
        line.0.reserve(LINE_CAPACITY);
        line.raw("{\"timestamp\":\"");
        push_rfc3339(&mut line.0, at);
        line.raw(level_and_message);
        line
    }

    #[inline]
    pub(crate) fn raw(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    /// Appends a field whose text is visible ASCII without quotes.
    #[inline]
    pub(crate) fn literal(&mut self, field: &'static str, text: &str) {
        self.raw(field);
        self.raw(text);
        self.0.push(b'"');
    }

    /// Appends the request id.
    pub(crate) fn request_id(&mut self, id: RequestId) {
        self.raw(text_field!("request_id"));
        self.0.extend_from_slice(&id.digits());
        self.0.push(b'"');
    }

    /// Appends a field whose `Display` output is visible ASCII without quotes.
    #[inline]
    pub(crate) fn display(&mut self, field: &'static str, value: impl Display) {
        self.raw(field);
        // Writing to a vector does not fail.
        let _ = write!(Text(&mut self.0), "{value}");
        self.0.push(b'"');
    }

    /// Appends a field with untrusted text: redacted, escaped and cut to `limit` bytes.
    #[inline]
    pub(crate) fn text(&mut self, field: &'static str, text: &str, limit: usize) {
        self.raw(field);
        push_closed(&mut self.0, text, limit);
    }

    /// Appends a field with untrusted text that repeats in many records.
    #[inline]
    pub(crate) fn cached_text(&mut self, field: &'static str, text: &str, limit: usize) {
        self.raw(field);
        self.push_cached(text, limit);
    }

    /// Appends a field with an identifier that the server chose or verified: the id of a
    /// principal, the pattern of a route, a code. It is escaped but never redacted, so that
    /// different identifiers stay distinguishable. An identifier longer than `limit` bytes is
    /// written as its beginning and a digest.
    #[inline]
    pub(crate) fn identifier(&mut self, field: &'static str, name: &str, limit: usize) {
        self.raw(field);
        self.push_identifier(name, limit);
    }

    /// Appends two fields with the same identifier.
    #[inline]
    pub(crate) fn identifier_twice(&mut self, fields: [&'static str; 2], name: &str, limit: usize) {
        let [first, second] = fields;
        self.raw(first);
        let start = self.0.len();
        self.push_identifier(name, limit);
        let end = self.0.len();
        self.raw(second);
        self.0.extend_from_within(start..end);
    }

    fn push_identifier(&mut self, name: &str, limit: usize) {
        if let Some((start, digest)) = shortened(name, limit) {
            push_escaped(&mut self.0, start);
            self.raw(&digest);
        } else if needs_no_escape(name) {
            self.raw(name);
        } else {
            push_escaped(&mut self.0, name);
        }
        self.0.push(b'"');
    }

    fn push_cached(&mut self, text: &str, limit: usize) {
        if text.len() <= limit && is_plain(text) {
            self.raw(text);
            self.0.push(b'"');
        } else {
            recent::push(&mut self.0, text, limit, push_closed);
        }
    }

    #[inline]
    pub(crate) fn number(&mut self, field: &'static str, number: u64) {
        self.raw(field);
        self.digits(number);
    }

    #[inline]
    fn digits(&mut self, number: u64) {
        match Small::of(number) {
            // Most numbers are small.
            Some(small) => self.small(small, 1),
            None => self.raw(itoa::Buffer::new().format(number)),
        }
    }

    /// The digits of a small number, without the last `without` bytes of the suffix.
    #[inline]
    fn small(&mut self, small: &Small, without: usize) {
        let end = self.0.len() + usize::from(small.length) - without;
        self.0.extend_from_slice(&small.text);
        self.0.truncate(end);
    }

    /// Appends the milliseconds between two times, with three decimal places.
    #[inline]
    pub(crate) fn millis(&mut self, field: &'static str, from: Timestamp, to: Timestamp) {
        let micros = to.as_nanos().saturating_sub(from.as_nanos()) / 1_000;
        self.raw(field);
        match Small::of(micros / 1_000) {
            Some(small) => self.small(small, 0),
            None => {
                self.digits(micros / 1_000);
                self.0.push(b'.');
            }
        }
        self.0
            .extend_from_slice(&three_digits((micros % 1_000) as u32));
    }

    #[inline]
    pub(crate) fn null(&mut self, field: &'static str) {
        self.raw(field);
        self.raw("null");
    }

    /// Appends the address of the client, or `null`.
    #[inline]
    pub(crate) fn client(&mut self, client: Option<ClientIp>) {
        match client {
            Some(ClientIp::Ip(IpAddr::V4(address))) => {
                self.raw(field!("ip"));
                self.address(address);
            }
            Some(client) => self.display(text_field!("ip"), client),
            None => self.null(field!("ip")),
        }
    }

    /// Appends the same text as `Display`, at a tenth of its cost.
    fn address(&mut self, address: Ipv4Addr) {
        // Each octet leaves its dot where the next one begins, and the last one a quote.
        let (mut text, mut length) = ([b'"'; 18], 1);
        for octet in address.octets() {
            let small = &SMALL[usize::from(octet)];
            text[length..length + 4].copy_from_slice(&small.text);
            length += usize::from(small.length);
        }
        text[length - 1] = b'"';
        self.0.extend_from_slice(&text[..length]);
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The beginning of an identifier that is longer than `limit` bytes, and its digest.
pub(crate) fn shortened(name: &str, limit: usize) -> Option<(&str, String)> {
    (name.len() > limit).then(|| {
        let digest = hex::encode(&Sha256::digest(name)[..16]);
        (prefix(name, limit), format!("…sha256:{digest}"))
    })
}

fn push_closed(out: &mut Vec<u8>, text: &str, limit: usize) {
    if text.len() <= limit && is_plain(text) {
        out.extend_from_slice(text.as_bytes());
    } else {
        push_escaped(out, &redact(text, limit));
    }
    out.push(b'"');
}

/// The digits of a small number and a dot.
#[derive(Clone, Copy)]
struct Small {
    text: [u8; 4],
    length: u8,
}

impl Small {
    #[inline]
    fn of(number: u64) -> Option<&'static Self> {
        SMALL.get(usize::try_from(number).ok()?)
    }
}

static SMALL: [Small; 1_000] = {
    let dots = [b'.'; 4];
    let mut all = [Small {
        text: dots,
        length: 0,
    }; 1_000];
    let mut number = 0;
    while number < all.len() {
        let [a, b, c] = three_digits(number as u32);
        let (text, length) = match number {
            0..10 => ([c, b'.', b'.', b'.'], 2),
            10..100 => ([b, c, b'.', b'.'], 3),
            _ => ([a, b, c, b'.'], 4),
        };
        all[number] = Small { text, length };
        number += 1;
    }
    all
};

/// The digits of a number under a thousand.
pub(crate) const fn three_digits(number: u32) -> [u8; 3] {
    [
        b'0' + (number / 100) as u8,
        b'0' + (number / 10 % 10) as u8,
        b'0' + (number % 10) as u8,
    ]
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
        // Fails where the thread is ending; the buffer is dropped then.
        let _ = SCRATCH.try_with(|scratch| scratch.set(buffer));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn line(write: impl FnOnce(&mut Line)) -> serde_json::Value {
        let mut line = Line::new(Timestamp::from_secs(1), Level::Info, "test");
        write(&mut line);
        let text = format!("{}}}", std::str::from_utf8(line.as_bytes()).unwrap());
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn reused_buffer_is_empty() {
        drop(line(|line| line.literal(text_field!("first"), "1")));
        assert!(line(|_| {}).get("first").is_none());
    }

    proptest! {
        #[test]
        fn address_equals_its_display(bits in any::<u32>()) {
            let address = Ipv4Addr::from_bits(bits);
            let client = Some(ClientIp::Ip(address.into()));
            let line = line(|line| line.client(client));
            prop_assert_eq!(&line["ip"], &address.to_string());
        }

        #[test]
        fn numbers_round_trip(number in any::<u64>(), micros in 0_u64..1 << 50) {
            let line = line(|line| {
                line.number(field!("number"), number);
                let from = Timestamp::from_secs(1);
                let to = from + Duration::from_micros(micros);
                line.millis(field!("millis"), from, to);
            });
            prop_assert_eq!(&line["number"], number);
            let millis = line["millis"].as_f64().unwrap();
            prop_assert!((millis * 1_000.0 - micros as f64).abs() < 0.5);
        }

        // L01
        #[test]
        fn any_text_yields_one_json_object(first in any::<String>(), second in any::<String>()) {
            let line = line(|line| {
                line.text(text_field!("a"), &first, 100);
                line.identifier_twice([text_field!("b"), text_field!("c")], &second, 100);
                line.cached_text(text_field!("d"), &second, 100);
                line.text(text_field!("e"), &second, 100);
            });
            prop_assert_eq!(&line["b"], &line["c"]);
            prop_assert_eq!(&line["d"], &line["e"]);
            if second.len() <= 100 {
                prop_assert_eq!(line["b"].as_str(), Some(&*second));
            }
            prop_assert_eq!(line.as_object().unwrap().len(), 8);
        }
    }
}
