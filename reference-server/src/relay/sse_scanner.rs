//! Reads what the relay needs from server-sent events, and passes their bytes on.

use std::sync::LazyLock;

use bytes::{Bytes, BytesMut};
use memchr::{memchr, memmem::Finder};
use stockade_core::llm::ModelResponse;

use super::usage::{PartialUsage, Reading};

/// The maximum size of an event.
const MAX_EVENT: usize = 1024 * 1024;

/// What only the few events have that are parsed; a text can be equal to the type of a last event.
static INTERESTING: LazyLock<[Finder<'static>; 5]> = LazyLock::new(|| {
    [
        "\"error\"",
        "\"response.completed\"",
        "\"response.incomplete\"",
        "\"response.failed\"",
        "\"message_stop\"",
    ]
    .map(Finder::new)
});
static USAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"usage\""));
static FINISH_REASON: LazyLock<Finder<'static>> =
    LazyLock::new(|| Finder::new("\"finish_reason\""));

/// Scans a stream. Bytes pass on at the ends of events, so that an error event can follow at any
/// time.
#[derive(Debug)]
pub(super) struct SseScanner {
    /// The start of an event whose end has not arrived.
    partial: BytesMut,
    /// What was scanned of it.
    progress: Progress,
    /// Whether the event with the usage is removed.
    removes_usage: bool,
    pub(super) usage: PartialUsage,
    /// How the upstream describes its response.
    pub(super) response: ModelResponse,
    /// The number of events with data; a token is usually an event.
    pub(super) events: u64,
    /// Whether the last event of a complete stream was seen.
    pub(super) is_complete: bool,
    /// Whether the upstream has reported an error in the stream.
    pub(super) has_error: bool,
}

/// The stream is not a stream of events with JSON, or an event is too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InvalidStream;

/// The scanned part of an event, so that no byte is scanned twice if it arrives in pieces.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// The start of the line whose end has not arrived.
    line: usize,
    /// Up to here, this line has no end.
    searched: usize,
    /// Whether a line asks for the removal of the event.
    removes: bool,
}

impl SseScanner {
    pub(super) fn new(removes_usage: bool) -> Self {
        Self {
            partial: BytesMut::new(),
            progress: Progress::default(),
            removes_usage,
            usage: PartialUsage::default(),
            response: ModelResponse::default(),
            events: 0,
            is_complete: false,
            has_error: false,
        }
    }

    /// Scans a piece of the stream, and returns the bytes to pass on: all whole events, without
    /// a copy if the piece consists of them.
    ///
    /// # Errors
    /// Returns an error if the stream is invalid; the bytes of this piece are lost.
    pub(super) fn push(&mut self, piece: Bytes) -> Result<Bytes, InvalidStream> {
        if self.partial.is_empty() {
            let (kept, end) = self.scan(&piece)?;
            self.partial.extend_from_slice(&piece[end..]);
            return Ok(kept.unwrap_or_else(|| piece.slice(..end)));
        }
        let mut bytes = std::mem::take(&mut self.partial);
        bytes.extend_from_slice(&piece);
        let (kept, end) = self.scan(&bytes)?;
        self.partial = bytes.split_off(end);
        Ok(kept.unwrap_or_else(|| bytes.freeze()))
    }

    /// Scans bytes that start with an event, and returns where the last whole event ends, and the
    /// events to pass on if they are not all.
    fn scan(&mut self, bytes: &[u8]) -> Result<(Option<Bytes>, usize), InvalidStream> {
        let mut kept = Kept::All;
        let mut start = 0;
        let Progress {
            mut line,
            mut searched,
            mut removes,
        } = self.progress;
        while let Some(length) = memchr(b'\n', &bytes[searched..]) {
            let end = searched + length;
            let text = &bytes[line..end];
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            line = end + 1;
            searched = line;
            if !text.is_empty() {
                removes |= self.read_line(text)? == Action::Remove;
                continue;
            }
            match removes {
                true => kept.remove(&bytes[..start]),
                false => kept.pass(&bytes[start..line]),
            }
            start = line;
            removes = false;
        }
        if bytes.len() - start > MAX_EVENT {
            return Err(InvalidStream);
        }
        self.progress = Progress {
            line: line - start,
            searched: bytes.len() - start,
            removes,
        };
        let kept = match kept {
            Kept::All => None,
            Kept::Some(kept) => Some(kept.freeze()),
        };
        Ok((kept, start))
    }

    /// Whether the stream ended inside an event.
    pub(super) fn has_partial_event(&self) -> bool {
        !self.partial.is_empty()
    }

    fn read_line(&mut self, line: &[u8]) -> Result<Action, InvalidStream> {
        let Some(data) = line.strip_prefix(b"data:") else {
            return Ok(Action::Pass);
        };
        let data = data.trim_ascii();
        if data.is_empty() {
            return Ok(Action::Pass);
        }
        if data == b"[DONE]" {
            self.is_complete = true;
            return Ok(Action::Pass);
        }
        if data.first() != Some(&b'{') {
            return Err(InvalidStream);
        }
        self.events += 1;
        if is_interesting(data) {
            return self.parse(data);
        }
        for reason in finish_reasons(data) {
            self.response.add_finish_reason(reason);
        }
        Ok(Action::Pass)
    }

    fn parse(&mut self, data: &[u8]) -> Result<Action, InvalidStream> {
        let reading: Reading<'_> = serde_json::from_slice(data).map_err(|_| InvalidStream)?;
        self.is_complete |= reading.is_last();
        self.usage.update(reading.usage());
        reading.describe(&mut self.response);
        self.has_error |= reading.error.is_some();
        Ok(match self.removes_usage && reading.is_usage_only() {
            true => Action::Remove,
            false => Action::Pass,
        })
    }
}

/// Whether an event may have a usage, an error or the type of a last event.
fn is_interesting(data: &[u8]) -> bool {
    has_usage(data) || INTERESTING.iter().any(|name| name.find(data).is_some())
}

/// Whether an event has a usage. Some upstreams write a null in all events but one.
fn has_usage(data: &[u8]) -> bool {
    values(&USAGE, data).any(|value| !value.starts_with(b"null"))
}

/// The finish reasons of an event of chat completions, which is not parsed for them.
fn finish_reasons(data: &[u8]) -> impl Iterator<Item = &str> {
    values(&FINISH_REASON, data).filter_map(|value| {
        let text = value.strip_prefix(b"\"")?;
        str::from_utf8(&text[..memchr(b'"', text)?]).ok()
    })
}

/// What follows the name of a field.
fn values<'a>(name: &'static Finder<'_>, data: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    name.find_iter(data).filter_map(|at| {
        let after_name = data[at + name.needle().len()..].trim_ascii_start();
        Some(after_name.strip_prefix(b":")?.trim_ascii_start())
    })
}

#[derive(PartialEq)]
enum Action {
    Pass,
    Remove,
}

/// The events that pass, which are copied only if one of them does not.
enum Kept {
    All,
    Some(BytesMut),
}

impl Kept {
    fn pass(&mut self, event: &[u8]) {
        if let Self::Some(kept) = self {
            kept.extend_from_slice(event);
        }
    }

    /// `before` are the bytes before the event.
    fn remove(&mut self, before: &[u8]) {
        if let Self::All = self {
            *self = Self::Some(BytesMut::from(before));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use stockade_core::llm::TokenUsage;

    use super::*;

    const STREAM: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"a\\\"usage\\\":\"}}],\"usage\":null}\n\n\
        : a comment\n\n\
        event: x\r\ndata:{\"choices\":[{\"finish_reason\":\"stop\"}]}\r\n\r\n\
        data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\n\
        data: [DONE]\n\n";

    const USAGE: TokenUsage = TokenUsage {
        prompt_tokens: 3,
        completion_tokens: 2,
    };

    fn pass(scanner: &mut SseScanner, pieces: &[&[u8]]) -> String {
        let mut passed = Vec::new();
        for piece in pieces {
            let bytes = scanner.push(Bytes::copy_from_slice(piece)).unwrap();
            passed.extend_from_slice(&bytes);
        }
        String::from_utf8(passed).unwrap()
    }

    #[test]
    fn passes_whole_events_without_a_copy() {
        let mut scanner = SseScanner::new(false);
        let piece = Bytes::from_static(STREAM.as_bytes());
        let passed = scanner.push(piece.clone()).unwrap();
        assert_eq!(passed.as_ptr(), piece.as_ptr());
        assert_eq!(passed, piece);
        assert_eq!(scanner.usage.complete(), Some(USAGE));
        assert_eq!((scanner.events, scanner.is_complete), (3, true));
        assert!(!scanner.has_error && !scanner.has_partial_event());
    }

    #[test]
    fn an_event_that_passes_allocates_nothing() {
        let mut scanner = SseScanner::new(true);
        let event = STREAM.split_inclusive("\n\n").next().unwrap();
        // As hyper reads: parts of one buffer.
        let mut read = BytesMut::from(event.repeat(3).as_str());
        let mut frame = || read.split_to(event.len()).freeze();
        pass(&mut scanner, &[&frame()]);
        let (first, second) = (frame(), frame());
        let measured = allocation_counter::measure(|| {
            assert_eq!(scanner.push(first).unwrap(), event);
            assert_eq!(scanner.push(second).unwrap(), event);
        });
        assert_eq!(measured.count_total, 0);
    }

    #[test]
    fn removes_the_usage_event_only_if_asked() {
        let mut scanner = SseScanner::new(true);
        let passed = pass(&mut scanner, &[STREAM.as_bytes()]);
        let usage = STREAM
            .lines()
            .find(|line| line.contains("\"usage\":{"))
            .unwrap();
        assert_eq!(passed, STREAM.replace(&format!("{usage}\n\n"), ""));
        assert_eq!(scanner.usage.complete(), Some(USAGE));
    }

    #[test]
    fn reports_errors_and_the_ends_of_other_apis() {
        let mut scanner = SseScanner::new(false);
        pass(
            &mut scanner,
            &[b"data: {\"error\":{\"message\":\"x\"}}\n\n"],
        );
        assert!(scanner.has_error && !scanner.is_complete);
        for end in ["message_stop", "response.completed", "response.incomplete"] {
            let mut scanner = SseScanner::new(false);
            let event = format!("event: {end}\ndata: {{\"type\":\"{end}\"}}\n\n");
            pass(&mut scanner, &[event.as_bytes()]);
            assert!(scanner.is_complete, "{end}");
        }
    }

    #[test]
    fn a_text_that_is_equal_to_the_type_of_a_last_event_ends_nothing() {
        let mut scanner = SseScanner::new(false);
        for text in ["message_stop", "response.completed"] {
            let event =
                format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n");
            assert_eq!(pass(&mut scanner, &[event.as_bytes()]), event);
            assert!(!scanner.is_complete, "{text}");
        }
    }

    #[test]
    fn refuses_anything_but_a_stream_of_objects() {
        for piece in [
            &b"data: hello\n\n"[..],
            b"data: {\"usage\":\n\n",
            b"data: [1]\n\n",
        ] {
            let mut scanner = SseScanner::new(false);
            assert_eq!(scanner.push(Bytes::from_static(piece)), Err(InvalidStream));
        }
        let mut scanner = SseScanner::new(false);
        let endless = Bytes::from(vec![b'x'; MAX_EVENT + 1]);
        assert_eq!(scanner.push(endless), Err(InvalidStream));
    }

    #[test]
    fn only_null_as_the_usage_is_not_parsed() {
        for (data, expected) in [
            (r#"{"usage":null}"#, false),
            (r#"{"usage" : null}"#, false),
            (r#"{"usage":{}}"#, true),
            (r#"{"content":"usage"}"#, false),
            (r#"{"content":"message_stop"}"#, true),
            (r#"{"content":"\"usage\""}"#, false),
            (r#"{"usage":null,"error":{}}"#, true),
            (r#"{"usage":null,"type":"message_stop"}"#, true),
            (r#"{"delta":{}}"#, false),
        ] {
            assert_eq!(is_interesting(data.as_bytes()), expected, "{data}");
        }
    }

    #[test]
    fn reads_finish_reasons_of_events_that_are_not_parsed() {
        for (data, expected) in [
            (r#"{"choices":[{"finish_reason":null}]}"#, &[][..]),
            (
                r#"{"choices":[{"finish_reason":"stop"},{"finish_reason" : "length"}]}"#,
                &["stop", "length"],
            ),
            (r#"{"content":"\"finish_reason\":\"stop\""}"#, &[]),
            (r#"{"content":"finish_reason"}"#, &[]),
            (r#"{"finish_reason":"#, &[]),
        ] {
            let reasons: Vec<&str> = finish_reasons(data.as_bytes()).collect();
            assert_eq!(reasons, expected, "{data}");
        }
    }

    proptest! {
        #[test]
        fn the_split_does_not_matter(
            mut cuts in proptest::collection::vec(0..STREAM.len(), 0..8),
            removes in any::<bool>(),
        ) {
            let mut whole = SseScanner::new(removes);
            let expected = pass(&mut whole, &[STREAM.as_bytes()]);
            cuts.extend([0, STREAM.len()]);
            cuts.sort_unstable();
            let pieces: Vec<_> = cuts.windows(2).map(|cut| &STREAM.as_bytes()[cut[0]..cut[1]]).collect();
            let mut split = SseScanner::new(removes);
            prop_assert_eq!(pass(&mut split, &pieces), expected);
            prop_assert_eq!(split.usage, whole.usage);
            prop_assert_eq!(split.events, whole.events);
            prop_assert_eq!(split.response, whole.response);
            prop_assert!(split.is_complete);
        }
    }
}
