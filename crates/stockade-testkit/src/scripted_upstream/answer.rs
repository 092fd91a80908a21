//! Answers and faults.

use std::{io::Write, time::Duration};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER},
};

use super::Chat;

/// An answer to a request: steps before the head, the head, and steps of the body.
#[derive(Clone, Debug)]
pub struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) before_head: Vec<Step>,
    pub(super) body: Vec<Step>,
}

/// A step of an answer.
#[derive(Clone, Debug)]
pub enum Step {
    /// Sends a chunk; not before the head.
    Data(Bytes),
    /// Sends a chunk repeatedly, without an end; not before the head.
    Endless(Bytes),
    /// Does nothing for some time.
    Wait(Duration),
    /// Does nothing until the client leaves.
    Stall,
    /// Closes the connection (HTTP/1.1) or resets the stream (HTTP/2).
    Close,
    /// Refuses the stream, before the head and over HTTP/2: the request was not processed. Closes
    /// the connection over HTTP/1.1.
    Refuse,
    /// Resets the TCP connection. Needs HTTP/1.1 without TLS, or closes it otherwise.
    Reset,
}

impl Answer {
    /// An answer with an empty body.
    pub fn status(status: u16) -> Self {
        Self {
            status: StatusCode::from_u16(status).expect("a valid status"),
            headers: HeaderMap::new(),
            before_head: Vec::new(),
            body: Vec::new(),
        }
    }

    /// A JSON document of known length.
    pub fn json(text: impl Into<Bytes>) -> Self {
        let text = text.into();
        let answer = Self::status(200).header(CONTENT_TYPE, "application/json");
        let answer = answer.header(CONTENT_LENGTH, text.len());
        answer.step(Step::Data(text))
    }

    /// An event stream; each item is sent as it is.
    pub fn events(chunks: impl IntoIterator<Item = impl Into<Bytes>>) -> Self {
        let mut answer = Self::status(200).header(CONTENT_TYPE, "text/event-stream");
        let chunks = chunks.into_iter().map(|chunk| Step::Data(chunk.into()));
        answer.body.extend(chunks);
        answer
    }

    /// An error in OpenAI's format.
    pub fn error(status: u16) -> Self {
        let text =
            r#"{"error":{"message":"scripted","type":"server_error","param":null,"code":null}}"#;
        Self::json(text).with_status(status)
    }

    /// A 429 with a `Retry-After` header.
    pub fn rate_limited(retry_after: &str) -> Self {
        Self::error(429).header(RETRY_AFTER, retry_after)
    }

    /// A redirect.
    pub fn redirect(to: &str) -> Self {
        Self::status(307).header(LOCATION, to)
    }

    /// No head, until the client leaves.
    pub fn stall_before_head() -> Self {
        Self::status(200).before_head(Step::Stall)
    }

    /// The connection is closed before the head.
    pub fn close_before_head() -> Self {
        Self::status(200).before_head(Step::Close)
    }

    /// The connection is reset before the head.
    pub fn reset_before_head() -> Self {
        Self::status(200).before_head(Step::Reset)
    }

    /// Endless chunks of `chunk`.
    pub fn endless(chunk: impl Into<Bytes>) -> Self {
        let no_chunks: [Bytes; 0] = [];
        Self::events(no_chunks).step(Step::Endless(chunk.into()))
    }

    /// A response head of at least this size.
    pub fn huge_head(bytes: usize) -> Self {
        let value = "x".repeat(bytes);
        Self::status(200).header(HeaderName::from_static("x-huge"), value)
    }

    /// Another status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = StatusCode::from_u16(status).expect("a valid status");
        self
    }

    /// Sets a header.
    #[must_use]
    pub fn header<V>(mut self, name: HeaderName, value: V) -> Self
    where
        V: TryInto<HeaderValue>,
    {
        let value = value.try_into().ok().expect("a valid header value");
        self.headers.insert(name, value);
        self
    }

    /// Sets the content type, such as a wrong one.
    #[must_use]
    pub fn content_type(self, value: &'static str) -> Self {
        self.header(CONTENT_TYPE, value)
    }

    /// Adds a step before the head.
    #[must_use]
    pub fn before_head(mut self, step: Step) -> Self {
        self.before_head.push(step);
        self
    }

    /// Adds a step of the body.
    #[must_use]
    pub fn step(mut self, step: Step) -> Self {
        self.body.push(step);
        self
    }

    /// Keeps the first chunks of the body, and ends with `step` instead of the others.
    #[must_use]
    pub fn cut_after(mut self, chunks: usize, step: Step) -> Self {
        self.body.truncate(chunks);
        self.step(step)
    }

    /// Sends the first half of the body, and then closes the connection; the promised length
    /// stays.
    #[must_use]
    pub fn half(mut self) -> Self {
        let all = self.data();
        self.body = vec![Step::Data(all.slice(..all.len() / 2)), Step::Close];
        self
    }

    /// Sends each byte of the body on its own, with this time before it.
    #[must_use]
    pub fn slow(mut self, per_byte: Duration) -> Self {
        let all = self.data();
        let bytes = (0..all.len()).map(|index| all.slice(index..=index));
        self.body = bytes
            .flat_map(|byte| [Step::Wait(per_byte), Step::Data(byte)])
            .collect();
        self
    }

    /// Waits before each chunk.
    #[must_use]
    pub fn paced(mut self, per_chunk: Duration) -> Self {
        let steps = self.body.into_iter();
        self.body = steps
            .flat_map(|step| [Step::Wait(per_chunk), step])
            .collect();
        self
    }

    /// Compresses the body, whether the client accepts that or not.
    #[must_use]
    pub fn gzip(mut self) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let written = encoder.write_all(&self.data());
        let compressed = written.and_then(|()| encoder.finish());
        let compressed = Bytes::from(compressed.expect("a vector takes all bytes"));
        self.body = vec![Step::Data(compressed.clone())];
        self.header(CONTENT_ENCODING, "gzip")
            .header(CONTENT_LENGTH, compressed.len())
    }

    fn data(&self) -> Bytes {
        let chunks = self.body.iter().filter_map(|step| match step {
            Step::Data(chunk) => Some(&chunk[..]),
            _ => None,
        });
        chunks.collect::<Vec<_>>().concat().into()
    }
}

impl Default for Answer {
    fn default() -> Self {
        Chat::new("Hello!").json()
    }
}
